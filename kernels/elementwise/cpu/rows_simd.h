#pragma once
// A row of numbers to one number, one table per instruction set (source: cpu/simd/rows.cpp). All of
// them give the same bits in float.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// Sums are those of double: thousands of terms one after the other would cost float three digits.
struct RowsSimd {
  /// x[0] + .. + x[count - 1].
  double (*sum)(const real* x, std::int64_t count);
  /// The sum of a[i] * b[i], each product rounded to `real`.
  double (*sum_of_products)(const real* a, const real* b, std::int64_t count);
  /// The largest of x[0] .. x[count - 1], count >= 1; NaN if one of them is.
  real (*largest)(const real* x, std::int64_t count);
};

/// The table of the active instruction set.
const RowsSimd& rows_simd();

}  // namespace serenade::cpu
