#pragma once
// The inner loops of the packed matrix product, one table of functions per instruction set (source:
// kernels/gemm/cpu/simd/packed.cpp).
//
// A panel holds up to `width` rows of A or columns of B, step by step along k: [k, width]. All that
// a tile of C needs for one step is contiguous.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct GemmSimd {
  std::int64_t tile_rows;     ///< most rows of a panel of A, and of a tile of C
  std::int64_t tile_columns;  ///< width of a panel of B, and most columns of a tile

  /// Packs `rows` <= tile_rows rows of op(A): panel [k, rows]; the tile_columns elements after it
  /// may be overwritten. Element (i, l) is a[i * lda + l], or a[l * lda + i] where `transposed`.
  void (*pack_rows)(real* panel, const real* a, std::int64_t lda, bool transposed, std::int64_t k,
                    std::int64_t rows);
  /// Packs 1 .. tile_columns columns of op(B): panel [k, tile_columns], the columns that are
  /// missing filled with copies. Element (l, j) is b[l * ldb + j], or b[j * ldb + l] where
  /// `transposed`.
  void (*pack_columns)(real* panel, const real* b, std::int64_t ldb, bool transposed,
                       std::int64_t k, std::int64_t columns);

  /// C = alpha A B + beta C for one panel of A and all panels of B that cover `columns` columns;
  /// beta = 0 overwrites. Each element is one sum over k in ascending order. b: its rows are ldb
  /// apart and its panels `panel`: tile_columns and k * tile_columns where they are packed; the
  /// pitch of the matrix and tile_columns where it is read as it lies, whole panels only.
  void (*multiply)(real* c, std::int64_t ldc, const real* a, const real* b, std::int64_t ldb,
                   std::int64_t panel, std::int64_t k, std::int64_t rows, std::int64_t columns,
                   real alpha, real beta);
};

/// The table of the active instruction set.
const GemmSimd& gemm_simd();

}  // namespace serenade::cpu
