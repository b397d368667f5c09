// v2 of the layer: votes are predicted anew in every pass and never stored. For D = J = O = 8 and
// weights of their own, the window capsules (formulas and shapes: kernels/capsule/capsule.h).
//
// The paper's 144 windows of 1280 capsules, counted for an H200:
//   prediction       94 M multiply-adds per pass, no less than 2.8 us at 67 TFLOP/s; votes from
//                    memory would be 47 MB, no less than 11 us
//   weights          2.6 MB. A block per window would read them 144 times, 377 MB; here a warp
//                    holds the weights of four capsules in registers and applies them to 24
//                    windows, so that they are read 6 times, 16 MB, mostly from the second-level
//                    cache
//   everything else  12 shuffles for the softmax and the sum over a warp's capsules, one
//                    exponential: 176 instructions per warp and window, 123 in the first pass, 209
//                    for the gradient of the logits. A scheduler has 96 of them: 6, 9 and 10 us
//   partial sums     2.9 MB per pass, written and read once
//   last pass        310 instructions, 108 times on the busiest scheduler: 17 us
//
// A lane is an output capsule j of one of four neighbouring input capsules (lanes.cuh) and
// keeps W_ij, 64 values. A pass ends in sums over input capsules for every window: over the four
// of a warp by shuffles, over the warps of a block in shared memory, over blocks by a second
// kernel, all in an order that follows from the sizes alone.
//
// Backward, where R - 1 passes find ds of every iteration, ends with a pass in which a block owns
// four input capsules and goes over many windows: dW stays in registers beside W, and du is
// complete at once. For it the other passes keep c and g, 24 MB, which the second-level cache
// holds. To compute them again would be 64 multiply-adds for the vote and 60 instructions for each
// iteration, more than all the rest of that pass, in a chain of six exchanges that two warps per
// scheduler cannot hide. With last_only there are no other passes, and only c of one iteration to
// compute.

#include <algorithm>

#include "kernels/capsule/cuda/lanes.cuh"
#include "kernels/capsule/cuda/steps.cuh"
#include "kernels/capsule/cuda/versions.h"

namespace serenade::cuda {
namespace {

constexpr int kSize = 8;                  // D, J and O
constexpr int kElements = kSize * kSize;  // of W_ij, and of the votes of one input capsule
constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kTogether = 32 / kSize;  // input capsules of a warp
constexpr int kWindows = 24;  // samples, at most, that see the weights in a block's registers
constexpr int kHalf = kElements / 2;
constexpr int kRow = kHalf + 4, kRows = 32 * kRow;  // padded: eight lanes' Vec4s in all 32 banks
constexpr int kFinishThreads = 512, kParts = kFinishThreads / kElements;

/// The sizes of one call in 32 bits. Offsets into weights have 64; those into anything else fit 32
/// (recomputes_votes).
struct WindowSizes {
  int N, I, R, groups;  // groups: groups of kTogether input capsules

  explicit WindowSizes(const CapsuleShape& p)
      : N(static_cast<int>(p.N)),
        I(static_cast<int>(p.I)),
        R(static_cast<int>(p.iterations)),
        groups((I + kTogether - 1) / kTogether) {}
};

/// W_ij of every lane, or zeros, for the input capsules from `first_i` on. In memory the 32
/// matrices of a warp follow each other. Were each lane to read its own, every access would touch
/// 32 lines, 512 in all; so the warp reads whole lines, half of each matrix at a time, and passes
/// them out through `rows`, kRows elements of shared memory: 64 lines and 128 accesses of shared
/// memory.
__device__ __forceinline__ void load_weights(real (&w)[kElements], SharedPointer<real> rows,
                                             GlobalPointer<const real> weight, int first_i, int I,
                                             int lane) {
  for (int half = 0; half < 2; ++half) {
    for (int turn = 0; turn < 8; ++turn) {
      const int row = turn * 4 + lane / 8, column = lane % 8 * 4;
      const std::int64_t from = (static_cast<std::int64_t>(first_i) * kSize + row) * kElements;
      const bool inside = first_i + row / kSize < I;
      const Vec4 group = inside ? load_vector<Vec4>(weight + from + half * kHalf + column) : Vec4{};
      store_vector(rows + row * kRow + column, group);
    }
    __syncwarp();
    for (int k = 0; k < kHalf; k += 4) {
      const Vec4 group = load_vector<Vec4>(rows + lane * kRow + k);
      for (int q = 0; q < 4; ++q) w[half * kHalf + k + q] = group.value[q];
    }
    __syncwarp();
  }
}

__device__ __forceinline__ void predict(real (&vote)[kSize], const real (&u)[kSize],
                                        const real (&w)[kElements]) {
  for (int o = 0; o < kSize; ++o) vote[o] = 0;
  for (int d = 0; d < kSize; ++d) {
    for (int o = 0; o < kSize; ++o) vote[o] += u[d] * w[d * kSize + o];
  }
}

__device__ __forceinline__ bool is_valid(GlobalPointer<const std::int64_t> lengths, int n, int i) {
  return !lengths || i < static_cast<std::int64_t>(lengths[n]);
}

/// Input capsule i of sample n; zeros, and so zero votes, where there is none that counts.
__device__ __forceinline__ void load_input(real (&x)[kSize], GlobalPointer<const real> u,
                                           GlobalPointer<const std::int64_t> lengths, int n, int i,
                                           const WindowSizes& p) {
  const bool counts = i < p.I && is_valid(lengths, n, i);
  load_capsule(x, u + (n * p.I + i) * kSize, counts);
}

/// The factor of a vote in the sum over input capsules.
enum class Factor {
  one,            // iteration 1; 1 / J follows later
  coefficient,    // c
  logit_gradient  // g: the gradient of the sum of earlier v
};

/// partials: [slices, N, J, O], sums over the 16 input capsules of a slice (blockIdx.x), for
/// windows_per_block samples (blockIdx.y). earlier, ds: one iteration's, sample n at n * stride,
/// [J, O]. kept: c and g of this iteration, [N, I, J, 2]; may be null. Registers: at most 128, so
/// that 16 warps share a multiprocessor. Shared memory: 24 KB.
template <Factor factor>
__global__ void __launch_bounds__(kThreads, sizeof(real) == 4 ? 4 : 2)
    capsule_window_sums(GlobalPointer<real> partials, GlobalPointer<real> kept,
                        GlobalPointer<const real> u, GlobalPointer<const real> weight,
                        GlobalPointer<const real> earlier, GlobalPointer<const real> ds,
                        std::int64_t stride, GlobalPointer<const std::int64_t> lengths,
                        WindowSizes p, int windows_per_block) {
  constexpr int kSums = kWindows * kElements;  // of a warp
  static_assert(kRows <= kSums);
  SERENADE_SHARED(real, shared, [kWarps * kSums]);  // first for weights, then for sums
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int j = lane % kSize, own = j * kSize + lane / 16 * 4 + lane / 8 % 2 * 2;
  const int first_n = static_cast<int>(blockIdx.y) * windows_per_block;
  const int windows = min(windows_per_block, p.N - first_n);
  const int first_i = (static_cast<int>(blockIdx.x) * kWarps + warp) * kTogether;
  const int i = first_i + lane / kSize;
  const SharedPointer<real> sums = shared + warp * kSums;
  real w[kElements];
  load_weights(w, sums, weight, first_i, p.I, lane);
  real next[kSize];  // the input capsule of the next sample, on its way
  load_input(next, u, lengths, first_n, i, p);
  for (int window = 0; window < windows; ++window) {
    const std::int64_t n = first_n + window;
    real x[kSize], vote[kSize];
    for (int d = 0; d < kSize; ++d) x[d] = next[d];
    load_input(next, u, lengths, first_n + min(window + 1, windows - 1), i, p);
    predict(vote, x, w);
    if constexpr (factor != Factor::one) {
      load_capsule(x, earlier + n * stride + j * kSize, true);
      real by = 0;
      if constexpr (factor == Factor::coefficient) {
        by = softmax_over<kSize>(dot(vote, x), true);
      } else {
        real d[kSize];
        load_capsule(d, ds + n * stride + j * kSize, true);
        const RoutingGradient found = routing_gradient<kSize>(vote, x, d, true);
        by = found.g;
        if (i < p.I) store_vector(kept + ((n * p.I + i) * kSize + j) * 2, found);
      }
      for (int o = 0; o < kSize; ++o) vote[o] *= by;
    }
    add_up_halves<16, kSize, 2>(vote, lane);
    sums[window * kElements + own] = vote[0];
    sums[window * kElements + own + 1] = vote[1];
  }
  __syncthreads();
  for (int k = static_cast<int>(threadIdx.x); k < windows * kElements; k += kThreads) {
    real sum = 0;
    for (int from = 0; from < kWarps; ++from) sum += shared[from * kSums + k];
    partials[(static_cast<std::int64_t>(blockIdx.x) * p.N + first_n) * kElements + k] = sum;
  }
}

/// The sum of a sample's partials over slices, element threadIdx.x % kElements, in every thread of
/// a block of kFinishThreads.
__device__ __forceinline__ real add_up_slices(SharedPointer<real> scratch,
                                              GlobalPointer<const real> partials, int slices,
                                              std::int64_t n, int N) {
  const int k = static_cast<int>(threadIdx.x) % kElements;
  real sum = 0;
  for (int slice = static_cast<int>(threadIdx.x) / kElements; slice < slices; slice += kParts) {
    sum += partials[(static_cast<std::int64_t>(slice) * N + n) * kElements + k];
  }
  scratch[threadIdx.x] = sum;
  __syncthreads();
  sum = 0;
  for (int part = 0; part < kParts; ++part) sum += scratch[part * kElements + k];
  return sum;
}

/// s = scale sum + bias; v = squash(s), which joins the sum of earlier ones (begun if `first`). s:
/// sample n at n * stride. A block per sample.
__global__ void __launch_bounds__(kFinishThreads)
    capsule_window_finish(GlobalPointer<real> v, GlobalPointer<real> s, GlobalPointer<real> earlier,
                          GlobalPointer<const real> partials, GlobalPointer<const real> bias,
                          std::int64_t stride, int slices, int N, real scale, bool first) {
  SERENADE_SHARED(real, scratch, [kFinishThreads]);
  const std::int64_t n = blockIdx.x;
  const int k = static_cast<int>(threadIdx.x) % kElements;
  real sum = scale * add_up_slices(SharedPointer<real>(scratch), partials, slices, n, N);
  if (bias) sum += bias[k];
  const real value = sum * squash_factor(warp_reduce(sum * sum, kSize, Plus{}));
  if (threadIdx.x >= kElements) return;
  const real before = first ? real(0) : static_cast<real>(earlier[n * kElements + k]);
  s[n * stride + k] = sum;
  v[n * kElements + k] = value;
  earlier[n * kElements + k] = before + value;
}

/// dv of the iteration before += the sum, since every later iteration used it (begun if `first`);
/// then its ds. s, ds: that iteration's, sample n at n * stride. A block per sample.
__global__ void __launch_bounds__(kFinishThreads)
    capsule_window_finish_gradient(GlobalPointer<real> ds, GlobalPointer<real> dv,
                                   GlobalPointer<const real> partials, GlobalPointer<const real> s,
                                   std::int64_t stride, int slices, int N, bool first) {
  SERENADE_SHARED(real, scratch, [kFinishThreads]);
  const std::int64_t n = blockIdx.x;
  const int k = static_cast<int>(threadIdx.x) % kElements;
  real sum = add_up_slices(SharedPointer<real>(scratch), partials, slices, n, N);
  if (threadIdx.x >= kElements) return;  // whole warps
  if (!first) sum += dv[n * kElements + k];
  const real x = s[n * stride + k];
  const real n2 = warp_reduce(x * x, kSize, Plus{}), along = warp_reduce(x * sum, kSize, Plus{});
  dv[n * kElements + k] = sum;
  ds[n * stride + k] = squash_factor(n2) * sum + 2 * squash_slope(n2) * along * x;
}

/// The whole gradient of a vote from c and g that the other passes have kept, [R - 1, N, I, J, 2].
/// own, row: where this lane's stand in the first of them and in ds and earlier. In 32 bits:
/// pointers would cost registers that are not there.
__device__ __forceinline__ void kept_vote_gradient(real (&dvote)[kSize],
                                                   GlobalPointer<const real> kept, int own,
                                                   GlobalPointer<const real> earlier,
                                                   GlobalPointer<const real> ds, int row,
                                                   const WindowSizes& p) {
  load_capsule(dvote, ds + row, true);
  for (int o = 0; o < kSize; ++o) dvote[o] *= real(1) / kSize;
  SERENADE_UNROLL_BY(1) for (int t = 1; t < p.R; ++t) {
    const auto by = load_vector<RoutingGradient>(kept + own);
    row += kElements;
    real x[kSize];
    load_capsule(x, ds + row, true);
    for (int o = 0; o < kSize; ++o) dvote[o] += by.c * x[o];
    load_capsule(x, earlier + row, true);
    for (int o = 0; o < kSize; ++o) dvote[o] += by.g * x[o];
    own += p.N * p.I * kSize * 2;
  }
}

/// du and dW (either may be null) of four input capsules (blockIdx.x) from `samples` of the samples
/// (blockIdx.y), which are shared out among the warps. kept: [R - 1, N, I, J, 2]; not read with
/// last_only. dweight: [gridDim.y, I, J, D, O], added to with `adds`. Registers: 64 for W and 64
/// for dW, so three blocks share a multiprocessor, or two where votes are predicted. Shared memory:
/// 18 KB.
template <bool last_only>
__global__ void __launch_bounds__(kThreads, sizeof(real) == 4 ? (last_only ? 2 : 3) : 1)
    capsule_window_spread(GlobalPointer<real> du, GlobalPointer<real> dweight,
                          GlobalPointer<const real> kept, GlobalPointer<const real> u,
                          GlobalPointer<const real> weight, GlobalPointer<const real> earlier,
                          GlobalPointer<const real> ds, GlobalPointer<const std::int64_t> lengths,
                          WindowSizes p, int samples, bool adds) {
  constexpr int kColumn = 33;  // sums are written along rows and read along columns
  static_assert(kElements * kColumn <= kWarps * kRows);
  SERENADE_SHARED(real, sums, [kWarps * kRows]);  // first for weights
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int first_i = static_cast<int>(blockIdx.x) * kTogether;
  const int j = lane % kSize, i = first_i + lane / kSize;
  const int first_n = static_cast<int>(blockIdx.y) * samples, end_n = min(p.N, first_n + samples);
  real w[kElements], dw[kElements] = {};
  load_weights(w, sums + warp * kRows, weight, first_i, p.I, lane);
  for (int n = first_n + warp; n < end_n; n += kWarps) {
    const bool counts = i < p.I && is_valid(lengths, n, i);
    const int row = n * p.R * kElements + j * kSize, own = (n * p.I + min(i, p.I - 1)) * kSize + j;
    real x[kSize], dvote[kSize], dx[kSize];
    const real before = du && counts ? real(du[own]) : real(0);  // begun early
    if constexpr (last_only) {
      real vote[kSize];
      load_input(x, u, lengths, n, i, p);
      predict(vote, x, w);
      vote_gradient<kSize>(dvote, vote, earlier + row, ds + row, kElements, p.R, real(1) / kSize,
                           true, true);
    } else {
      kept_vote_gradient(dvote, kept, 2 * own, earlier, ds, row, p);
      load_input(x, u, lengths, n, i, p);
    }
    for (int d = 0; d < kSize; ++d) {
      dx[d] = 0;
      for (int o = 0; o < kSize; ++o) {
        dw[d * kSize + o] += x[d] * dvote[o];
        dx[d] += w[d * kSize + o] * dvote[o];
      }
    }
    add_up_halves<4, kSize, 1>(dx, lane);
    if (du && counts) du[own] = before + dx[0];
  }
  if (!dweight) return;
  for (int turn = 0; turn < kWarps; ++turn) {
    __syncthreads();
    if (turn == warp) {
      for (int k = 0; k < kElements; ++k) {
        const real before = turn == 0 ? real(0) : static_cast<real>(sums[k * kColumn + lane]);
        sums[k * kColumn + lane] = before + dw[k];
      }
    }
  }
  __syncthreads();
  const std::int64_t first = static_cast<std::int64_t>(first_i) * kSize * kElements;
  const std::int64_t end = static_cast<std::int64_t>(p.I) * kSize * kElements;
  const std::int64_t to = blockIdx.y * end + first;
  for (int k = static_cast<int>(threadIdx.x); k < 32 * kElements; k += kThreads) {
    if (first + k >= end) continue;
    const real before = adds ? real(dweight[to + k]) : real(0);
    dweight[to + k] = before + sums[k % kElements * kColumn + k / kElements];
  }
}

/// dweight += the partial gradients [splits, count], in order.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_add_splits(GlobalPointer<real> dweight, GlobalPointer<const real> partials, int splits,
                       std::int64_t count) {
  const std::int64_t k = capsule_thread();
  if (k >= count) return;
  real sum = 0;
  for (int split = 0; split < splits; ++split) sum += partials[split * count + k];
  dweight[k] += sum;
}

/// The sums of earlier v that make up the logits of every iteration, and ds of the last one; ds of
/// the others are 0. earlier, ds, s: [N, R, J, O]; dv: [N, J, O]. A thread per element of dv.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_window_begin_gradient(GlobalPointer<real> earlier, GlobalPointer<real> ds,
                                  GlobalPointer<const real> dv, GlobalPointer<const real> s, int N,
                                  int R) {
  const std::int64_t index = capsule_thread();  // a block has whole samples
  const bool exists = index < static_cast<std::int64_t>(N) * kElements;
  const std::int64_t at = index / kElements * R * kElements + index % kElements;
  real so_far = 0;
  for (int t = 0; t < R; ++t) {
    const std::int64_t here = at + t * kElements;
    const real x = exists ? real(s[here]) : real(0), d = exists ? real(dv[index]) : real(0);
    const real n2 = warp_reduce(x * x, kSize, Plus{}), along = warp_reduce(x * d, kSize, Plus{});
    if (!exists) continue;
    earlier[here] = so_far;
    so_far += x * squash_factor(n2);
    ds[here] = t < R - 1 ? real(0) : squash_factor(n2) * d + 2 * squash_slope(n2) * along * x;
  }
}

/// The last pass. Where input capsules are few, samples are cut into splits with a partial dW each:
/// about one block for each block slot of the largest devices, of at least eight samples.
void spread(real* du, real* dweight, const real* kept, const real* u, const real* weight,
            const real* earlier, const real* ds, const std::int64_t* lengths, const WindowSizes& p,
            bool last_only) {
  const int wanted = std::max(1, std::min(396 / p.groups, p.N / 8));
  const int samples = (p.N + wanted - 1) / wanted, splits = (p.N + samples - 1) / samples;
  const std::int64_t count = static_cast<std::int64_t>(p.I) * kSize * kElements;
  const bool cut = dweight != nullptr && splits > 1;
  const DeviceArray<real> partials(cut ? splits * count : 0);
  SERENADE_LAUNCH((last_only ? capsule_window_spread<true> : capsule_window_spread<false>),
                  dim3(static_cast<unsigned>(p.groups), static_cast<unsigned>(splits)),
                  dim3(kThreads), 0, current_stream(), du, cut ? partials.data() : dweight, kept, u,
                  weight, earlier, ds, lengths, p, samples, !cut);
  if (cut) {
    LAUNCH_CAPSULE_ITEMS(capsule_add_splits, count, dweight, partials.data(), splits, count);
  }
}

/// How a pass is cut into blocks: a warp has four input capsules, and as many samples as leave two
/// blocks for each multiprocessor of the largest devices.
struct Cut {
  int slices, windows, chunks;

  explicit Cut(const WindowSizes& p) : slices((p.groups + kWarps - 1) / kWarps) {
    constexpr std::int64_t kBlocks = 264;
    const std::int64_t most = static_cast<std::int64_t>(p.N) * slices / kBlocks;
    windows = static_cast<int>(std::clamp<std::int64_t>(most, 1, kWindows));
    chunks = (p.N + windows - 1) / windows;
  }
  std::int64_t partials(const WindowSizes& p) const {
    return static_cast<std::int64_t>(slices) * p.N * kElements;
  }
  dim3 grid() const { return dim3(static_cast<unsigned>(slices), static_cast<unsigned>(chunks)); }
};

template <Factor factor>
void add_up_windows(real* partials, real* kept, const real* u, const real* weight,
                    const real* earlier, const real* ds, std::int64_t stride,
                    const std::int64_t* lengths, const WindowSizes& p, const Cut& cut) {
  SERENADE_LAUNCH(capsule_window_sums<factor>, cut.grid(), dim3(kThreads), 0, current_stream(),
                  partials, kept, u, weight, earlier, ds, stride, lengths, p, cut.windows);
}

}  // namespace

bool recomputes_votes(const real* u, const real* weight, const CapsuleShape& p) {
  return p.D == kSize && p.J == kSize && p.O == kSize && !p.shared_weight && p.I > 0 &&
         p.I < (1 << 28) && p.N < (1 << 16) && p.N * p.I * p.iterations < (1 << 27) &&
         p.N * p.iterations < (1 << 25) && is_vec4_aligned(u) && is_vec4_aligned(weight);
}

void capsule_layer_forward_v2_recomputed_votes(real* v, real* s, const real* u, const real* weight,
                                               const real* bias, const CapsuleShape& shape) {
  if (shape.N == 0) return;
  const WindowSizes p(shape);
  const Cut cut(p);
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const DeviceArray<real> earlier(static_cast<std::int64_t>(p.N) * kElements);
  const DeviceArray<real> partials(cut.partials(p));
  const std::int64_t stride = static_cast<std::int64_t>(p.R) * kElements;
  for (int t = 0; t < p.R; ++t) {
    const auto pass = t == 0 ? add_up_windows<Factor::one> : add_up_windows<Factor::coefficient>;
    pass(partials.data(), nullptr, u, weight, earlier.data(), nullptr, kElements, lengths.data(), p,
         cut);
    SERENADE_LAUNCH(capsule_window_finish, dim3(static_cast<unsigned>(p.N)), dim3(kFinishThreads),
                    0, current_stream(), v, s + t * kElements, earlier.data(), partials.data(),
                    bias, stride, cut.slices, p.N, t == 0 ? real(1) / kSize : real(1), t == 0);
  }
}

void capsule_layer_backward_v2_recomputed_votes(real* du, real* dweight, real* dbias,
                                                const real* dv, const real* s, const real* u,
                                                const real* weight, const CapsuleShape& shape) {
  if (shape.N == 0) return;
  const WindowSizes p(shape);
  const Cut cut(p);
  const CapsuleSizes sizes(shape);
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const std::int64_t elements = static_cast<std::int64_t>(p.N) * kElements,
                     stride = p.R * kElements;
  const std::int64_t pairs = static_cast<std::int64_t>(p.N) * p.I * kSize * 2;  // of an iteration
  const DeviceArray<real> earlier(p.R * elements), ds(p.R * elements), dv_before(elements);
  const DeviceArray<real> partials(cut.partials(p)), kept(shape.last_only ? 0 : (p.R - 1) * pairs);
  LAUNCH_CAPSULE_ITEMS(capsule_window_begin_gradient, elements, earlier.data(), ds.data(), dv, s,
                       p.N, p.R);
  for (int t = p.R - 1; t > 0 && !shape.last_only; --t) {
    const std::int64_t before = (t - 1) * kElements;
    add_up_windows<Factor::logit_gradient>(
        partials.data(), kept.data() + (t - 1) * pairs, u, weight, earlier.data() + t * kElements,
        ds.data() + t * kElements, stride, lengths.data(), p, cut);
    SERENADE_LAUNCH(capsule_window_finish_gradient, dim3(static_cast<unsigned>(p.N)),
                    dim3(kFinishThreads), 0, current_stream(), ds.data() + before, dv_before.data(),
                    partials.data(), s + before, stride, cut.slices, p.N, t == p.R - 1);
  }
  if (dbias != nullptr) bias_gradient(dbias, ds.data(), sizes);
  if (du == nullptr && dweight == nullptr) return;
  spread(du, dweight, kept.data(), u, weight, earlier.data(), ds.data(), lengths.data(), p,
         shape.last_only);
}

}  // namespace serenade::cuda
