#pragma once
// Softmax and its logarithm along one axis of [outer, axis, inner] (row-major, axis in the middle).
// The maximum along the axis is subtracted first, so that no exponential overflows.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// y_k = e^x_k / sum_j e^x_j. y, x: [outer, axis, inner]; y may be x.
DECLARE_KERNEL(void softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                                    std::int64_t inner));
/// dx_k += y_k (dy_k - sum_j dy_j y_j).
DECLARE_KERNEL(void softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                                     std::int64_t axis, std::int64_t inner));

/// y_k = x_k - ln sum_j e^x_j. y, x: [outer, axis, inner]; y may be x.
DECLARE_KERNEL(void log_softmax_forward(real* y, const real* x, std::int64_t outer,
                                        std::int64_t axis, std::int64_t inner));
/// dx_k += dy_k - e^y_k sum_j dy_j.
DECLARE_KERNEL(void log_softmax_backward(real* dx, const real* dy, const real* y,
                                         std::int64_t outer, std::int64_t axis,
                                         std::int64_t inner));

namespace cpu {

/// The definition. Same arguments. The oracle of the tests.
void softmax_forward_v0_plain(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                              std::int64_t inner);
void log_softmax_forward_v0_plain(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                                  std::int64_t inner);

}  // namespace cpu
}  // namespace serenade
