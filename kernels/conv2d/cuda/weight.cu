// The weight gradient of the convolution, v2: sums in registers, stride 1. A block has up to 16
// input and 16 output channels and goes over a strip of tiles of 8 x 32 outputs, which it loads
// into shared memory together with their inputs. A thread has one input channel, one kernel row
// and 4 output channels: 4 S sums that stay in its registers for the whole strip. Where that needs
// fewer than 256 threads, groups of them share the pixels and add up at the end. Every block then
// writes one partial gradient, and a second kernel adds those in their order.
//
// Per 4 pixels: 16 S multiply-adds for (S + 6) / 4 + 4 loads of 16 bytes: 80 of 86 instructions for
// 5 taps. Shared memory for 16 to 16 channels and 5 x 5: 31 KB of inputs, 19 KB of gradients; 320
// threads of 80 registers, 2 blocks per multiprocessor. One sample on 2048 x 200: 5.24 GFLOP, 78 us
// at 67 TFLOP/s; 52 MB, 12 us at 4.3 TB/s; 256 partials of 26 KB, written and read: 13 MB, 3 us.

#include "kernels/conv2d/cuda/tile.cuh"

namespace serenade::cuda {
namespace {

// 4 x 16 x 8: output channels / 4, input channels, kernel rows. (Only nvcc reads launch bounds.)
[[maybe_unused]] constexpr int kMaxThreads = 512;
constexpr int kChannels = 16;  // per block, of inputs and of outputs
constexpr int kTileRows = 8, kTileColumns = 32, kDyPitch = 36;
constexpr int kSteps = kTileRows * kTileColumns / 4;  // of 4 pixels
constexpr std::int64_t kMaxStrips = 264;              // 2 for each multiprocessor of an H200

/// How threads share the work, from the sizes alone. An item is what one thread sums up.
struct WeightPlan {
  MapSource x, dy;
  int C, K, R, pad_top, pad_left;
  int channels_in, channels_out;  // per block: kChannels or fewer
  int blocks_in, quarter;         // blocks of input channels; channels_out / 4, rounded up
  int items, groups;
  int tiles_h, tiles_w;
  std::int64_t tiles, tiles_per_strip;
  int x_plane, dy_plane;  // of a channel in shared memory: 4 words more than whole rounds of banks

  WeightPlan(const ConvSource& source, const real* input, const Conv2dShape& s)
      : x{input, nullptr, map_windows(s.C, s.H, s.W)},
        dy(gradient_map(source, s)),
        C(static_cast<int>(s.C)),
        K(static_cast<int>(s.K)),
        R(static_cast<int>(s.R)),
        pad_top(static_cast<int>(s.pad_top)),
        pad_left(static_cast<int>(s.pad_left)) {
    channels_in = std::min(C, kChannels);
    channels_out = std::min(K, kChannels);
    blocks_in = (C + kChannels - 1) / kChannels;
    quarter = (channels_out + 3) / 4;
    items = quarter * channels_in * R;
    groups = std::clamp(256 / items, 1, kSteps);
    tiles_h = static_cast<int>((s.out_h() + kTileRows - 1) / kTileRows);
    tiles_w = static_cast<int>((s.out_w() + kTileColumns - 1) / kTileColumns);
    tiles = s.N * tiles_h * tiles_w;
    const std::int64_t strips = std::clamp<std::int64_t>(kMaxStrips / blocks(), 1, tiles);
    tiles_per_strip = (tiles + strips - 1) / strips;
    x_plane = ((kTileRows + R - 1) * kConvPitch + 31) / 32 * 32 + 4;
    dy_plane = kTileRows * kDyPitch + 4;
  }

  int blocks() const { return blocks_in * ((K + kChannels - 1) / kChannels); }
  std::int64_t strips() const { return (tiles + tiles_per_strip - 1) / tiles_per_strip; }
  int threads() const { return (items * groups + 31) / 32 * 32; }
  int shared_words(int S) const {
    const int tile = channels_in * x_plane + 4 * quarter * dy_plane;
    return groups > 1 ? std::max(tile, groups * items * 4 * S) : tile;
  }
};

/// Loads tile number `tile` into shared memory: inputs from channel c0, gradients from channel k0.
template <int S>
__device__ __forceinline__ void load_tile(SharedPointer<real> x, SharedPointer<real> dy,
                                          const WeightPlan& p, std::int64_t tile, int c0, int k0) {
  const std::int64_t line = tile / p.tiles_w, n = line / p.tiles_h;
  const int row = static_cast<int>(line - n * p.tiles_h) * kTileRows;
  const int column = static_cast<int>(tile - line * p.tiles_w) * kTileColumns;
  load_box<kConvPitch>(x, p.x_plane, p.x,
                       {n, c0, row - p.pad_top, column - p.pad_left, p.channels_in,
                        kTileRows + p.R - 1, kTileColumns + S - 1});
  load_box<kDyPitch>(dy, p.dy_plane, p.dy,
                     {n, k0, row, column, 4 * p.quarter, kTileRows, kTileColumns});
}

/// sums[i][s] += over 4 neighbouring pixels; gradients of the thread's 4 channels lie `apart`.
template <int S>
__device__ __forceinline__ void add_pixels(real (&sums)[4][S], SharedPointer<const real> x,
                                           SharedPointer<const real> dy, int apart) {
  constexpr int kVec4s = (S + 6) / 4;
  real in[4 * kVec4s];
  SERENADE_UNROLL for (int q = 0; q < kVec4s; ++q) {
    const Vec4 four = load_vector<Vec4>(x + 4 * q);
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) in[4 * q + e] = four.value[e];
  }
  SERENADE_UNROLL for (int i = 0; i < 4; ++i) {
    const Vec4 d = load_vector<Vec4>(dy + i * apart);
    SERENADE_UNROLL for (int j = 0; j < 4; ++j) {
      SERENADE_UNROLL for (int s = 0; s < S; ++s) sums[i][s] += d.value[j] * in[s + j];
    }
  }
}

/// Adds up the groups, in their order, into group 0. All threads take part.
template <int S>
__device__ __forceinline__ void add_groups(real (&sums)[4][S], SharedPointer<real> scratch,
                                           const WeightPlan& p, int item, int group) {
  __syncthreads();
  if (group < p.groups) {
    SERENADE_UNROLL for (int e = 0; e < 4 * S; ++e) {
      scratch[(group * 4 * S + e) * p.items + item] = sums[e / S][e % S];
    }
  }
  __syncthreads();
  if (group != 0) return;
  for (int other = 1; other < p.groups; ++other) {
    SERENADE_UNROLL for (int e = 0; e < 4 * S; ++e) {
      const real more = scratch[(other * 4 * S + e) * p.items + item];
      sums[e / S][e % S] += more;
    }
  }
}

/// partials: [strips][K][C][R][S]; blockIdx.x: strip, blockIdx.y: block of channels.
template <int S>
__global__ void __launch_bounds__(kMaxThreads, 1)
    sum_in_registers(GlobalPointer<real> partials, WeightPlan p) {
  SERENADE_DYNAMIC_SHARED(real, pool);
  const SharedPointer<real> x = pool, dy = x + p.channels_in * p.x_plane;
  const int thread = static_cast<int>(threadIdx.x), group = thread / p.items;
  const int item = thread - group * p.items;
  // Neighbouring lanes have other gradients, then other inputs: all in different banks.
  const int k = item % p.quarter, c = item / p.quarter % p.channels_in;
  const int r = item / (p.quarter * p.channels_in);
  const int c0 = static_cast<int>(blockIdx.y) % p.blocks_in * kChannels;
  const int k0 = static_cast<int>(blockIdx.y) / p.blocks_in * kChannels;
  const std::int64_t begin = blockIdx.x * p.tiles_per_strip;
  const std::int64_t end = min(p.tiles, begin + p.tiles_per_strip);
  real sums[4][S] = {};
  for (std::int64_t tile = begin; tile < end; ++tile) {
    __syncthreads();
    load_tile<S>(x, dy, p, tile, c0, k0);
    __syncthreads();
    if (group >= p.groups) continue;  // fills up the last warp
    SERENADE_UNROLL_BY(1) for (int step = group; step < kSteps; step += p.groups) {
      const int row = step / (kTileColumns / 4), column = step % (kTileColumns / 4) * 4;
      add_pixels(sums, x + (c * p.x_plane + (row + r) * kConvPitch + column),
                 dy + (k * p.dy_plane + row * kDyPitch + column), p.quarter * p.dy_plane);
    }
  }
  if (p.groups > 1) add_groups(sums, pool, p, item, group);
  if (group != 0 || c0 + c >= p.C) return;
  SERENADE_UNROLL for (int i = 0; i < 4; ++i) {
    const int channel = k0 + k + i * p.quarter;
    if (k + i * p.quarter >= p.channels_out || channel >= p.K) continue;
    const std::int64_t strip = static_cast<std::int64_t>(blockIdx.x) * p.K;
    SERENADE_UNROLL for (int s = 0; s < S; ++s) {
      partials[(((strip + channel) * p.C + c0 + c) * p.R + r) * S + s] = sums[i][s];
    }
  }
}

template <int S>
void launch(const WeightPlan& p, real* partials) {
  const dim3 grid(static_cast<unsigned>(p.strips()), static_cast<unsigned>(p.blocks()));
  SERENADE_LAUNCH(sum_in_registers<S>, grid, dim3(static_cast<unsigned>(p.threads())),
                  sizeof(real) * static_cast<std::size_t>(p.shared_words(S)), current_stream(),
                  partials, p);
}

}  // namespace

void conv2d_backward_weight_v2_register_block(real* dweight, const ConvSource& dy, const real* x,
                                              const Conv2dShape& shape) {
  if (shape.N == 0) return;
  const WeightPlan plan(dy, x, shape);
  const std::int64_t size = shape.K * shape.C * shape.R * shape.S;
  const DeviceArray<real> partials(plan.strips() * size);
  constexpr void (*kLaunches[kMaxConvTaps])(const WeightPlan&, real*) = {
      launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
  kLaunches[shape.S - 1](plan, partials.data());
  add_conv_partials(dweight, partials.data(), plan.strips(), size);
}

}  // namespace serenade::cuda
