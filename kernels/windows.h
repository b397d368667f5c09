#pragma once
// Overlapping windows along the last axis: window w holds the steps w * shift .. w * shift + size -
// 1; steps past the end read as zeros.

#include <cstdint>

#include "kernels/dispatch.h"

namespace serenade {

struct WindowsShape {
  std::int64_t samples = 1;  ///< N
  std::int64_t rows = 1;     ///< R: everything between the sample and the step
  std::int64_t steps = 1;    ///< T
  std::int64_t count = 1;    ///< windows per sample
  std::int64_t size = 1;     ///< steps per window
  std::int64_t shift = 1;    ///< steps from one window's start to the next
};

/// y: [N, count, R, size]; x: [N, R, T].
DECLARE_KERNEL(void windows_forward(real* y, const real* x, const WindowsShape& shape));

/// dx += the gradient of every window that holds the step. dx: [N, R, T]; dy: as y.
DECLARE_KERNEL(void windows_backward(real* dx, const real* dy, const WindowsShape& shape));

}  // namespace serenade
