#pragma once
// Pooling with windows that may overlap, lie apart, reach beyond the image, have gaps, or follow
// from the size of the result (adaptive):
//
//   y[p,i,j] = max, or mean, of x[p,r,s] over r in window i of the rows, s in window j of columns
//
// Elements beyond the image take no part in a maximum; in a mean they are zeros, which count or
// not. On ties the first element in row-major order wins; a NaN wins over all values.
// Windows one beside the other, of the size of the stride: kernels/pool/pool.h.

#include <cstdint>

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/host_device.h"

namespace serenade {

/// The windows along one axis: element k of window i is i * stride - padding + k * dilation.
/// window = 0: adaptive, window i is floor(i size / out) .. ceil((i + 1) size / out) - 1.
struct WindowAxis {
  std::int64_t size = 1;  ///< of the image
  std::int64_t out = 1;   ///< number of windows
  std::int64_t window = 1;
  std::int64_t stride = 1;
  std::int64_t padding = 0;  ///< before the first element; as many may come after the last
  std::int64_t dilation = 1;

  SERENADE_HOST_DEVICE bool adaptive() const { return window == 0; }
  /// First element of window i, perhaps before the image; how many there are; what lies between.
  SERENADE_HOST_DEVICE std::int64_t begin(std::int64_t i) const {
    return adaptive() ? i * size / out : i * stride - padding;
  }
  SERENADE_HOST_DEVICE std::int64_t count(std::int64_t i) const {
    return adaptive() ? ((i + 1) * size + out - 1) / out - i * size / out : window;
  }
  /// How many of them lie in the image. Only without dilation.
  SERENADE_HOST_DEVICE std::int64_t inside(std::int64_t i) const {
    const std::int64_t first = begin(i), end = first + count(i);
    return (end < size ? end : size) - (first > 0 ? first : 0);
  }
  /// The windows that may hold element x: first_window(x) .. end_window(x) - 1.
  SERENADE_HOST_DEVICE std::int64_t first_window(std::int64_t x) const {
    if (adaptive()) return x * out / size;
    const std::int64_t late = x + padding - (window - 1) * dilation;
    return late <= 0 ? 0 : (late + stride - 1) / stride;
  }
  SERENADE_HOST_DEVICE std::int64_t end_window(std::int64_t x) const {
    if (adaptive()) return ((x + 1) * out + size - 1) / size;
    const std::int64_t end = (x + padding) / stride + 1;
    return end < out ? end : out;
  }
};

struct WindowShape {
  std::int64_t planes = 1;
  WindowAxis rows, columns;
  /// Of a mean: whether elements beyond the image count.
  bool count_padding = true;

  /// One over the number of elements that a mean at (i, j) is taken over.
  SERENADE_HOST_DEVICE real share(std::int64_t i, std::int64_t j) const {
    const bool all = count_padding;
    return real(1) / static_cast<real>((all ? rows.count(i) : rows.inside(i)) *
                                       (all ? columns.count(j) : columns.inside(j)));
  }
};

/// y: [planes, rows.out, columns.out]; index: the same, position of the maximum in its plane
/// (row-major). x: [planes, rows.size, columns.size]. Every window has an element in the image.
DECLARE_KERNEL(void window_max_forward(real* y, std::int32_t* index, const real* x,
                                       const WindowShape& shape));
/// dx[index] += dy, in the order of the windows.
DECLARE_KERNEL(void window_max_backward(real* dx, const real* dy, const std::int32_t* index,
                                        const WindowShape& shape));

/// The means; without dilation.
DECLARE_KERNEL(void window_mean_forward(real* y, const real* x, const WindowShape& shape));
/// dx += dy share, for all elements of each window that lie in the image.
DECLARE_KERNEL(void window_mean_backward(real* dx, const real* dy, const WindowShape& shape));

}  // namespace serenade
