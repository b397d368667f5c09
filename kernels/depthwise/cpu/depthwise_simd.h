#pragma once
// The inner loops of depthwise convolution, one table of functions per instruction set (source:
// kernels/depthwise/cpu/simd/depthwise.cpp).
//
// They work on a padded plane whose columns are sorted by their remainder modulo the stride, so
// that the pixels that neighbouring outputs see under one tap lie side by side, whatever the
// stride: tap t of output (i, j) is at plane + i * row_step + offsets[t] + j.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct DepthwiseSimd {
  std::int64_t lanes;  ///< so many pixels beyond each row of the plane can be read

  /// y[i, j] = start + sum_t weights[t] plane[..], for rows x columns outputs; y: rows without a
  /// gap. add: to what y holds, and start is not read.
  void (*correlate)(real* y, std::int64_t rows, std::int64_t columns, const real* plane,
                    std::int64_t row_step, const std::int64_t* offsets, const real* weights,
                    std::int64_t taps, real start, bool add);

  /// sums[t] += sum_{i,j} dy[i, j] plane[..].
  void (*tap_sums)(double* sums, const real* dy, std::int64_t rows, std::int64_t columns,
                   const real* plane, std::int64_t row_step, const std::int64_t* offsets,
                   std::int64_t taps);
};

/// The table of the active instruction set.
const DepthwiseSimd& depthwise_simd();

}  // namespace serenade::cpu
