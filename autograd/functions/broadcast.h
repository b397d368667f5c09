#pragma once
// Broadcasting: two shapes as the strides that the kernels walk by, and the way back.

#include "autograd/variable.h"
#include "kernels/elementwise/elementwise.h"
#include "tensor/shape.h"

namespace serenade {

/// The broadcast of contiguous operands of these shapes, which must be compatible
/// (broadcast_shapes). Axes of size 1 are dropped and neighbours merged: [8, 16, 5] with [16, 5]
/// becomes [8, 80] with strides {80, 1} and {0, 1}, and equal shapes become one long axis.
Broadcast make_broadcast(const Shape& a, const Shape& b);

/// x summed over what broadcasting a tensor of this shape to that of x repeats.
Variable sum_to(const Variable& x, const Shape& shape);

}  // namespace serenade
