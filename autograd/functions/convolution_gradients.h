#pragma once
// A convolution and its gradients, as functions of each other.
//
// sum(dy y) of a convolution y of x with a kernel is a sum of products dy weight x: it is linear in
// each of the three, and what stands beside one of them is that one's gradient. So the convolution
// itself (beside dy), the gradient of its input and that of its kernel are functions of two of the
// three, and the gradients of each are the other two: gradients of any order need no other kernels.

#include "autograd/variable.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"

namespace serenade {

/// y [N, K, out_h, out_w] of x [N, C, H, W], contiguous; bias may be undefined. `name` is that of
/// the node.
Variable convolved(const char* name, const Variable& x, const Variable& weight,
                   const Variable& bias, const Conv2dShape& shape);
Variable convolved(const char* name, const Variable& x, const Variable& weight,
                   const Variable& bias, const DepthwiseShape& shape);

/// The gradient of x.
Variable convolution_input_gradient(const Variable& dy, const Variable& weight,
                                    const Conv2dShape& shape);
Variable convolution_input_gradient(const Variable& dy, const Variable& weight,
                                    const DepthwiseShape& shape);

/// The gradient of the kernel.
Variable convolution_weight_gradient(const Variable& dy, const Variable& x,
                                     const Conv2dShape& shape);
Variable convolution_weight_gradient(const Variable& dy, const Variable& x,
                                     const DepthwiseShape& shape);

}  // namespace serenade
