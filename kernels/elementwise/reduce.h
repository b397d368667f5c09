#pragma once
// Reductions and running sums along one axis. A tensor is seen as [outer, axis, inner], row-major:
// the axis in the middle is reduced. All elements at once: outer = inner = 1.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// y = factor * sum of x along the axis, over fixed blocks in order; factor 1 / axis gives the
/// mean. y: [outer, inner]; x: [outer, axis, inner].
DECLARE_KERNEL(void sum_forward(real* y, const real* x, real factor, std::int64_t outer,
                                std::int64_t axis, std::int64_t inner));
/// dx += factor * dy, repeated along the axis. dx: [outer, axis, inner]; dy: [outer, inner].
DECLARE_KERNEL(void sum_backward(real* dx, const real* dy, real factor, std::int64_t outer,
                                 std::int64_t axis, std::int64_t inner));

/// y = largest element along the axis; NaN where there is one. axis >= 1.
DECLARE_KERNEL(void max_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                                std::int64_t inner));
/// dx += dy at the first element that equals the maximum, or at the first NaN. x, y: as in the
/// forward pass.
DECLARE_KERNEL(void max_backward(real* dx, const real* dy, const real* x, const real* y,
                                 std::int64_t outer, std::int64_t axis, std::int64_t inner));

/// y_k = x_0 + .. + x_k along the axis, added in that order. Both [outer, axis, inner].
DECLARE_KERNEL(void cumsum_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                                   std::int64_t inner));
/// dx_k += dy_k + dy_k+1 + .. along the axis, added from the end.
DECLARE_KERNEL(void cumsum_backward(real* dx, const real* dy, std::int64_t outer, std::int64_t axis,
                                    std::int64_t inner));

}  // namespace serenade
