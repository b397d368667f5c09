#pragma once
// What v2 and v3 of the convolution share: blocks of 32 x 32 outputs, stride 1. The input gradient
// is the same convolution, of dy with the weights flipped and their channels exchanged.

#include "kernels/conv2d/cuda/map.cuh"

namespace serenade::cuda {

inline constexpr int kConvTile = 32;   // rows and columns of outputs
inline constexpr int kConvPitch = 40;  // columns of a tile of inputs: kernels up to 8 wide reach 39
inline constexpr int kMaxConvTaps = 8;  // rows and columns of a kernel

/// Which rows of each kernel column have weights: a union of candidates has corners that none of
/// them covers. Four bits per column. What a column names may be more than it needs, never less.
struct ColumnTaps {
  std::uint32_t first_rows, counts;

  __host__ __device__ __forceinline__ int first_row(int s) const {
    return first_rows >> 4 * s & 15;
  }
  __host__ __device__ __forceinline__ int count(int s) const { return counts >> 4 * s & 15; }
};

/// From 6 rows on kernels have code for R, R - 1 and R - 2 taps; below, where registers are
/// counted, for R alone. `flipped`: of the input gradient.
__host__ __device__ constexpr int fewest_taps(int R) { return R >= 6 ? R - 2 : R; }

inline ColumnTaps column_taps(const Conv2dShape& shape, bool flipped) {
  const int R = static_cast<int>(shape.R), S = static_cast<int>(shape.S);
  ColumnTaps taps{};
  for (int s = 0; s < S; ++s) {
    const auto is_used = [&](int r) {
      const int tap = flipped ? (R - 1 - r) * S + (S - 1 - s) : r * S + s;
      return R * S > 64 || (shape.unused_taps >> tap & 1) == 0;
    };
    int first = 0, end = R;
    while (end - first > fewest_taps(R) && !is_used(end - 1)) --end;
    while (end - first > fewest_taps(R) && !is_used(first)) ++first;
    taps.first_rows |= static_cast<std::uint32_t>(first) << 4 * s;
    taps.counts |= static_cast<std::uint32_t>(end - first) << 4 * s;
  }
  return taps;
}

/// One convolution with stride 1, from x [N, inputs, ..] to y [N, y.map.channels, ..].
struct TiledConv {
  MapSource x;
  MapSink y;
  AliasedPointer<const real> bias;  // or null
  int inputs, R, S;
  int pad_top, pad_left;  // may be negative
  int output_blocks;      // blocks of output channels
  int tiles_h, tiles_w;
  int step_h, step_w;  // rows and columns from tile to tile: whole windows of the pooling
  bool vec4s;          // rows of y are whole Vec4s
  ColumnTaps taps;

  __device__ __forceinline__ real bias_of(int k) const {
    real value = 0;
    if (bias && k < y.map.channels) value = bias[k];
    return value;
  }
};

/// What block blockIdx.x computes.
struct TilePosition {
  std::int64_t n;
  int output_block, row, column;

  __device__ __forceinline__ explicit TilePosition(const TiledConv& p) {
    const unsigned line = blockIdx.x / static_cast<unsigned>(p.tiles_w);
    const unsigned image = line / static_cast<unsigned>(p.tiles_h);
    column = static_cast<int>(blockIdx.x - line * static_cast<unsigned>(p.tiles_w)) * p.step_w;
    row = static_cast<int>(line - image * static_cast<unsigned>(p.tiles_h)) * p.step_h;
    const unsigned sample = image / static_cast<unsigned>(p.output_blocks);
    output_block = static_cast<int>(image - sample * static_cast<unsigned>(p.output_blocks));
    n = sample;
  }
};

/// Part of an image: channels from c on, rows from h on, columns from w on. May reach beyond it.
struct Box {
  std::int64_t n;
  int c, h, w;
  int channels, rows, columns;
};

inline __device__ int floor_divide(int a, int by) { return (a >= 0 ? a : a - by + 1) / by; }

/// Neighbouring threads that load a row of a box, so that its address is computed once for all of
/// it: for every element on its own that would be 60 instructions, more than the
/// convolution itself. Four rows of 40 values lie in different banks; where rows follow each other
/// in the same banks, a warp has one row.
template <int pitch>
constexpr int kBoxLanes = pitch % 32 == 0 ? 32 : 8;

/// Windows of a pooled gradient that the box touches, spread over their pixels.
template <int pitch>
__device__ __forceinline__ void spread_windows(SharedPointer<real> tile, int plane,
                                               const MapSource& x, const Box& box) {
  constexpr int kLanes = kBoxLanes<pitch>;
  const MapWindows& map = x.map;
  const int pooled_h = map.pooled_h(), pooled_w = map.pooled_w();
  const int top = floor_divide(box.h, map.pool_h), left = floor_divide(box.w, map.pool_w);
  const int rows = floor_divide(box.h + box.rows - 1, map.pool_h) - top + 1;
  const int end = floor_divide(box.w + pitch - 1, map.pool_w) + 1;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int group = static_cast<int>(threadIdx.x) / kLanes;
  const int groups = static_cast<int>(blockDim.x) / kLanes;
  SERENADE_UNROLL_BY(1) for (int line = group; line < box.channels * rows; line += groups) {
    const int c = line / rows, i = top + line - c * rows;
    const bool there = box.c + c < map.channels && i >= 0 && i < pooled_h;
    const std::int64_t from = ((box.n * map.stored + box.c + c) * pooled_h + i) * pooled_w;
    SERENADE_UNROLL_BY(1) for (int j = left + lane; j < end; j += kLanes) {
      real value = 0;
      int winner = kKilledByRelu, position = 0;
      if (there && j >= 0 && j < pooled_w) {
        value = x.data[from + j];
        winner = x.index[from + j];
      }
      for (int a = 0; a < map.pool_h; ++a) {
        const int row = i * map.pool_h + a - box.h;
        for (int b = 0; b < map.pool_w; ++b, ++position) {
          const int column = j * map.pool_w + b - box.w;
          if (row < 0 || row >= box.rows || column < 0 || column >= pitch) continue;
          tile[c * plane + row * pitch + column] = position == winner ? value : real(0);
        }
      }
    }
  }
}

/// Loads a box into shared memory: planes of rows of `pitch`, zeros outside the image and where a
/// row is longer than the box. What is stored as it is goes there without passing through
/// registers, so all of it can be in flight at once. All threads of the block; a barrier has to
/// follow.
template <int pitch>
__device__ __forceinline__ void load_box(SharedPointer<real> tile, int plane, const MapSource& x,
                                         const Box& box) {
  if (x.index) {
    spread_windows<pitch>(tile, plane, x, box);
    return;
  }
  constexpr int kLanes = kBoxLanes<pitch>, kTurns = (pitch + kLanes - 1) / kLanes;
  const MapWindows& map = x.map;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int group = static_cast<int>(threadIdx.x) / kLanes;
  const int groups = static_cast<int>(blockDim.x) / kLanes;
  unsigned in_row = 0;  // which of this thread's columns the image has: the same in every row
  SERENADE_UNROLL for (int turn = 0; turn < kTurns; ++turn) {
    const int column = lane + turn * kLanes, w = box.w + column;
    if (column < box.columns && w >= 0 && w < map.width) in_row |= 1u << turn;
  }
  SERENADE_UNROLL_BY(1)
  for (int line = group; line < box.channels * box.rows; line += groups) {
    const int c = line / box.rows, row = line - c * box.rows, h = box.h + row;
    const bool there = box.c + c < map.channels && h >= 0 && h < map.height;
    // What is outside is not read, so it does not matter that its address may be invalid.
    const std::int64_t at = ((box.n * map.channels + box.c + c) * map.height + h) * map.width;
    const AliasedPointer<const real> from = x.data + (at + box.w + lane);
    const SharedPointer<real> to = tile + (c * plane + row * pitch + lane);
    SERENADE_UNROLL for (int turn = 0; turn < kTurns; ++turn) {
      if (pitch % kLanes != 0 && lane + turn * kLanes >= pitch) break;
      copy_async<sizeof(real)>(to + turn * kLanes, from + turn * kLanes,
                               there && (in_row >> turn & 1) != 0);
    }
  }
  commit_copies();
  wait_for_copies<0>();
}

/// Pools `channels` planes [kConvTile][pitch] of a tile that lies in shared memory; the first one
/// is channel `first` of y. Called by all threads of a block.
template <int pitch>
__device__ __forceinline__ void pool_tile(SharedPointer<const real> stage, const TiledConv& p,
                                          const TilePosition& at, int first, int channels,
                                          int threads) {
  const MapWindows& map = p.y.map;
  const int rows = p.step_h / map.pool_h, columns = p.step_w / map.pool_w;
  const int top = at.row / map.pool_h, left = at.column / map.pool_w;
  for (int e = static_cast<int>(threadIdx.x); e < channels * rows * columns; e += threads) {
    const int line = e / columns, j = e - line * columns, c = line / rows, i = line - c * rows;
    if (first + c >= map.channels || top + i >= map.pooled_h() || left + j >= map.pooled_w()) {
      continue;
    }
    WindowMaximum maximum;
    for (int a = 0; a < map.pool_h; ++a) {
      for (int b = 0; b < map.pool_w; ++b) {
        const real value = stage[(c * kConvTile + i * map.pool_h + a) * pitch + j * map.pool_w + b];
        maximum.see(value, a * map.pool_w + b);
      }
    }
    maximum.store(p.y, map.offset(at.n, first + c, top + i, left + j));
  }
}

/// Where the weights of one convolution lie in [K, C, R, S], as its input and output channels.
struct TapOrder {
  int inputs, outputs, R, S;
  bool transposed;  // of the input gradient

  /// The weight from input channel c to output channel k at (r, s); 0 for channels beyond the last.
  __device__ __forceinline__ real at(GlobalPointer<const real> weight, int k, int c, int r,
                                     int s) const {
    if (k >= outputs || c >= inputs) return 0;
    const std::int64_t offset =
        transposed
            ? ((static_cast<std::int64_t>(c) * outputs + k) * R + (R - 1 - r)) * S + (S - 1 - s)
            : ((static_cast<std::int64_t>(k) * inputs + c) * R + r) * S + s;
    const real value = weight[offset];
    return value;
  }
};

inline TapOrder tap_order(const Conv2dShape& s, bool transposed) {
  const int C = static_cast<int>(s.C), K = static_cast<int>(s.K);
  return {transposed ? K : C, transposed ? C : K, static_cast<int>(s.R), static_cast<int>(s.S),
          transposed};
}

inline void cut_into_tiles(TiledConv& p, int outputs_per_block) {
  const MapWindows& map = p.y.map;
  const auto divide_up = [](int n, int by) { return (n + by - 1) / by; };
  p.step_h = kConvTile / map.pool_h * map.pool_h;
  p.step_w = kConvTile / map.pool_w * map.pool_w;
  p.tiles_h = divide_up(map.height, p.step_h);
  p.tiles_w = divide_up(map.width, p.step_w);
  p.output_blocks = divide_up(map.channels, outputs_per_block);
  p.vec4s = map.width % 4 == 0;
}

inline TiledConv tiled_forward(const ConvSink& y, const real* x, const real* bias,
                               const Conv2dShape& s, int outputs_per_block) {
  TiledConv p{};
  p.x = {x, nullptr, map_windows(s.C, s.H, s.W)};
  p.y = output_map(y, s);
  p.bias = bias;
  p.inputs = static_cast<int>(s.C);
  p.R = static_cast<int>(s.R);
  p.S = static_cast<int>(s.S);
  p.taps = column_taps(s, false);
  p.pad_top = static_cast<int>(s.pad_top);
  p.pad_left = static_cast<int>(s.pad_left);
  cut_into_tiles(p, outputs_per_block);
  p.vec4s = p.vec4s && is_vec4_aligned(y.data);
  return p;
}

inline TiledConv tiled_backward_input(real* dx, const ConvSource& dy, const Conv2dShape& s,
                                      int outputs_per_block) {
  TiledConv p{};
  p.x = gradient_map(dy, s);
  p.y = {dx, nullptr, map_windows(s.C, s.H, s.W), true};
  p.inputs = static_cast<int>(s.K);
  p.R = static_cast<int>(s.R);
  p.S = static_cast<int>(s.S);
  p.taps = column_taps(s, true);
  p.pad_top = static_cast<int>(s.R - 1 - s.pad_top);
  p.pad_left = static_cast<int>(s.S - 1 - s.pad_left);
  cut_into_tiles(p, outputs_per_block);
  p.vec4s = p.vec4s && is_vec4_aligned(dx);
  return p;
}

inline std::int64_t blocks_of(const TiledConv& p, std::int64_t samples) {
  return samples * p.output_blocks * p.tiles_h * p.tiles_w;
}

}  // namespace serenade::cuda
