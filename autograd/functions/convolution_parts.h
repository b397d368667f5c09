#pragma once
// Convolutions with groups or dilation, by convolutions without.

#include "autograd/functions/convolution.h"

namespace serenade {

/// True without groups and dilation.
bool is_plain(const Conv2dOptions& options);

/// conv2d with them.
Variable conv2d_by_parts(const Variable& x, const Variable& weight, const Variable& bias,
                         const Conv2dOptions& options);

}  // namespace serenade
