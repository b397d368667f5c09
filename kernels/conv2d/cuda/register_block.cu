// Convolution v2: blocks of 32 x 32 outputs times 16 (or 8) output channels, 256 threads, stride 1.
// A thread has 4 neighbouring columns times all channels of the block: 64 sums in registers. Inputs
// lie in shared memory, 4 channels at a time, and so do their weights, of which all lanes read the
// same 16 bytes at once.
//
// Per input channel and kernel row of S taps: 64 S multiply-adds for (S + 6) / 4 loads of inputs
// and 4 S of weights, so for 5 taps 320 of 342 instructions multiply. Shared memory for 16 channels
// and 5 x 5 taps: 23 KB of inputs and 6.4 KB of weights. 114 to 128 registers (8 output channels:
// 82 to 96), 2 blocks per multiprocessor. Inputs are read 1.27 times (halo).
//
// One sample of 16 to 16 channels, 5 x 5, on 2048 x 200: 5.24 GFLOP, of which 67 TFLOP/s take 78
// us; 52 MB, of which 4.3 TB/s take 12 us. A first layer, 1 to 8 channels, 2 x 8 or 8 x 2, on 4096
// x 200 with a pool of 2 x 2: 0.21 GFLOP, 3.1 us; 3.3 MB of x, 6.6 MB of y and 1.6 MB of
// indices, 2.7 us. The map before the pool, 26 MB, stays in shared memory, 18 KB per block.

#include "kernels/conv2d/cuda/tile.cuh"

namespace serenade::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChunk = 4;        // input channels in shared memory
constexpr int kStagePitch = 36;  // of a row of the tile when it is pooled

/// packed: [blocks of outputs][inputs][R][S][width]
__global__ void __launch_bounds__(kLoopThreads)
    pack_weights(GlobalPointer<real> packed, GlobalPointer<const real> weight, TapOrder order,
                 int width, int count) {
  for (int e = static_cast<int>(loop_begin()); e < count; e += static_cast<int>(grid_stride())) {
    int rest = e / width;
    const int lane = e - rest * width, s = rest % order.S;
    rest /= order.S;
    const int r = rest % order.R;
    rest /= order.R;
    const int c = rest % order.inputs, block = rest / order.inputs;
    packed[e] = order.at(weight, block * width + lane, c, r, s);
  }
}

/// Inputs of a chunk of channels; what is pooled from 4 channels of outputs reuses their memory.
__host__ __device__ inline int tile_words(const TiledConv& p) {
  const int inputs = (p.inputs < kChunk ? p.inputs : kChunk) * (kConvTile + p.R - 1) * kConvPitch;
  const int pooled = p.y.index ? 4 * kConvTile * kStagePitch : 0;
  return inputs > pooled ? inputs : pooled;
}

/// sums[k][j] += over the S taps of one kernel row; `row` begins at the thread's first column.
template <int S, int Outputs>
__device__ __forceinline__ void add_kernel_row(real (&sums)[Outputs][4],
                                               SharedPointer<const real> row,
                                               SharedPointer<const real> weights) {
  constexpr int kVec4s = (S + 6) / 4;
  real x[4 * kVec4s];
  SERENADE_UNROLL for (int q = 0; q < kVec4s; ++q) {
    const Vec4 four = load_vector<Vec4>(row + 4 * q);
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) x[4 * q + e] = four.value[e];
  }
  SERENADE_UNROLL for (int s = 0; s < S; ++s) {
    SERENADE_UNROLL for (int q = 0; q < Outputs / 4; ++q) {
      const Vec4 w = load_vector<Vec4>(weights + s * Outputs + 4 * q);
      SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
        SERENADE_UNROLL for (int j = 0; j < 4; ++j) sums[4 * q + e][j] += w.value[e] * x[s + j];
      }
    }
  }
}

template <int Outputs>
__device__ __forceinline__ void store_tile(const real (&sums)[Outputs][4], const TiledConv& p,
                                           const TilePosition& at, int row, int column) {
  SERENADE_UNROLL for (int k = 0; k < Outputs; ++k) {
    const int channel = at.output_block * Outputs + k;
    const real bias = p.bias_of(channel);
    const Vec4 four{{sums[k][0] + bias, sums[k][1] + bias, sums[k][2] + bias, sums[k][3] + bias}};
    p.y.put_vec4(at.n, channel, at.row + row, at.column + column, four, p.vec4s);
  }
}

/// Through shared memory, 4 channels at a time, to threads that have a window each.
template <int Outputs>
__device__ __forceinline__ void store_pooled_tile(const real (&sums)[Outputs][4],
                                                  const TiledConv& p, const TilePosition& at,
                                                  int row, int column, SharedPointer<real> stage) {
  SERENADE_UNROLL for (int q = 0; q < Outputs / 4; ++q) {
    const int first = at.output_block * Outputs + 4 * q;
    __syncthreads();
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      const real bias = p.bias_of(first + e);
      SERENADE_UNROLL for (int j = 0; j < 4; ++j) {
        stage[(e * kConvTile + row) * kStagePitch + column + j] = sums[4 * q + e][j] + bias;
      }
    }
    __syncthreads();
    pool_tile<kStagePitch>(stage, p, at, first, 4, kThreads);
  }
}

template <int S, int Outputs>
__global__ void __launch_bounds__(kThreads, sizeof(real) == 4 ? 2 : 1)
    convolve_register_block(TiledConv p, GlobalPointer<const real> packed) {
  SERENADE_DYNAMIC_SHARED(real, pool);
  const TilePosition at(p);
  const int rows = kConvTile + p.R - 1, taps = p.R * S * Outputs;
  const SharedPointer<real> tile = pool;
  const SharedPointer<real> weights = tile + tile_words(p);
  const int row = static_cast<int>(threadIdx.x) / 8, column = static_cast<int>(threadIdx.x) % 8 * 4;
  real sums[Outputs][4] = {};
  for (int first = 0; first < p.inputs; first += kChunk) {
    const int channels = min(kChunk, p.inputs - first);
    __syncthreads();
    load_box<kConvPitch>(tile, rows * kConvPitch, p.x,
                         {at.n, first, at.row - p.pad_top, at.column - p.pad_left, channels, rows,
                          kConvTile + S - 1});
    const std::int64_t from =
        (static_cast<std::int64_t>(at.output_block) * p.inputs + first) * taps;
    for (int e = static_cast<int>(threadIdx.x); e < channels * taps; e += kThreads) {
      weights[e] = real(packed[from + e]);
    }
    __syncthreads();
    SERENADE_UNROLL_BY(1) for (int c = 0; c < channels; ++c) {
      SERENADE_UNROLL_BY(1) for (int r = 0; r < p.R; ++r) {
        add_kernel_row<S>(sums, tile + ((c * rows + row + r) * kConvPitch + column),
                          weights + (c * p.R + r) * S * Outputs);
      }
    }
  }
  if (p.y.index) {
    store_pooled_tile(sums, p, at, row, column, tile);
  } else {
    store_tile(sums, p, at, row, column);
  }
}

template <int S>
void launch(const TiledConv& p, std::int64_t samples, int outputs, const real* packed) {
  const dim3 grid(static_cast<unsigned>(blocks_of(p, samples)));
  const std::size_t shared =
      sizeof(real) * (tile_words(p) + std::min(kChunk, p.inputs) * p.R * S * outputs);
  if (outputs == 8) {
    SERENADE_LAUNCH((convolve_register_block<S, 8>), grid, dim3(kThreads), shared, current_stream(),
                    p, packed);
  } else {
    SERENADE_LAUNCH((convolve_register_block<S, 16>), grid, dim3(kThreads), shared,
                    current_stream(), p, packed);
  }
}

constexpr int outputs_per_block(std::int64_t channels) { return channels <= 8 ? 8 : 16; }

void convolve(const TiledConv& p, std::int64_t samples, const real* weight, const TapOrder& order) {
  if (samples == 0) return;
  const int outputs = outputs_per_block(order.outputs);
  const int count = p.output_blocks * outputs * order.inputs * order.R * order.S;
  const DeviceArray<real> packed(count);
  SERENADE_LAUNCH(pack_weights, loop_grid(count), dim3(kLoopThreads), 0, current_stream(),
                  packed.data(), weight, order, outputs, count);
  constexpr void (*kLaunches[kMaxConvTaps])(const TiledConv&, std::int64_t, int, const real*) = {
      launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
  kLaunches[p.S - 1](p, samples, outputs, packed.data());
}

}  // namespace

bool conv2d_register_block_supports(const Conv2dShape& s, std::int64_t pool_h,
                                    std::int64_t pool_w) {
  return s.stride_h == 1 && s.stride_w == 1 && s.R <= kMaxConvTaps && s.S <= kMaxConvTaps &&
         pool_h <= kConvTile && pool_w <= kConvTile;
}

void conv2d_forward_v2_register_block(const ConvSink& y, const real* x, const real* weight,
                                      const real* bias, const Conv2dShape& shape) {
  convolve(tiled_forward(y, x, bias, shape, outputs_per_block(shape.K)), shape.N, weight,
           tap_order(shape, false));
}

void conv2d_backward_input_v2_register_block(real* dx, const ConvSource& dy, const real* weight,
                                             const Conv2dShape& shape) {
  convolve(tiled_backward_input(dx, dy, shape, outputs_per_block(shape.C)), shape.N, weight,
           tap_order(shape, true));
}

}  // namespace serenade::cuda
