// The weight gradient of the convolution, v3: TF32 tensor cores, stride 1. For one tap it is a
// product of [16 output channels, pixels] and [pixels, 16 input channels], and 8 neighbouring
// pixels are the depth of D[16, 8] += A[16, 8] B[8, 8]: A gradients, B the inputs under the tap.
//
// A block goes over a strip of tiles of 16 x 32 outputs. A warp has one kernel column s, and with
// it R x 2 products' sums; 2 groups of S warps share the columns of a tile. A warp goes down the
// rows of inputs: row h is multiplied with the gradients of rows h - r for all r, which wait in
// registers, R fragments in a ring. So 4 words of gradients and 4 of inputs per lane make 2 R
// products, 10 for 5 x 5. Groups write partial gradients of their own, and a second kernel adds all
// of them in their order.
//
// 5 x 5: 320 threads of 91 registers (40 sums, 20 gradients), 33 KB of gradients and 51.5 KB of
// inputs in shared memory, 2 blocks per multiprocessor. 6 x 6: 384 threads of up to 128 registers,
// 88 KB, 1 block. One sample of 16 to 16 channels, 5 x 5, on 2048 x 200: 5.24 GFLOP, of which 400
// TFLOP/s take 13 us; 52 MB, of which 4.3 TB/s take 12 us; 448 partials of 26 KB, written and read:
// 23 MB, 5 us.

#include "kernels/conv2d/cuda/tile.cuh"

#ifdef SERENADE_DOUBLE
#include <stdexcept>
#endif

namespace serenade::cuda {

#ifdef SERENADE_DOUBLE

void conv2d_backward_weight_v3_tensor_core(real*, const ConvSource&, const real*,
                                           const Conv2dShape&) {
  throw std::logic_error("conv2d_backward_weight_v3_tensor_core: TF32 is a form of float");
}

#else

namespace {

constexpr int kChannels = 16;  // per block, of inputs and of outputs
constexpr int kNarrow = 5;     // kernels up to so many columns have kernels of their own
constexpr int kTileRows = 16, kTileColumns = 32, kDyPitch = 32;
constexpr int kDyPlane = kTileRows * kDyPitch + 4;
constexpr int kMaxStrips = 264;  // 2 for each multiprocessor of an H200

/// Groups of S warps. Of the 4 times 8 columns of a tile each has every kGroups-th. Tall kernels
/// need more registers than two groups would leave them.
template <int R>
constexpr int kGroups = R <= 6 ? 2 : 1;

/// Words of a channel's inputs: 4 more than whole rounds of banks, as kDyPlane, so that 8 channels
/// times 4 pixels lie in 32 banks.
template <int R>
constexpr int kPlane = ((kTileRows + R - 1) * kConvPitch + 31) / 32 * 32 + 4;

struct TensorWeightPlan {
  MapSource x, dy;
  int C, K, S, pad_top, pad_left;
  int blocks_in, blocks_out;
  int tiles_h, tiles_w;
  int tiles, tiles_per_strip;

  TensorWeightPlan(const ConvSource& source, const real* input, const Conv2dShape& s)
      : x{input, nullptr, map_windows(s.C, s.H, s.W)},
        dy(gradient_map(source, s)),
        C(static_cast<int>(s.C)),
        K(static_cast<int>(s.K)),
        S(static_cast<int>(s.S)),
        pad_top(static_cast<int>(s.pad_top)),
        pad_left(static_cast<int>(s.pad_left)) {
    blocks_in = (C + kChannels - 1) / kChannels;
    blocks_out = (K + kChannels - 1) / kChannels;
    tiles_h = static_cast<int>((s.out_h() + kTileRows - 1) / kTileRows);
    tiles_w = static_cast<int>((s.out_w() + kTileColumns - 1) / kTileColumns);
    tiles = static_cast<int>(s.N) * tiles_h * tiles_w;
    const int strips = std::clamp(kMaxStrips / (blocks_in * blocks_out), 1, tiles);
    tiles_per_strip = (tiles + strips - 1) / strips;
  }

  int strips() const { return (tiles + tiles_per_strip - 1) / tiles_per_strip; }
};

/// Loads tile number `tile` into shared memory: inputs from channel c0, gradients from channel k0.
template <int R>
__device__ __forceinline__ void load_tile(SharedPointer<float> x, SharedPointer<float> dy,
                                          const TensorWeightPlan& p, int tile, int c0, int k0) {
  const int line = tile / p.tiles_w, n = line / p.tiles_h;
  const int row = (line - n * p.tiles_h) * kTileRows;
  const int column = (tile - line * p.tiles_w) * kTileColumns;
  load_box<kConvPitch>(x, kPlane<R>, p.x,
                       {n, c0, row - p.pad_top, column - p.pad_left, kChannels, kTileRows + R - 1,
                        kTileColumns + p.S - 1});
  load_box<kDyPitch>(dy, kDyPlane, p.dy, {n, k0, row, column, kChannels, kTileRows, kTileColumns});
}

template <int R>
using Sums = float[R][2][4];  // by kernel row and 8 input channels; in it: mma_m16n8k8

/// All rows of 8 columns, for the first `Taps` of the sums; x and dy begin at the lane's channel
/// and column, x at the row of the first tap.
template <int R, int Taps>
__device__ __forceinline__ void sweep_rows(Sums<R>& sums, SharedPointer<const float> x,
                                           SharedPointer<const float> dy) {
  std::uint32_t gradients[Taps][4] = {};  // row i in slot i % Taps
  SERENADE_UNROLL for (int row = 0; row < kTileRows + Taps - 1; ++row) {
    if (row < kTileRows) {
      SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
        gradients[row % Taps][e] = to_tf32(dy[row * kDyPitch + e % 2 * 8 * kDyPlane + e / 2 * 4]);
      }
    }
    std::uint32_t in[2][2];
    SERENADE_UNROLL for (int half = 0; half < 2; ++half) {
      SERENADE_UNROLL for (int e = 0; e < 2; ++e) {
        in[half][e] = to_tf32(x[row * kConvPitch + half * 8 * kPlane<R> + e * 4]);
      }
    }
    SERENADE_UNROLL for (int r = 0; r < Taps; ++r) {
      const int output = row - r;
      if (output < 0 || output >= kTileRows) continue;
      mma_m16n8k8(sums[r][0], gradients[output % Taps], in[0]);
      mma_m16n8k8(sums[r][1], gradients[output % Taps], in[1]);
    }
  }
}

/// The taps that kernel column s has; x begins at the row of tap 0.
template <int R>
__device__ __forceinline__ void sweep_column(Sums<R>& sums, const ColumnTaps& taps, int s,
                                             SharedPointer<const float> x,
                                             SharedPointer<const float> dy) {
  constexpr int kMin = fewest_taps(R);
  if constexpr (kMin == R) {
    sweep_rows<R, R>(sums, x, dy);
  } else {
    const SharedPointer<const float> from = x + taps.first_row(s) * kConvPitch;
    const int count = taps.count(s);
    if (count == R) {
      sweep_rows<R, R>(sums, from, dy);
    } else if (count == R - 1) {
      sweep_rows<R, R - 1>(sums, from, dy);
    } else {
      sweep_rows<R, kMin>(sums, from, dy);
    }
  }
}

/// partials: [strips][groups][K][C][R][S]; blockIdx.x: strip, blockIdx.y: block of channels.
template <int R, int MaxColumns>
__global__ void __launch_bounds__(kGroups<R>* MaxColumns * 32,
                                  R <= 5 && MaxColumns <= kNarrow ? 2 : 1)
    sum_row_sweep(GlobalPointer<float> partials, TensorWeightPlan p, ColumnTaps taps) {
  SERENADE_DYNAMIC_SHARED(float, pool);
  const SharedPointer<float> x = pool, dy = x + kChannels * kPlane<R>;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int s = warp / kGroups<R>, part = warp % kGroups<R>, group = lane / 4, member = lane % 4;
  const int c0 = static_cast<int>(blockIdx.y) % p.blocks_in * kChannels;
  const int k0 = static_cast<int>(blockIdx.y) / p.blocks_in * kChannels;
  const int begin = static_cast<int>(blockIdx.x) * p.tiles_per_strip;
  const int end = min(p.tiles, begin + p.tiles_per_strip);
  Sums<R> sums = {};  // from the column's first tap on
  for (int tile = begin; tile < end; ++tile) {
    __syncthreads();
    load_tile<R>(x, dy, p, tile, c0, k0);
    __syncthreads();
    SERENADE_UNROLL_BY(1)
    for (int column = 8 * part; column < kTileColumns; column += 8 * kGroups<R>) {
      sweep_column<R>(sums, taps, s, x + (group * kPlane<R> + column + s + member),
                      dy + (group * kDyPlane + column + member));
    }
  }
  const int first = fewest_taps(R) < R ? taps.first_row(s) : 0;
  const std::int64_t own = static_cast<std::int64_t>(blockIdx.x) * kGroups<R> + part;
  SERENADE_UNROLL for (int half = 0; half < 2; ++half) {
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      const int k = k0 + group + e / 2 * 8, c = c0 + 8 * half + 2 * member + e % 2;
      if (k >= p.K || c >= p.C) continue;
      SERENADE_UNROLL for (int i = 0; i < R; ++i) {  // after the last tap are zeros
        const int r = first + i < R ? first + i : first + i - R;
        partials[(((own * p.K + k) * p.C + c) * R + r) * p.S + s] = sums[i][half][e];
      }
    }
  }
}

template <int R>
void launch(const TensorWeightPlan& p, const ColumnTaps& taps, float* dweight) {
  const std::int64_t size = static_cast<std::int64_t>(p.K) * p.C * R * p.S;
  const DeviceArray<float> partials(kGroups<R> * p.strips() * size);
  SERENADE_LAUNCH(
      (p.S <= kNarrow ? sum_row_sweep<R, kNarrow> : sum_row_sweep<R, kMaxConvTaps>),
      dim3(static_cast<unsigned>(p.strips()), static_cast<unsigned>(p.blocks_in * p.blocks_out)),
      dim3(static_cast<unsigned>(kGroups<R> * p.S * 32)),
      sizeof(float) * kChannels * (kPlane<R> + kDyPlane), current_stream(), partials.data(), p,
      taps);
  add_conv_partials(dweight, partials.data(), kGroups<R> * p.strips(), size);
}

}  // namespace

void conv2d_backward_weight_v3_tensor_core(real* dweight, const ConvSource& dy, const real* x,
                                           const Conv2dShape& shape) {
  if (shape.N == 0) return;
  constexpr void (*kLaunches[kMaxConvTaps])(const TensorWeightPlan&, const ColumnTaps&, float*) = {
      launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
  kLaunches[shape.R - 1](TensorWeightPlan(dy, x, shape), column_taps(shape, false), dweight);
}

#endif

}  // namespace serenade::cuda
