#pragma once
// The inner loop of a product of few rows with a packed matrix, what a recurrent layer does at each
// step: one table of functions per instruction set (source: kernels/gemm/cpu/simd/panels.cpp).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct PanelsSimd {
  /// out [rows, columns] = start + a [rows, depth] * matrix [depth, columns]. out_stride: elements
  /// between rows; start: rows of `columns` values start_stride apart, which may be 0 or out
  /// itself; a: a pointer per row; panels: the matrix as GemmSimd::pack_columns packs it. Columns
  /// are rounded up to whole panels: out and start must have room for them, and what is there
  /// afterwards means nothing. Each element is its start and one sum over depth in ascending order.
  void (*multiply)(real* out, std::int64_t out_stride, const real* start, std::int64_t start_stride,
                   const real* const* a, const real* panels, std::int64_t depth,
                   std::int64_t columns, std::int64_t rows);
};

/// The table of the active instruction set.
const PanelsSimd& panels_simd();

}  // namespace serenade::cpu
