#pragma once
// Overlapping windows along the last axis: window w holds the steps w * step .. w * step + size -
// 1; steps past the end read as zeros.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

struct UnfoldShape {
  std::int64_t samples = 1;  ///< N
  std::int64_t rows = 1;     ///< R: everything between the sample and the step
  std::int64_t steps = 1;    ///< T
  std::int64_t count = 1;    ///< windows per sample
  std::int64_t size = 1;     ///< steps per window
  std::int64_t step = 1;     ///< steps from one window's start to the next
};

/// y: [N, count, R, size]; x: [N, R, T].
DECLARE_KERNEL(void unfold_forward(real* y, const real* x, const UnfoldShape& shape));

/// dx += the gradient of every window that holds the step. dx: [N, R, T]; dy: as y.
DECLARE_KERNEL(void unfold_backward(real* dx, const real* dy, const UnfoldShape& shape));

}  // namespace serenade
