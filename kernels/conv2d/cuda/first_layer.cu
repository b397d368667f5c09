// The first layer: branches of convolutions from one channel to up to 8 each, with ReLU and pooling
// over pairs of rows, all in one launch. A block has a tile of 64 x 32 pixels, which it reads once
// and stores in shared memory once per branch, shifted by the branch's padding, so that the windows
// of every branch begin at whole 16 bytes. Then it goes over the branches. A thread has two rows,
// the pair that is pooled, times 4 columns times all 8 channels: 64 sums in registers. Both rows
// use the same weights, of which all lanes read the same 16 bytes at once, and one row of inputs
// serves the lower row of sums and then the upper one. Bias, ReLU and the pool are applied in
// registers.
//
// Per kernel row of S taps: 64 S multiply-adds for 2 S loads of weights and (S + 6) / 4 of inputs:
// 512 for 19 with 8 taps, 128 for 6 with 2. Shared memory of two branches: 26 KB of inputs, at most
// 2 KB of weights. 256 threads of 123 registers, 2 blocks per multiprocessor.
//
// Two branches to 8 channels, 2 x 8 and 8 x 2, on 2048 x 200: 0.21 GFLOP, of which 67 TFLOP/s take
// 3.1 us; 1.6 MB of x, 13.1 MB of y and 3.3 MB of indices, 4.2 us at 4.3 TB/s: bandwidth is the
// limit, and most of it goes to the result. A tile reads 71 x 40 inputs for its 64 x 32 pixels,
// what neighbours share mostly from the cache.

#include "kernels/conv2d/cuda/map.cuh"

namespace serenade::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32;
constexpr int kMaxBranches = 4;
constexpr int kChannels = 8;                      // of a branch
constexpr int kLongSide = 10, kShortSide = 3;     // of a kernel
constexpr int kTileRows = 64, kTileColumns = 32;  // before the pooling
constexpr int kPitch = 44;                        // kernels up to 10 wide reach column 43
constexpr int kPlane = (kTileRows + kLongSide - 1) * kPitch;
constexpr int kMaxWeights = kLongSide * kShortSide * kChannels;

struct FirstBranch {
  AliasedPointer<const real> weight, bias;  // bias may be null
  int K, R, S, first_channel;
  int down, right;  // from the tile of the widest padding to this branch's
  int columns;      // of inputs: what the last thread of a row loads, in whole Vec4s
};

struct FirstLayer {
  FirstBranch branch[kMaxBranches];
  int count;
  int H, W;
  int top, left;      // the widest paddings
  int rows, columns;  // of inputs that the block reads
  int pooled_h, width, channels;
  int tiles_h, tiles_w;
  bool vec4s;  // rows of y and of indices may be written 4 elements at a time
};

struct FirstLayerPosition {
  std::int64_t n;
  int row, column;

  __device__ __forceinline__ explicit FirstLayerPosition(const FirstLayer& p) {
    const unsigned line = blockIdx.x / static_cast<unsigned>(p.tiles_w);
    const unsigned sample = line / static_cast<unsigned>(p.tiles_h);
    column = static_cast<int>(blockIdx.x - line * static_cast<unsigned>(p.tiles_w)) * kTileColumns;
    row = static_cast<int>(line - sample * static_cast<unsigned>(p.tiles_h)) * kTileRows;
    n = sample;
  }
};

/// Reads the inputs of the block, 4 rows to a thread at a time, and stores them in the tile of
/// every branch; zeros outside the image.
__device__ __forceinline__ void load_inputs(SharedPointer<real> tiles, GlobalPointer<const real> x,
                                            const FirstLayer& p, const FirstLayerPosition& at) {
  constexpr int kDeep = 4;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  for (int column = lane; column < p.columns; column += 32) {
    const int w = at.column - p.left + column;
    for (int first = warp; first < p.rows; first += kDeep * kWarps) {
      real value[kDeep];
      SERENADE_UNROLL for (int e = 0; e < kDeep; ++e) {
        const int h = at.row - p.top + first + e * kWarps;
        value[e] = 0;
        if (h >= 0 && h < p.H && w >= 0 && w < p.W) value[e] = x[(at.n * p.H + h) * p.W + w];
      }
      for (int b = 0; b < p.count; ++b) {
        const int to = column - p.branch[b].right;
        if (to < 0 || to >= p.branch[b].columns) continue;
        SERENADE_UNROLL for (int e = 0; e < kDeep; ++e) {
          const int row = first + e * kWarps - p.branch[b].down;
          if (row < 0 || row >= kTileRows + p.branch[b].R - 1) continue;
          tiles[b * kPlane + row * kPitch + to] = value[e];
        }
      }
    }
  }
}

/// weights: [branches][kMaxWeights], of a branch [R][S][kChannels]
__device__ __forceinline__ void load_weights(SharedPointer<real> weights, const FirstLayer& p) {
  for (int b = 0; b < p.count; ++b) {
    const int taps = p.branch[b].R * p.branch[b].S;
    for (int e = static_cast<int>(threadIdx.x); e < taps * kChannels; e += kThreads) {
      const int k = e % kChannels, tap = e / kChannels;
      real value = 0;
      if (k < p.branch[b].K) value = p.branch[b].weight[k * taps + tap];
      weights[b * kMaxWeights + e] = value;
    }
  }
}

template <int Count>
__device__ __forceinline__ void load_row(real (&row)[Count], SharedPointer<const real> from) {
  SERENADE_UNROLL for (int q = 0; q < Count / 4; ++q) {
    const Vec4 four = load_vector<Vec4>(from + 4 * q);
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) row[4 * q + e] = four.value[e];
  }
}

using RowPair = real[2][kChannels][4];

/// All taps of a kernel; `x` begins at the first input of the pair.
template <int S>
__device__ __forceinline__ void add_taps(RowPair& sums, SharedPointer<const real> x,
                                         SharedPointer<const real> weights, int R) {
  constexpr int kReach = (S + 6) / 4 * 4;
  real upper[kReach], lower[kReach];
  load_row(upper, x);
  SERENADE_UNROLL_BY(1) for (int r = 0; r < R; ++r) {
    load_row(lower, x + (r + 1) * kPitch);
    SERENADE_UNROLL for (int s = 0; s < S; ++s) {
      SERENADE_UNROLL for (int q = 0; q < kChannels / 4; ++q) {
        const Vec4 w = load_vector<Vec4>(weights + ((r * S + s) * kChannels + 4 * q));
        SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
          SERENADE_UNROLL for (int j = 0; j < 4; ++j) {
            sums[0][4 * q + e][j] += w.value[e] * upper[s + j];
            sums[1][4 * q + e][j] += w.value[e] * lower[s + j];
          }
        }
      }
    }
    SERENADE_UNROLL for (int e = 0; e < kReach; ++e) upper[e] = lower[e];
  }
}

__device__ __forceinline__ void add_any_taps(RowPair& sums, SharedPointer<const real> x,
                                             SharedPointer<const real> weights, int R, int S) {
  switch (S) {
    case 1:
      return add_taps<1>(sums, x, weights, R);
    case 2:
      return add_taps<2>(sums, x, weights, R);
    case 3:
      return add_taps<3>(sums, x, weights, R);
    case 4:
      return add_taps<4>(sums, x, weights, R);
    case 5:
      return add_taps<5>(sums, x, weights, R);
    case 6:
      return add_taps<6>(sums, x, weights, R);
    case 7:
      return add_taps<7>(sums, x, weights, R);
    case 8:
      return add_taps<8>(sums, x, weights, R);
    case 9:
      return add_taps<9>(sums, x, weights, R);
    default:
      return add_taps<10>(sums, x, weights, R);
  }
}

/// Bias, ReLU and the larger of each pair, to row i of y from column j on.
__device__ __forceinline__ void store_pair(const RowPair& sums, GlobalPointer<real> y,
                                           GlobalPointer<std::uint8_t> index, const FirstLayer& p,
                                           const FirstBranch& branch, std::int64_t n, int i,
                                           int j) {
  if (i >= p.pooled_h || j >= p.width) return;
  SERENADE_UNROLL for (int k = 0; k < kChannels; ++k) {
    if (k >= branch.K) return;
    real bias = 0;
    if (branch.bias) bias = branch.bias[k];
    Vec4 best;
    FourBytes where;
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      const real first = sums[0][k][e] + bias, second = sums[1][k][e] + bias;
      const bool lower = second > first || second != second;
      const real larger = lower ? second : first;
      const bool killed = larger <= 0;  // false for NaN, which must stay visible
      best.value[e] = killed ? real(0) : larger;
      where.value[e] = killed ? kKilledByRelu : static_cast<std::uint8_t>(lower);
    }
    const std::int64_t to =
        ((n * p.channels + branch.first_channel + k) * p.pooled_h + i) * p.width + j;
    if (p.vec4s) {
      store_vector(y + to, best);
      store_vector(index + to, where);
      continue;
    }
    SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
      if (j + e >= p.width) continue;
      y[to + e] = best.value[e];
      index[to + e] = where.value[e];
    }
  }
}

__global__ void __launch_bounds__(kThreads, sizeof(real) == 4 ? 2 : 1)
    convolve_first_layer(GlobalPointer<real> y, GlobalPointer<std::uint8_t> index,
                         GlobalPointer<const real> x, FirstLayer p) {
  SERENADE_DYNAMIC_SHARED(real, pool);
  const SharedPointer<real> tiles = pool;
  const SharedPointer<real> weights = tiles + p.count * kPlane;
  const FirstLayerPosition at(p);
  load_weights(weights, p);
  load_inputs(tiles, x, p, at);
  __syncthreads();
  const int pair = static_cast<int>(threadIdx.x) / 8,
            column = static_cast<int>(threadIdx.x) % 8 * 4;
  SERENADE_UNROLL_BY(1) for (int b = 0; b < p.count; ++b) {
    RowPair sums = {};
    add_any_taps(sums, tiles + (b * kPlane + 2 * pair * kPitch + column), weights + b * kMaxWeights,
                 p.branch[b].R, p.branch[b].S);
    store_pair(sums, y, index, p, p.branch[b], at.n, at.row / 2 + pair, at.column + column);
  }
}

FirstLayer first_layer(const real* y, const std::uint8_t* index, const Conv2dBranch* branches,
                       std::int64_t count, std::int64_t channels) {
  FirstLayer p{};
  const Conv2dShape& shape = branches[0].shape;
  p.count = static_cast<int>(count);
  p.H = static_cast<int>(shape.H);
  p.W = static_cast<int>(shape.W);
  for (int b = 0; b < p.count; ++b) {
    p.top = std::max(p.top, static_cast<int>(branches[b].shape.pad_top));
    p.left = std::max(p.left, static_cast<int>(branches[b].shape.pad_left));
  }
  for (int b = 0; b < p.count; ++b) {
    const ConvSizes s(branches[b].shape);
    p.branch[b] = {branches[b].weight,
                   branches[b].bias,
                   s.K,
                   s.R,
                   s.S,
                   static_cast<int>(branches[b].first_channel),
                   p.top - s.pad_top,
                   p.left - s.pad_left,
                   kTileColumns - 4 + (s.S + 6) / 4 * 4};
    p.rows = std::max(p.rows, p.branch[b].down + kTileRows + s.R - 1);
    p.columns = std::max(p.columns, p.branch[b].right + p.branch[b].columns);
  }
  p.pooled_h = static_cast<int>(shape.out_h() / 2);
  p.width = static_cast<int>(shape.out_w());
  p.channels = static_cast<int>(channels);
  p.tiles_h = (2 * p.pooled_h + kTileRows - 1) / kTileRows;
  p.tiles_w = (p.width + kTileColumns - 1) / kTileColumns;
  p.vec4s = p.width % 4 == 0 && is_vec4_aligned(y) &&
            reinterpret_cast<std::uintptr_t>(index) % alignof(FourBytes) == 0;
  return p;
}

}  // namespace

bool conv2d_first_layer_supports(const Conv2dBranch* branches, std::int64_t count,
                                 std::int64_t pool_h, std::int64_t pool_w) {
  if (count < 1 || count > kMaxBranches || pool_h != 2 || pool_w != 1) return false;
  return std::all_of(branches, branches + count, [](const Conv2dBranch& branch) {
    const Conv2dShape& s = branch.shape;
    return s.C == 1 && s.K <= kChannels && s.stride_h == 1 && s.stride_w == 1 &&
           std::max(s.R, s.S) <= kLongSide && std::min(s.R, s.S) <= kShortSide;
  });
}

void conv2d_first_layer_forward(real* y, std::uint8_t* index, const real* x,
                                const Conv2dBranch* branches, std::int64_t count,
                                std::int64_t channels) {
  const FirstLayer p = first_layer(y, index, branches, count, channels);
  const std::int64_t blocks = branches[0].shape.N * p.tiles_h * p.tiles_w;
  if (blocks == 0) return;
  SERENADE_LAUNCH(convolve_first_layer, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                  sizeof(real) * static_cast<std::size_t>(count * (kPlane + kMaxWeights)),
                  current_stream(), y, index, x, p);
}

}  // namespace serenade::cuda
