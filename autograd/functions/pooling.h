#pragma once
// Pooling. Conventions: autograd/functions.h.
//
// x: [N, C, H, W]; result [N, C, H', W'] with H' = floor((H + 2 padding - reach) / stride) + 1,
// where a window of R rows reaches over dilation (R - 1) + 1. Over all of a map: adaptive, to
// {1, 1}.

#include <array>
#include <cstdint>

#include "autograd/variable.h"

namespace serenade {

struct MaxPoolOptions {
  std::array<std::int64_t, 2> stride = {0, 0};   ///< {0, 0}: that of the window
  std::array<std::int64_t, 2> padding = {0, 0};  ///< on both sides; at most half of the reach
  std::array<std::int64_t, 2> dilation = {1, 1};
};
/// The largest element of each window; padding takes no part. On ties the gradient goes to the
/// first maximum in row-major order; a NaN counts as the largest.
Variable max_pool2d(const Variable& x, std::array<std::int64_t, 2> window,
                    const MaxPoolOptions& options = {});

struct AvgPoolOptions {
  std::array<std::int64_t, 2> stride = {0, 0};   ///< {0, 0}: that of the window
  std::array<std::int64_t, 2> padding = {0, 0};  ///< zeros on both sides; at most half a window
  bool count_include_pad = true;                 ///< false: the mean of what lies in the image
};
/// The mean of each window.
Variable avg_pool2d(const Variable& x, std::array<std::int64_t, 2> window,
                    const AvgPoolOptions& options = {});

/// The mean, the largest element of windows that follow from the size of the result: window i of H'
/// holds the rows floor(i H / H') .. ceil((i + 1) H / H') - 1.
Variable adaptive_avg_pool2d(const Variable& x, std::array<std::int64_t, 2> size);
Variable adaptive_max_pool2d(const Variable& x, std::array<std::int64_t, 2> size);

}  // namespace serenade
