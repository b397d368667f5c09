#pragma once
// What the fast matrix products share: the sizes of a launch, and the tile of an operand on its way
// from global memory through shared memory.
//
// A tile lies in shared memory the way its matrix lies in global memory, so that it comes in copies
// of 16 bytes whatever is transposed; only reading it differs. "Outer" is the axis of C (rows for
// A, columns for B), "depth" the axis of k.

#include "kernels/gemm/cuda/versions.h"
#include "kernels/runtime/cuda/device_code.h"

namespace serenade::cuda {

inline constexpr int kVector = static_cast<int>(16 / sizeof(real));

/// An access of 16 bytes.
struct alignas(16) RealVector {
  real v[kVector];
};

/// How deep a tile is. 128 outer elements then take 10 KB.
inline constexpr int kTileDepth = static_cast<int>(64 / sizeof(real));

/// Tiles in flight per operand: one is used while two more are in flight.
inline constexpr int kTileStages = 3;

/// Of one launch. Sizes and strides of rows are below 2^31; offsets have 64 bits.
struct GemmSizes {
  int m, n, k;
  int lda, ldb, ldc;
  int batch, split_depth;                ///< blockIdx.z = split * batch + matrix
  int column_tiles;                      ///< blockIdx.x = row tile * column_tiles + column tile
  bool a_vectors, b_vectors, c_vectors;  ///< may be accessed 16 bytes at a time
  std::int64_t stride_a, stride_b, stride_c;
  real alpha, beta;
  GlobalPointer<const real> second_b;  ///< or null

  /// B of a matrix of the batch.
  __device__ __forceinline__ GlobalPointer<const real> b_of(GlobalPointer<const real> b,
                                                            std::int64_t matrix) const {
    if (second_b != nullptr && matrix == 1) return second_b;
    return b + matrix * stride_b;
  }
};

/// Part of the matrix that a block multiplies.
struct GemmBlock {
  int row, column;     ///< first element of its tile of C
  int k_begin, k_end;  ///< its split
  int steps;           ///< tiles of depth

  __device__ __forceinline__ GemmBlock(const GemmSizes& s, int rows, int columns) {
    const int tile = static_cast<int>(blockIdx.x), split = static_cast<int>(blockIdx.z) / s.batch;
    row = tile / s.column_tiles * rows;
    column = tile % s.column_tiles * columns;
    k_begin = split * s.split_depth;
    k_end = min(s.k, k_begin + s.split_depth);
    steps = (k_end - k_begin + kTileDepth - 1) / kTileDepth;
  }
};

/// The tile of an operand whose neighbours in memory follow k (`AlongDepth`) or the outer axis. The
/// padding of a row puts what a warp reads at once into different banks.
template <bool AlongDepth, int Outer, int Threads, bool VectorsOnly>
struct OperandTile {
  static constexpr int kRow = AlongDepth ? kTileDepth : Outer;
  static constexpr int kRows = AlongDepth ? Outer : kTileDepth;
  static constexpr int kStride = kRow + (AlongDepth ? 4 : 8);
  static constexpr int kSize = kRows * kStride;

  static __device__ __forceinline__ int at(int outer, int depth) {
    return AlongDepth ? outer * kStride + depth : depth * kStride + outer;
  }

  /// Begins the copies of elements outer.. and k.. of the matrix; zeros beyond the ends.
  static __device__ __forceinline__ void begin_copies(SharedPointer<real> tile,
                                                      GlobalPointer<const real> x, int ld,
                                                      int outer, int outer_end, int k, int k_end,
                                                      bool vectors) {
    const int row = AlongDepth ? outer : k, row_end = AlongDepth ? outer_end : k_end;
    const int first = AlongDepth ? k : outer, end = AlongDepth ? k_end : outer_end;
    if (VectorsOnly || vectors) {
      copy<kVector>(tile, x, ld, row, row_end, first, end);
    } else {
      copy<1>(tile, x, ld, row, row_end, first, end);
    }
  }

 private:
  template <int Width>
  static __device__ __forceinline__ void copy(SharedPointer<real> tile, GlobalPointer<const real> x,
                                              int ld, int row, int row_end, int first, int end) {
    constexpr int kPieces = kRow / Width, kRowsAtOnce = Threads / kPieces;
    static_assert(Threads % kPieces == 0, "a thread keeps its column");
    const int r = static_cast<int>(threadIdx.x) / kPieces;
    const int e = static_cast<int>(threadIdx.x) % kPieces * Width;
    const bool in_row = first + e < end;
    const GlobalPointer<const real> from = x + (std::int64_t{row + r} * ld + first + e);
    // Copies of single values stay a loop: their addresses would take all registers.
    SERENADE_UNROLL_BY(Width == 1 ? 1 : 4) for (int more = 0; more < kRows; more += kRowsAtOnce) {
      if (kRows % kRowsAtOnce != 0 && r + more >= kRows) break;
      const bool inside = in_row && row + r + more < row_end;
      copy_async<Width* static_cast<int>(sizeof(real))>(
          tile + ((r + more) * kStride + e), from + (inside ? std::int64_t{more} * ld : 0), inside);
    }
  }
};

/// alpha sum + beta c; beta = 0 does not read c.
__device__ __forceinline__ void put_element(GlobalPointer<real> c, std::int64_t at, real sum,
                                            real alpha, real beta) {
  real value = alpha * sum;
  if (beta != 0) {
    const real before = c[at];
    value += beta * before;
  }
  c[at] = value;
}

// On the host ------------------------------------------------------------------------------------

/// For tiles of so many columns.
GemmSizes gemm_sizes(const GemmCall& call, int columns, std::int64_t split_depth);

/// The large tile copies 16 bytes at a time and nothing else: addresses of single values would
/// cost registers that it does not have. Where that is impossible, the medium tile gives the same
/// bits.
GemmTile fitting_tile(const GemmCall& call, GemmTile wanted);

/// A block per tile and matrix and split.
dim3 gemm_grid(const GemmCall& call, int rows, int columns, std::int64_t split_depth);

/// Takes the tiles of both operands through kTileStages stages of shared memory, and calls
/// multiply(tile of A, tile of B) for each step of depth, with the next steps' copies under way.
template <class TileA, class TileB, class T, class Multiply>
__device__ __forceinline__ void for_each_step(const GemmBlock& block, const GemmSizes& s,
                                              SharedPointer<T> stages, GlobalPointer<const T> a,
                                              GlobalPointer<const T> b, const Multiply& multiply) {
  constexpr int kStage = TileA::kSize + TileB::kSize;
  const auto begin_copies = [&](int step) {
    if (step < block.steps) {
      const SharedPointer<T> stage = stages + step % kTileStages * kStage;
      const int k = block.k_begin + step * kTileDepth;
      TileA::begin_copies(stage, a, s.lda, block.row, s.m, k, block.k_end, s.a_vectors);
      TileB::begin_copies(stage + TileA::kSize, b, s.ldb, block.column, s.n, k, block.k_end,
                          s.b_vectors);
    }
    commit_copies();  // an empty group keeps the count right
  };
  for (int step = 0; step < kTileStages - 1; ++step) begin_copies(step);
  for (int step = 0; step < block.steps; ++step) {
    wait_for_copies<kTileStages - 2>();
    __syncthreads();  // this step's tiles are there, and no thread uses those of the step before
    begin_copies(step + kTileStages - 1);
    const SharedPointer<T> stage = stages + step % kTileStages * kStage;
    multiply(stage, stage + TileA::kSize);
  }
  wait_for_copies<0>();
}

}  // namespace serenade::cuda
