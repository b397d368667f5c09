// Convolution v3: TF32 tensor cores, stride 1. A block has 32 x 32 outputs times 16 output
// channels, a warp of its 4 has 16 x 16 of them. A product D[16, 8] += A[16, 8] B[8, 8] takes 16
// neighbouring columns of one row of inputs as A, 8 input channels deep, and the weights of one tap
// to 8 output channels as B. "Row sweep": the weights of one kernel column, all R rows of it, lie
// in registers; the warp goes down the rows of inputs, and what it reads of one row serves all the
// R output rows that see it. So 4 words of shared memory per lane make 2 R products, 10 for 5 x 5:
// 16 + R - 1 reads of A per 32 R products, 32 FLOP per byte.
//
// Images are [N, C, H, W] and stay so in shared memory: 8 channels, rows of 40, and planes of
// whole rounds of banks plus 8, which puts the 8 columns times 4 channels that the lanes of a warp
// read at once into 32 banks. Weights are packed in the order of the lanes, 16 bytes to each, and
// come from the caches (25.6 KB for 16 to 16 channels, 5 x 5).
//
// The union kernel of a search, 6 x 6 around 5 x 5, 4 x 6 and 6 x 4, has corners that no candidate
// covers: its first column has 5 taps and its last 4, so 33 products are made of 36.
//
// 5 x 5: 46.3 KB of shared memory and 168 registers (128 sums, 20 weights), 3 blocks per
// multiprocessor. From 6 rows on about 200 registers and 2 blocks. One sample of 16 to 16 channels
// on 2048 x 200: 5.24 GFLOP, of which 400 TFLOP/s take 13 us; 52 MB, of which 4.3 TB/s take 12 us;
// 448 blocks for 396 slots.

#include "kernels/conv2d/cuda/tile.cuh"

#ifdef SERENADE_DOUBLE
#include <stdexcept>
#endif

namespace serenade::cuda {

#ifdef SERENADE_DOUBLE

void conv2d_forward_v3_tensor_core(const ConvSink&, const real*, const real*, const real*,
                                   const Conv2dShape&) {
  throw std::logic_error("conv2d_forward_v3_tensor_core: TF32 is a form of float");
}

void conv2d_backward_input_v3_tensor_core(real*, const ConvSource&, const real*,
                                          const Conv2dShape&) {
  throw std::logic_error("conv2d_backward_input_v3_tensor_core: TF32 is a form of float");
}

#else

namespace {

constexpr int kThreads = 128;
constexpr int kOutputs = 16;     // output channels of a block
constexpr int kDepth = 8;        // input channels of one product, and in shared memory
constexpr int kWarpTile = 16;    // rows and columns of a warp
constexpr int kFragment = 4;     // words per lane and tap: two for each 8 output channels
constexpr int kStagePitch = 33;  // of a row of the tile when it is pooled

template <int R>
constexpr int kPlane = ((kConvTile + R - 1) * kConvPitch + 31) / 32 * 32 + 8;

/// packed: [blocks of outputs][chunks of inputs][S][R][lane][kFragment], TF32
__global__ void __launch_bounds__(kLoopThreads)
    pack_fragments(GlobalPointer<std::uint32_t> packed, GlobalPointer<const real> weight,
                   TapOrder order, int chunks, int count) {
  for (int e = static_cast<int>(loop_begin()); e < count; e += static_cast<int>(grid_stride())) {
    const int word = e % kFragment, lane = e / kFragment % 32;
    int rest = e / (kFragment * 32);
    const int r = rest % order.R;
    rest /= order.R;
    const int s = rest % order.S;
    rest /= order.S;
    const int chunk = rest % chunks, block = rest / chunks;
    const int k = block * kOutputs + word / 2 * 8 + lane / 4;
    const int c = chunk * kDepth + word % 2 * 4 + lane % 4;
    packed[e] = to_tf32(order.at(weight, k, c, r, s));
  }
}

using Sums = float[kWarpTile][2][4];  // by row and 8 output channels; in it: mma_m16n8k8

/// `Taps` neighbouring taps of one kernel column; `tile` begins at the lane's channel and column
/// and the first tap's row. R: rows of the kernel.
template <int R, int Taps>
__device__ __forceinline__ void sweep_rows(Sums& sums, SharedPointer<const float> tile,
                                           GlobalPointer<const std::uint32_t> packed) {
  std::uint32_t weights[Taps][2][2];
  SERENADE_UNROLL for (int r = 0; r < Taps; ++r) {
    const uint4 words = load_vector<uint4>(packed + r * 32 * kFragment);
    weights[r][0][0] = words.x;
    weights[r][0][1] = words.y;
    weights[r][1][0] = words.z;
    weights[r][1][1] = words.w;
  }
  SERENADE_UNROLL for (int row = 0; row < kWarpTile + Taps - 1; ++row) {
    std::uint32_t in[4];
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      in[e] = to_tf32(tile[row * kConvPitch + e % 2 * 8 + e / 2 * 4 * kPlane<R>]);
    }
    SERENADE_UNROLL for (int r = 0; r < Taps; ++r) {
      const int output = row - r;
      if (output < 0 || output >= kWarpTile) continue;
      mma_m16n8k8(sums[output][0], in, weights[r][0]);
      mma_m16n8k8(sums[output][1], in, weights[r][1]);
    }
  }
}

/// The taps that kernel column s has; `tile` and `packed` begin with the column's first.
template <int R>
__device__ __forceinline__ void sweep_column(Sums& sums, const ColumnTaps& taps, int s,
                                             SharedPointer<const float> tile,
                                             GlobalPointer<const std::uint32_t> packed) {
  constexpr int kMin = fewest_taps(R);
  if constexpr (kMin == R) {
    sweep_rows<R, R>(sums, tile, packed);
  } else {
    const int first = taps.first_row(s), count = taps.count(s);
    const SharedPointer<const float> from = tile + first * kConvPitch;
    const GlobalPointer<const std::uint32_t> weights = packed + first * 32 * kFragment;
    if (count == R) {
      sweep_rows<R, R>(sums, from, weights);
    } else if (count == R - 1) {
      sweep_rows<R, R - 1>(sums, from, weights);
    } else {
      sweep_rows<R, kMin>(sums, from, weights);
    }
  }
}

/// The position of the lane's sums in the block's tile: channel 8 half + 2 member + e % 2, column
/// of element e.
struct LanePosition {
  int row, column, channel;

  __device__ __forceinline__ LanePosition() {
    const int thread = static_cast<int>(threadIdx.x), warp = thread / 32, lane = thread % 32;
    row = warp / 2 * kWarpTile;
    column = warp % 2 * kWarpTile + lane / 4;
    channel = 2 * (lane % 4);
  }
};

__device__ __forceinline__ void store_tile(const Sums& sums, const TiledConv& p,
                                           const TilePosition& at, const LanePosition& lane) {
  const MapWindows& map = p.y.map;
  const int rows = map.height - at.row - lane.row;  // of them, the first 16 are the warp's
  SERENADE_UNROLL for (int half = 0; half < 2; ++half) {
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      const int k = at.output_block * kOutputs + 8 * half + lane.channel + e % 2;
      const int column = at.column + lane.column + e / 2 * 8;
      if (k >= map.channels || column >= map.width) continue;
      const real bias = p.bias_of(k);
      std::int64_t to =
          ((at.n * map.channels + k) * map.height + at.row + lane.row) * map.width + column;
      SERENADE_UNROLL for (int row = 0; row < kWarpTile; ++row) {
        if (row < rows) p.y.put_at(to, sums[row][half][e] + bias);
        to += map.width;
      }
    }
  }
}

/// Through shared memory, 8 channels at a time, to threads that have a window each.
__device__ __forceinline__ void store_pooled_tile(const Sums& sums, const TiledConv& p,
                                                  const TilePosition& at, const LanePosition& lane,
                                                  SharedPointer<real> stage) {
  SERENADE_UNROLL for (int half = 0; half < 2; ++half) {
    const int first = at.output_block * kOutputs + 8 * half;
    __syncthreads();
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      const int c = lane.channel + e % 2;
      const real bias = p.bias_of(first + c);
      SERENADE_UNROLL for (int row = 0; row < kWarpTile; ++row) {
        stage[(c * kConvTile + lane.row + row) * kStagePitch + lane.column + e / 2 * 8] =
            sums[row][half][e] + bias;
      }
    }
    __syncthreads();
    pool_tile<kStagePitch>(stage, p, at, first, 8, kThreads);
  }
}

template <int R>
__global__ void __launch_bounds__(kThreads, R <= 5 ? 3 : 2)
    convolve_row_sweep(TiledConv p, GlobalPointer<const std::uint32_t> packed) {
  SERENADE_DYNAMIC_SHARED(float, tile);
  const TilePosition at(p);
  const LanePosition lane;
  const int chunks = (p.inputs + kDepth - 1) / kDepth, own = static_cast<int>(threadIdx.x) % 32;
  const int corner = own % 4 * kPlane<R> + lane.row * kConvPitch + lane.column;
  Sums sums = {};
  for (int chunk = 0; chunk < chunks; ++chunk) {
    __syncthreads();
    load_box<kConvPitch>(tile, kPlane<R>, p.x,
                         {at.n, chunk * kDepth, at.row - p.pad_top, at.column - p.pad_left, kDepth,
                          kConvTile + R - 1, kConvTile + p.S - 1});
    __syncthreads();
    SERENADE_UNROLL_BY(1) for (int s = 0; s < p.S; ++s) {
      const std::int64_t column =
          (static_cast<std::int64_t>(at.output_block) * chunks + chunk) * p.S + s;
      sweep_column<R>(sums, p.taps, s, tile + (corner + s),
                      packed + (column * R * 32 + own) * kFragment);
    }
  }
  if (p.y.index) {
    store_pooled_tile(sums, p, at, lane, tile);
  } else {
    store_tile(sums, p, at, lane);
  }
}

template <int R>
void launch(const TiledConv& p, std::int64_t samples, const std::uint32_t* packed) {
  SERENADE_LAUNCH(convolve_row_sweep<R>, dim3(static_cast<unsigned>(blocks_of(p, samples))),
                  dim3(kThreads), sizeof(float) * kDepth * kPlane<R>, current_stream(), p, packed);
}

void convolve(const TiledConv& p, std::int64_t samples, const real* weight, const TapOrder& order) {
  if (samples == 0) return;
  const int chunks = (order.inputs + kDepth - 1) / kDepth;
  const int count = p.output_blocks * chunks * order.R * order.S * 32 * kFragment;
  const DeviceArray<std::uint32_t> packed(count);
  SERENADE_LAUNCH(pack_fragments, loop_grid(count), dim3(kLoopThreads), 0, current_stream(),
                  packed.data(), weight, order, chunks, count);
  constexpr void (*kLaunches[kMaxConvTaps])(const TiledConv&, std::int64_t,
                                            const std::uint32_t*) = {
      launch<1>, launch<2>, launch<3>, launch<4>, launch<5>, launch<6>, launch<7>, launch<8>};
  kLaunches[p.R - 1](p, samples, packed.data());
}

}  // namespace

void conv2d_forward_v3_tensor_core(const ConvSink& y, const real* x, const real* weight,
                                   const real* bias, const Conv2dShape& shape) {
  convolve(tiled_forward(y, x, bias, shape, kOutputs), shape.N, weight, tap_order(shape, false));
}

void conv2d_backward_input_v3_tensor_core(real* dx, const ConvSource& dy, const real* weight,
                                          const Conv2dShape& shape) {
  convolve(tiled_backward_input(dx, dy, shape, kOutputs), shape.N, weight, tap_order(shape, true));
}

#endif

}  // namespace serenade::cuda
