// v1 of routing: a block per sample does all iterations in one launch (formulas and shapes:
// kernels/capsule/capsule.h). Up to 16 output capsules of 8 or 16 values.
//
// A lane is one output capsule of one input capsule (lanes.cuh), a warp takes 2, 4 or 8
// neighbouring input capsules at once, so that it reads whole lines. In an iteration each vote is
// read once and used for agreement, softmax and sum, where v0 reads it twice and writes logits and
// coefficients in between. Sums over input capsules stay in registers, then meet in shared memory
// once per iteration, in an order that follows from the sizes alone.
//
// Reads of the votes: R forward; R backward, and du_hat is read and written once. For the utterance
// capsules (16 samples, I 9, J 4, O 16) that is 2.3 KB per sample, which stay in the first-level
// cache, so what counts is the single launch. For 144 windows of 1280 capsules it is 47 MB per
// iteration, no less than 11 us from memory; there the layer does better without stored votes
// (recomputed_votes.cu).

#include <algorithm>

#include "kernels/capsule/cuda/lanes.cuh"
#include "kernels/capsule/cuda/steps.cuh"
#include "kernels/capsule/cuda/versions.h"

namespace serenade::cuda {
namespace {

constexpr int kWarps = 8, kThreads = 32 * kWarps;
constexpr std::int64_t kMaxShared = 32 * 1024;  // for what the backward keeps of all iterations

/// Where a thread of a block stands: `lanes` lanes for each input capsule.
template <int lanes>
struct Place {
  int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  int j = lane % lanes;
  int first_i = warp * (32 / lanes) + lane / lanes, step_i = kWarps * (32 / lanes);
  /// Input capsules that a warp's loop goes up to: the same for all its lanes.
  __device__ __forceinline__ int end(int valid) const {
    const int first_of_warp = warp * (32 / lanes);
    return valid <= first_of_warp
               ? first_i
               : first_i + (valid - first_of_warp + step_i - 1) / step_i * step_i;
  }
};

/// Adds x up over the input capsules of a block; afterwards sums[warp][j * size + o] hold the
/// parts.
template <int lanes, int size>
__device__ __forceinline__ void meet_in(SharedPointer<real> sums, real (&x)[size],
                                        const Place<lanes>& at) {
  for (int o = 0; o < size; ++o) {
    for (int step = lanes; step < 32; step *= 2) x[o] += __shfl_xor_sync(0xFFFFFFFFu, x[o], step);
  }
  if (at.lane < lanes) {
    for (int o = 0; o < size; ++o) sums[(at.warp * lanes + at.j) * size + o] = x[o];
  }
  __syncthreads();
}

/// The sum of element k over the warps, `width` elements each.
__device__ __forceinline__ real add_up_warps(SharedPointer<real> sums, int k, int width) {
  real sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += sums[warp * width + k];
  return sum;
}

/// Registers: the vote, the sum and the sum of earlier v, 3 O. Shared memory: at most 9 KB.
template <int lanes, int size>
__global__ void __launch_bounds__(kThreads)
    capsule_route(GlobalPointer<real> v, GlobalPointer<real> s, GlobalPointer<const real> u_hat,
                  GlobalPointer<const real> bias, GlobalPointer<const std::int64_t> lengths,
                  CapsuleSizes p) {
  SERENADE_SHARED(real, sums, [kWarps * lanes * size]);
  SERENADE_SHARED(real, earlier, [lanes * size]);
  const Place<lanes> at;
  const int J = static_cast<int>(p.J), JO = J * size, k = static_cast<int>(threadIdx.x);
  const std::int64_t n = blockIdx.x;
  const int valid = static_cast<int>(p.valid(lengths, n)), end = at.end(valid);
  real so_far = 0;  // element k of the sum of earlier v
  for (int t = 0; t < p.R; ++t) {
    real e[size] = {}, sum[size] = {};
    if (t > 0) load_capsule(e, earlier + at.j * size, true);
    for (int i = at.first_i; i < end; i += at.step_i) {
      real vote[size];
      load_capsule(vote, u_hat + ((n * p.I + i) * J + at.j) * size, i < valid && at.j < J);
      const real c =
          t == 0 ? 1 / static_cast<real>(J) : softmax_over<lanes>(dot(vote, e), at.j < J);
      for (int o = 0; o < size; ++o) sum[o] += c * vote[o];
    }
    meet_in<lanes>(SharedPointer<real>(sums), sum, at);
    real x = 0;
    if (k < JO) x = add_up_warps(SharedPointer<real>(sums), k, lanes * size);
    if (k < JO && bias) x += bias[k];
    const real value = x * squash_factor(warp_reduce(x * x, size, Plus{}));
    so_far += value;
    if (k < lanes * size) earlier[k] = so_far;
    if (k < JO) s[(n * p.R + t) * JO + k] = x;
    if (k < JO && t == p.R - 1) v[n * JO + k] = value;
    __syncthreads();
  }
}

/// ds: [N, R, J, O], for the gradient of the bias; du_hat may be null. Dynamic shared memory: the
/// sums of earlier v and ds of all iterations, [2, R, lanes, size].
template <int lanes, int size>
__global__ void __launch_bounds__(kThreads)
    capsule_route_backward(GlobalPointer<real> du_hat, GlobalPointer<real> ds,
                           GlobalPointer<const real> dv, GlobalPointer<const real> s,
                           GlobalPointer<const real> u_hat,
                           GlobalPointer<const std::int64_t> lengths, CapsuleSizes p,
                           bool last_only) {
  constexpr int kWidth = lanes * size;
  SERENADE_SHARED(real, sums, [kWarps * kWidth]);
  SERENADE_DYNAMIC_SHARED(real, kept);
  const Place<lanes> at;
  const int J = static_cast<int>(p.J), JO = J * size, R = static_cast<int>(p.R);
  const int k = static_cast<int>(threadIdx.x);
  const SharedPointer<real> all_earlier = kept, all_ds = kept + R * kWidth;
  const std::int64_t n = blockIdx.x;
  const int valid = static_cast<int>(p.valid(lengths, n)), end = at.end(valid);
  real so_far = 0;
  for (int t = 0; t < R; ++t) {
    const real x = k < JO ? static_cast<real>(s[(n * R + t) * JO + k]) : real(0);
    if (k < kWidth) all_earlier[t * kWidth + k] = so_far;
    so_far += x * squash_factor(warp_reduce(x * x, size, Plus{}));
  }
  real dv_k = k < JO ? static_cast<real>(dv[n * JO + k]) : real(0);
  for (int t = R - 1; t >= 0; --t) {
    const real x = k < JO ? static_cast<real>(s[(n * R + t) * JO + k]) : real(0);
    const real n2 = warp_reduce(x * x, size, Plus{}), along = warp_reduce(x * dv_k, size, Plus{});
    const bool used = t == R - 1 || !last_only;
    const real d = used ? squash_factor(n2) * dv_k + 2 * squash_slope(n2) * along * x : real(0);
    if (k < kWidth) all_ds[t * kWidth + k] = d;
    if (k < JO) ds[(n * R + t) * JO + k] = d;
    __syncthreads();
    if (t == 0 || last_only) continue;
    real e[size], d_j[size], sum[size] = {};
    load_capsule(e, all_earlier + t * kWidth + at.j * size, true);
    load_capsule(d_j, all_ds + t * kWidth + at.j * size, true);
    for (int i = at.first_i; i < end; i += at.step_i) {
      real vote[size];
      load_capsule(vote, u_hat + ((n * p.I + i) * J + at.j) * size, i < valid && at.j < J);
      const real g = routing_gradient<lanes>(vote, e, d_j, at.j < J).g;
      for (int o = 0; o < size; ++o) sum[o] += g * vote[o];
    }
    meet_in<lanes>(SharedPointer<real>(sums), sum, at);
    // v of iteration t - 1 is part of the sum that every later iteration used.
    const real more = k < JO ? add_up_warps(SharedPointer<real>(sums), k, kWidth) : real(0);
    dv_k = t == R - 1 ? more : dv_k + more;
  }
  if (!du_hat) return;
  for (int i = at.first_i; i < end; i += at.step_i) {
    const std::int64_t vote_at = ((n * p.I + i) * J + at.j) * size;
    const bool counts = i < valid && at.j < J;
    real vote[size], dvote[size];
    load_capsule(vote, u_hat + vote_at, counts);
    vote_gradient<lanes>(dvote, vote, all_earlier + at.j * size, all_ds + at.j * size, kWidth, R,
                         1 / static_cast<real>(J), at.j < J, last_only);
    if (!counts) continue;
    for (int o = 0; o < size; o += 4) {
      Vec4 sum = load_vector<Vec4>(du_hat + vote_at + o);
      for (int q = 0; q < 4; ++q) sum.value[q] += dvote[o + q];
      store_vector(du_hat + vote_at + o, sum);
    }
  }
}

/// Lanes for each input capsule: the least of 4, 8, 16 that J fits in.
int lanes_for(std::int64_t J) { return power_of_two_for(std::max<std::int64_t>(J, 4), 16); }

std::size_t kept_bytes(const CapsuleShape& p) {
  return static_cast<std::size_t>(2 * p.iterations * lanes_for(p.J) * p.O) * sizeof(real);
}

/// Calls f.run<lanes, size>() with the shape's.
template <class F>
void for_lanes(const CapsuleShape& p, const F& f) {
  const int lanes = lanes_for(p.J);
  if (p.O == 8) {
    if (lanes == 4) return f.template run<4, 8>();
    if (lanes == 8) return f.template run<8, 8>();
    return f.template run<16, 8>();
  }
  if (lanes == 4) return f.template run<4, 16>();
  if (lanes == 8) return f.template run<8, 16>();
  return f.template run<16, 16>();
}

struct Forward {
  real *v, *s;
  const real *u_hat, *bias;
  const std::int64_t* lengths;
  CapsuleSizes p;

  template <int lanes, int size>
  void run() const {
    SERENADE_LAUNCH((capsule_route<lanes, size>), dim3(static_cast<unsigned>(p.N)), dim3(kThreads),
                    0, current_stream(), v, s, u_hat, bias, lengths, p);
  }
};

struct Backward {
  real *du_hat, *ds;
  const real *dv, *s, *u_hat;
  const std::int64_t* lengths;
  CapsuleSizes p;
  bool last_only;
  std::size_t shared_bytes;

  template <int lanes, int size>
  void run() const {
    SERENADE_LAUNCH((capsule_route_backward<lanes, size>), dim3(static_cast<unsigned>(p.N)),
                    dim3(kThreads), shared_bytes, current_stream(), du_hat, ds, dv, s, u_hat,
                    lengths, p, last_only);
  }
};

}  // namespace

bool routes_in_one_block(const real* u_hat, const real* du_hat, const CapsuleShape& p) {
  return (p.O == 8 || p.O == 16) && p.J >= 1 && p.J <= 16 && p.I < (1 << 28) && p.N < (1LL << 31) &&
         static_cast<std::int64_t>(kept_bytes(p)) <= kMaxShared && is_vec4_aligned(u_hat) &&
         is_vec4_aligned(du_hat);
}

void capsule_routing_forward_v1_one_block(real* v, real* s, const real* u_hat, const real* bias,
                                          const CapsuleShape& shape) {
  if (shape.N == 0) return;
  const OnDevice<std::int64_t> lengths(shape.lengths, shape.N);
  for_lanes(shape, Forward{v, s, u_hat, bias, lengths.data(), CapsuleSizes(shape)});
}

void capsule_routing_backward_v1_one_block(real* du_hat, real* dbias, const real* dv, const real* s,
                                           const real* u_hat, const CapsuleShape& shape) {
  if (shape.N == 0) return;
  const CapsuleSizes p(shape);
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const DeviceArray<real> ds(p.N * p.R * p.J * p.O);
  for_lanes(shape, Backward{du_hat, ds.data(), dv, s, u_hat, lengths.data(), p, shape.last_only,
                            kept_bytes(shape)});
  if (dbias != nullptr) bias_gradient(dbias, ds.data(), p);
}

}  // namespace serenade::cuda
