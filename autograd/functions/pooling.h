#pragma once
// Pooling and resizing. Conventions: autograd/functions.h.
//
// x: [N, C, H, W]; result [N, C, H', W'] with H' = floor((H + 2 padding - reach) / stride) + 1,
// where a window of R rows reaches over dilation (R - 1) + 1. Over all of a map: adaptive, to
// {1, 1}.

#include <array>
#include <cstdint>

#include "autograd/variable.h"
#include "tensor/enum_names.h"

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

enum class Interpolation { nearest, bilinear };
inline EnumNames<Interpolation> enum_names(Interpolation) {
  return {{Interpolation::nearest, "nearest"}, {Interpolation::bilinear, "bilinear"}};
}
struct InterpolateOptions {
  Interpolation mode = Interpolation::nearest;
  /// bilinear: the corners of the image stay its corners; else pixels are areas, and the image's
  /// edges stay its edges.
  bool align_corners = false;
};
/// An image of another size: of the element that lies at, or those that lie around,
/// i H / H' (nearest), (i + 1/2) H / H' - 1/2, or i (H - 1) / (H' - 1) (align_corners).
Variable interpolate(const Variable& x, std::array<std::int64_t, 2> size,
                     const InterpolateOptions& options = {});

}  // namespace serenade
