#pragma once
// Max-pooling with windows that do not overlap:
//
//   y[p,i,j] = max over 0 <= a < window_h, 0 <= b < window_w of
//              x[p, i*window_h + a, j*window_w + b]
//
// Rows and columns that fill no whole window are dropped. On ties the first element in row-major
// order wins; a NaN anywhere in a window wins over all values.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// `planes` images of height x width (planes = samples times channels).
struct PoolShape {
  std::int64_t planes = 1;
  std::int64_t height = 1;
  std::int64_t width = 1;
  std::int64_t window_h = 1;
  std::int64_t window_w = 1;

  std::int64_t out_h() const { return height / window_h; }
  std::int64_t out_w() const { return width / window_w; }
};

/// y: [planes, out_h, out_w]; index: the same, position of the maximum in its window (row-major).
/// x: [planes, height, width].
DECLARE_KERNEL(void max_pool2d_forward(real* y, std::int32_t* index, const real* x,
                                       const PoolShape& shape));

/// dx[maximum of each window] += dy. dx: [planes, height, width]; dy, index: [planes, out_h,
/// out_w].
DECLARE_KERNEL(void max_pool2d_backward(real* dx, const real* dy, const std::int32_t* index,
                                        const PoolShape& shape));

}  // namespace serenade
