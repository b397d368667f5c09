// Matrix product v2: a block of threads keeps a tile of C in its registers, Rows x Columns per
// thread, and walks along k through tiles of A and B in shared memory (tile.cuh).
//
// Per step of k a thread of 8 x 8 reads 16 values, 16 bytes at a time, for 64 multiply-adds; a
// tile of 128 x 128 reads 256 values of global memory for 16384, 32 operations per byte. While one
// pair of tiles is used, two more are in flight.
//
//   tile        threads  per thread  registers     shared memory (float)
//   128 x 128     256      8 x 8     up to 168     50 to 60 KB
//    64 x  64     128      8 x 4     105 to 128    27 to 30 KB
//   128 x  16     128      4 x 4      95 to 124    29 to 34 KB

#include "kernels/gemm/cuda/tile.cuh"
#include "kernels/gemm/cuda/versions.h"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

constexpr int kLargeThreads = 256;  // of the tile of 128 x 128

/// The elements of a tile that one of `Lanes` threads multiplies: Count of them.
template <bool AlongDepth, int Outer, int Threads, int Count>
struct Fragment {
  using Tile = OperandTile<AlongDepth, Outer, Threads, Threads == kLargeThreads>;
  static constexpr int kLanes = Outer / Count;

  /// Element i: consecutive elements are read together; those of consecutive lanes adjoin.
  static __device__ __forceinline__ int index(int lane, int i) {
    if (AlongDepth) return lane + i * kLanes;
    return i / kVector * kVector * kLanes + lane * kVector + i % kVector;
  }

  /// values[d][i]: element i at depth + d.
  static __device__ __forceinline__ void read(real (&values)[kVector][Count],
                                              SharedPointer<const real> tile, int lane, int depth) {
    if constexpr (AlongDepth) {
      SERENADE_UNROLL for (int i = 0; i < Count; ++i) {
        const auto together = load_vector<RealVector>(tile + Tile::at(index(lane, i), depth));
        SERENADE_UNROLL for (int d = 0; d < kVector; ++d) values[d][i] = together.v[d];
      }
    } else {
      SERENADE_UNROLL for (int d = 0; d < kVector; ++d) {
        SERENADE_UNROLL for (int i = 0; i < Count; i += kVector) {
          const auto together = load_vector<RealVector>(tile + Tile::at(index(lane, i), depth + d));
          SERENADE_UNROLL for (int j = 0; j < kVector; ++j) values[d][i + j] = together.v[j];
        }
      }
    }
  }
};

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int ThreadRows,
          int ThreadColumns>
struct RegisterBlock {
  static constexpr int kThreads = Rows / ThreadRows * (Columns / ThreadColumns);
  using A = Fragment<!TransposeA, Rows, kThreads, ThreadRows>;
  using B = Fragment<TransposeB, Columns, kThreads, ThreadColumns>;
  static constexpr std::size_t kBytes =
      sizeof(real) * kTileStages * (A::Tile::kSize + B::Tile::kSize);
  using Sums = real[ThreadRows][ThreadColumns];

  static __device__ __forceinline__ void multiply(Sums& sums, SharedPointer<const real> a,
                                                  SharedPointer<const real> b, int row_lane,
                                                  int column_lane) {
    SERENADE_UNROLL for (int depth = 0; depth < kTileDepth; depth += kVector) {
      real x[kVector][ThreadRows], y[kVector][ThreadColumns];
      A::read(x, a, row_lane, depth);
      B::read(y, b, column_lane, depth);
      SERENADE_UNROLL for (int d = 0; d < kVector; ++d) {
        SERENADE_UNROLL for (int i = 0; i < ThreadRows; ++i) {
          SERENADE_UNROLL for (int j = 0; j < ThreadColumns; ++j) sums[i][j] += x[d][i] * y[d][j];
        }
      }
    }
  }

  /// The row of C that begins at c: its elements that this thread has.
  static __device__ __forceinline__ void put_row(GlobalPointer<real> c, const Sums& sums, int i,
                                                 int first, int lane, const GemmSizes& s) {
    SERENADE_UNROLL for (int j = 0; j < ThreadColumns; j += kVector) {
      const int column = first + B::index(lane, j);
      if (!TransposeB && s.c_vectors && s.beta == 0) {
        RealVector out;
        SERENADE_UNROLL for (int e = 0; e < kVector; ++e) out.v[e] = s.alpha * sums[i][j + e];
        if (column < s.n) store_vector(c + column, out);
        continue;
      }
      SERENADE_UNROLL for (int e = 0; e < kVector; ++e) {
        const int at = first + B::index(lane, j + e);
        if (at < s.n) put_element(c, at, sums[i][j + e], s.alpha, s.beta);
      }
    }
  }
};

/// Blocks that share a multiprocessor: the registers are divided among them. Of the large tiles,
/// two that both lie along k need too many for a second block. (Only nvcc reads launch bounds.)
[[maybe_unused]] constexpr int blocks_at_once(bool transpose_a, bool transpose_b, int elements) {
  if (elements < 128 * 128) return 4;
  return !transpose_a && transpose_b ? 1 : 2;
}

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int ThreadRows,
          int ThreadColumns>
__global__ void __launch_bounds__(Rows / ThreadRows * (Columns / ThreadColumns),
                                  blocks_at_once(TransposeA, TransposeB, Rows* Columns))
    register_block(GlobalPointer<real> c, GlobalPointer<const real> a, GlobalPointer<const real> b,
                   GemmSizes s) {
  using Block = RegisterBlock<TransposeA, TransposeB, Rows, Columns, ThreadRows, ThreadColumns>;
  SERENADE_DYNAMIC_SHARED(real, stages);
  const GemmBlock block(s, Rows, Columns);
  const std::int64_t matrix = static_cast<int>(blockIdx.z) % s.batch;
  const GlobalPointer<const real> own_a = a + matrix * s.stride_a, own_b = s.b_of(b, matrix);
  const int row_lane = static_cast<int>(threadIdx.x) / Block::B::kLanes;
  const int column_lane = static_cast<int>(threadIdx.x) % Block::B::kLanes;
  typename Block::Sums sums = {};
  for_each_step<typename Block::A::Tile, typename Block::B::Tile, real>(
      block, s, stages, own_a, own_b,
      [&](SharedPointer<const real> x, SharedPointer<const real> y) {
        Block::multiply(sums, x, y, row_lane, column_lane);
      });
  const GlobalPointer<real> own_c = c + std::int64_t{blockIdx.z} * s.stride_c;
  SERENADE_UNROLL for (int i = 0; i < ThreadRows; ++i) {
    const int row = block.row + Block::A::index(row_lane, i);
    if (row >= s.m) continue;
    Block::put_row(own_c + std::int64_t{row} * s.ldc, sums, i, block.column, column_lane, s);
  }
}

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int ThreadRows,
          int ThreadColumns>
void launch_tiles(const GemmCall& call, std::int64_t split_depth) {
  using Block = RegisterBlock<TransposeA, TransposeB, Rows, Columns, ThreadRows, ThreadColumns>;
  SERENADE_LAUNCH(
      (register_block<TransposeA, TransposeB, Rows, Columns, ThreadRows, ThreadColumns>),
      gemm_grid(call, Rows, Columns, split_depth), dim3(Block::kThreads), Block::kBytes,
      current_stream(), call.c, call.a, call.b, gemm_sizes(call, Columns, split_depth));
}

template <bool TransposeA, bool TransposeB>
void launch_tile(const GemmCall& call, GemmTile tile, std::int64_t split_depth) {
  switch (tile) {
    case GemmTile::large:
      return launch_tiles<TransposeA, TransposeB, 128, 128, 8, 8>(call, split_depth);
    case GemmTile::medium:
      return launch_tiles<TransposeA, TransposeB, 64, 64, 8, 4>(call, split_depth);
    case GemmTile::narrow:
      return launch_tiles<TransposeA, TransposeB, 128, 16, 4, 4>(call, split_depth);
  }
}

}  // namespace

void gemm_v2_register_block(const GemmCall& call, GemmTile tile, std::int64_t split_depth) {
  tile = fitting_tile(call, tile);
  if (call.transpose_a) {
    call.transpose_b ? launch_tile<true, true>(call, tile, split_depth)
                     : launch_tile<true, false>(call, tile, split_depth);
  } else {
    call.transpose_b ? launch_tile<false, true>(call, tile, split_depth)
                     : launch_tile<false, false>(call, tile, split_depth);
  }
}

}  // namespace serenade::cuda
