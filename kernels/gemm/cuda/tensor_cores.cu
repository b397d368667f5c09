// Matrix product v3: the tiles of v2, multiplied by the tensor cores. A warp has 64 x 32 (tile 128
// x 128) or 32 x 32 (tile 64 x 64) of C as products D[16, 8] += A[16, 8] B[8, 8], whose operands
// are rounded to TF32 on the way from shared memory to registers; sums stay float32.
//
// Per 8 of k a warp of 64 x 32 reads 24 words per lane for 16 products of 1024 multiply-adds: 21
// operations per byte of shared memory, where v2 has 16 with each word read by several lanes. The
// padding of the tiles (tile.cuh) puts the 32 words of a read into 32 banks in all four cases
// of transposition.

#include "kernels/gemm/cuda/tile.cuh"
#include "kernels/gemm/cuda/versions.h"
#include "kernels/runtime/cuda/runtime.h"

#ifdef SERENADE_DOUBLE
#include <stdexcept>
#endif

namespace serenade::cuda {

#ifdef SERENADE_DOUBLE

void gemm_v3_tensor_cores(const GemmCall&, GemmTile, std::int64_t) {
  throw std::logic_error("gemm_v3_tensor_cores: TF32 is a form of float");
}

#else

namespace {

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int WarpRows, int WarpColumns>
struct TensorBlock {
  static constexpr int kWarps = Rows / WarpRows * (Columns / WarpColumns);
  static constexpr int kThreads = 32 * kWarps;
  static constexpr bool kLarge = Rows == 128;
  using A = OperandTile<!TransposeA, Rows, kThreads, kLarge>;
  using B = OperandTile<TransposeB, Columns, kThreads, kLarge>;
  static constexpr std::size_t kBytes = sizeof(float) * kTileStages * (A::kSize + B::kSize);
  static constexpr int kDown = WarpRows / 16, kAcross = WarpColumns / 8;  // products of a warp
  using Sums = float[kDown][kAcross][4];

  /// Where the lane's part of a fragment lies: device_code.h, mma_m16n8k8.
  static __device__ __forceinline__ void multiply(Sums& sums, SharedPointer<const float> a,
                                                  SharedPointer<const float> b, int row,
                                                  int column) {
    const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, member = lane % 4;
    SERENADE_UNROLL for (int depth = 0; depth < kTileDepth; depth += 8) {
      std::uint32_t x[kDown][4], y[kAcross][2];
      SERENADE_UNROLL for (int i = 0; i < kDown; ++i) {
        SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
          x[i][e] = to_tf32(a[A::at(row + 16 * i + group + e % 2 * 8, depth + member + e / 2 * 4)]);
        }
      }
      SERENADE_UNROLL for (int j = 0; j < kAcross; ++j) {
        SERENADE_UNROLL for (int e = 0; e < 2; ++e) {
          y[j][e] = to_tf32(b[B::at(column + 8 * j + group, depth + member + e * 4)]);
        }
      }
      SERENADE_UNROLL for (int i = 0; i < kDown; ++i) {
        SERENADE_UNROLL for (int j = 0; j < kAcross; ++j) mma_m16n8k8(sums[i][j], x[i], y[j]);
      }
    }
  }

  /// row, column: of the warp's first element of C.
  static __device__ __forceinline__ void put(GlobalPointer<float> c, const Sums& sums, int row,
                                             int column, const GemmSizes& s) {
    const int lane = static_cast<int>(threadIdx.x) % 32, group = lane / 4, member = lane % 4;
    SERENADE_UNROLL for (int i = 0; i < kDown; ++i) {
      SERENADE_UNROLL for (int j = 0; j < kAcross; ++j) {
        SERENADE_UNROLL for (int e = 0; e < 4; ++e) {
          const int y = row + 16 * i + group + e / 2 * 8, x = column + 8 * j + 2 * member + e % 2;
          if (y < s.m && x < s.n)
            put_element(c, std::int64_t{y} * s.ldc + x, sums[i][j][e], s.alpha, s.beta);
        }
      }
    }
  }
};

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int WarpRows, int WarpColumns>
__global__ void __launch_bounds__(32 * (Rows / WarpRows) * (Columns / WarpColumns))
    tensor_cores(GlobalPointer<float> c, GlobalPointer<const float> a, GlobalPointer<const float> b,
                 GemmSizes s) {
  using Block = TensorBlock<TransposeA, TransposeB, Rows, Columns, WarpRows, WarpColumns>;
  SERENADE_DYNAMIC_SHARED(float, stages);
  const GemmBlock block(s, Rows, Columns);
  const std::int64_t matrix = static_cast<int>(blockIdx.z) % s.batch;
  const GlobalPointer<const float> own_a = a + matrix * s.stride_a, own_b = s.b_of(b, matrix);
  const int warp = static_cast<int>(threadIdx.x) / 32, across = Columns / WarpColumns;
  const int row = warp / across * WarpRows, column = warp % across * WarpColumns;
  typename Block::Sums sums = {};
  for_each_step<typename Block::A, typename Block::B, float>(
      block, s, stages, own_a, own_b,
      [&](SharedPointer<const float> x, SharedPointer<const float> y) {
        Block::multiply(sums, x, y, row, column);
      });
  Block::put(c + std::int64_t{blockIdx.z} * s.stride_c, sums, block.row + row,
             block.column + column, s);
}

template <bool TransposeA, bool TransposeB, int Rows, int Columns, int WarpRows, int WarpColumns>
void launch_tiles(const GemmCall& call, std::int64_t split_depth) {
  using Block = TensorBlock<TransposeA, TransposeB, Rows, Columns, WarpRows, WarpColumns>;
  SERENADE_LAUNCH((tensor_cores<TransposeA, TransposeB, Rows, Columns, WarpRows, WarpColumns>),
                  gemm_grid(call, Rows, Columns, split_depth), dim3(Block::kThreads), Block::kBytes,
                  current_stream(), call.c, call.a, call.b, gemm_sizes(call, Columns, split_depth));
}

template <bool TransposeA, bool TransposeB>
void launch_tile(const GemmCall& call, GemmTile tile, std::int64_t split_depth) {
  if (tile == GemmTile::large) {
    launch_tiles<TransposeA, TransposeB, 128, 128, 64, 32>(call, split_depth);
  } else {
    launch_tiles<TransposeA, TransposeB, 64, 64, 32, 32>(call, split_depth);
  }
}

}  // namespace

void gemm_v3_tensor_cores(const GemmCall& call, GemmTile tile, std::int64_t split_depth) {
  tile = fitting_tile(call, tile);
  if (call.transpose_a) {
    call.transpose_b ? launch_tile<true, true>(call, tile, split_depth)
                     : launch_tile<true, false>(call, tile, split_depth);
  } else {
    call.transpose_b ? launch_tile<false, true>(call, tile, split_depth)
                     : launch_tile<false, false>(call, tile, split_depth);
  }
}

#endif

}  // namespace serenade::cuda
