#pragma once
// The ladder of the matrix product. Every step takes any sizes, transpositions and strides.
//
//   v0 plain           one thread per element of C, the formula: a row of A and a column of B come
//                      from memory for every element
//   v1 shared tile     16 x 16 elements of C share 16 x 16 tiles of A and B: a sixteenth of that
//                      traffic; in use for the tiny matrices of a batch
//   v2 register block  tiles of C up to 128 x 128 in the registers of a block, 8 x 8 per thread:
//                      16 values from shared memory serve 64 multiply-adds; copies run ahead
//   v3 tensor cores    the same tiles in TF32 products of 16 x 8 x 8 by whole warps; float only,
//                      and only where Float32Math::tf32 allows the rounding
//
// Where C has too few tiles for all multiprocessors and k is long (weight gradients: k counts rows
// or pixels), k is cut into splits. Each split has its own partial C, and a second kernel adds them
// in their order: no atomics, the same bits every time.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cuda {

/// The arguments of gemm and gemm_batched in one place.
struct GemmCall {
  bool transpose_a = false, transpose_b = false;
  std::int64_t batch = 1, m = 0, n = 0, k = 0;
  real alpha = 1, beta = 0;
  const real* a = nullptr;
  const real* b = nullptr;
  real* c = nullptr;
  std::int64_t lda = 0, ldb = 0, ldc = 0;
  std::int64_t stride_a = 0, stride_b = 0, stride_c = 0;  ///< between the matrices of a batch
  const real* second_b = nullptr;  ///< of a batch of two whose second B lies anywhere
};

enum class GemmVersion { plain, shared_tile, register_block, tensor_cores };

/// Tiles of C that a block computes: 128 x 128 (where A and B can be read 16 bytes at a time, else
/// medium), 64 x 64, or 128 x 16 (not for tensor cores).
enum class GemmTile { large, medium, narrow };

struct GemmPlan {
  GemmVersion version = GemmVersion::plain;
  GemmTile tile = GemmTile::medium;  ///< of v2 and v3
  std::int64_t splits = 1;           ///< of k, for v2 and v3
};

/// The plan in use for a shape. Depends on sizes only, and on `tensor_cores`: whether they may be
/// used.
GemmPlan gemm_plan(const GemmCall& call, bool tensor_cores);

/// Runs a plan. Empty matrices are fine.
void run_gemm(const GemmCall& call, const GemmPlan& plan);

// The steps, without splits; run_gemm calls them with at most 65535 matrices.
void gemm_v0_plain(const GemmCall& call);
void gemm_v1_shared_tile(const GemmCall& call);

// `call.k` is cut into pieces of `split_depth`; matrix i of split s goes to
// c + (s * batch + i) * stride_c.
void gemm_v2_register_block(const GemmCall& call, GemmTile tile, std::int64_t split_depth);
void gemm_v3_tensor_cores(const GemmCall& call, GemmTile tile, std::int64_t split_depth);

}  // namespace serenade::cuda
