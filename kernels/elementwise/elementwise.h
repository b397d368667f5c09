#pragma once
// Elementwise arithmetic: broadcasting binary operations, activations and dropout.

#include <cstdint>

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/write.h"

namespace serenade {

/// How two operands broadcast to one result. Result axis k has shape[k] elements, and a step along
/// it moves operand a by stride_a[k] and b by stride_b[k] elements: 0 where the operand is
/// repeated; along the last axis 0 or 1. The forward kernels take any strides along the other axes
/// (a part of a larger array); the backward kernels want a gradient target a without gaps. Sizes of
/// 1 are best left out and neighbours that move alike merged; a result with one element has the
/// single axis [1] with strides 1.
struct Broadcast {
  int dims = 0;
  std::int64_t shape[kMaxDims];
  std::int64_t stride_a[kMaxDims];
  std::int64_t stride_b[kMaxDims];

  std::int64_t count() const {
    std::int64_t product = 1;
    for (int axis = 0; axis < dims; ++axis) product *= shape[axis];
    return product;
  }

  /// The same with the roles of a and b exchanged.
  Broadcast swapped() const {
    Broadcast other = *this;
    for (int axis = 0; axis < dims; ++axis) {
      other.stride_a[axis] = stride_b[axis];
      other.stride_b[axis] = stride_a[axis];
    }
    return other;
  }
};

/// y = a + b, a - b, a * b, a / b. y: [shape], contiguous; a, b: as `broadcast` says. y may be a or
/// b where that operand is not repeated.
DECLARE_KERNEL(void add_forward(real* y, const real* a, const real* b, const Broadcast& broadcast));
DECLARE_KERNEL(void sub_forward(real* y, const real* a, const real* b, const Broadcast& broadcast));
DECLARE_KERNEL(void mul_forward(real* y, const real* a, const real* b, const Broadcast& broadcast));
DECLARE_KERNEL(void div_forward(real* y, const real* a, const real* b, const Broadcast& broadcast));

/// Gradients of operand a; for operand b pass broadcast.swapped(). Where an operand was repeated
/// its gradient is the sum over the repetitions, in a fixed order. They are added to what they go
/// to or, with Write::set, are what it becomes; of an empty result nothing is written. da += factor
/// * dy: both sides of add and sub (factor 1 or -1).
DECLARE_KERNEL(void add_backward(real* da, const real* dy, real factor, const Broadcast& broadcast,
                                 Write write));
/// da += dy * b.
DECLARE_KERNEL(void mul_backward(real* da, const real* dy, const real* b,
                                 const Broadcast& broadcast, Write write));
/// da += dy / b.
DECLARE_KERNEL(void div_backward_numerator(real* da, const real* dy, const real* b,
                                           const Broadcast& broadcast, Write write));
/// db += -dy * a / b^2. `broadcast` not swapped.
DECLARE_KERNEL(void div_backward_denominator(real* db, const real* dy, const real* a, const real* b,
                                             const Broadcast& broadcast, Write write));

/// y = x * factor + offset; dx += dy * factor, or = with Write::set. count elements each, as all
/// below.
DECLARE_KERNEL(void affine_forward(real* y, const real* x, real factor, real offset,
                                   std::int64_t count));
DECLARE_KERNEL(void affine_backward(real* dx, const real* dy, real factor, std::int64_t count,
                                    Write write));

/// y = max(x, 0), NaN stays NaN; dx += dy where y > 0.
DECLARE_KERNEL(void relu_forward(real* y, const real* x, std::int64_t count));
DECLARE_KERNEL(void relu_backward(real* dx, const real* dy, const real* y, std::int64_t count,
                                  Write write));

/// y = 1 / (1 + e^-x); dx += dy * y (1 - y).
DECLARE_KERNEL(void sigmoid_forward(real* y, const real* x, std::int64_t count));
DECLARE_KERNEL(void sigmoid_backward(real* dx, const real* dy, const real* y, std::int64_t count,
                                     Write write));

/// y = tanh x; dx += dy * (1 - y^2).
DECLARE_KERNEL(void tanh_forward(real* y, const real* x, std::int64_t count));
DECLARE_KERNEL(void tanh_backward(real* dx, const real* dy, const real* y, std::int64_t count,
                                  Write write));

/// y = e^x; dx += dy * y.
DECLARE_KERNEL(void exp_forward(real* y, const real* x, std::int64_t count));
DECLARE_KERNEL(void exp_backward(real* dx, const real* dy, const real* y, std::int64_t count,
                                 Write write));

/// y = ln x; dx += dy / x.
DECLARE_KERNEL(void log_forward(real* y, const real* x, std::int64_t count));
DECLARE_KERNEL(void log_backward(real* dx, const real* dy, const real* x, std::int64_t count,
                                 Write write));

/// Which stream of random numbers a dropout uses: the parts of a RandomKey as plain integers.
struct DropoutKey {
  std::uint64_t seed;
  std::uint32_t purpose;
  std::uint64_t step;
};

/// y_i = x_i / (1 - p) where u_i >= p, else 0; u_i in [0, 1) is element i of the key's stream: the
/// top 24 bits of word i % 4 of Philox block i / 4 (Srivastava et al. 2014, in the form that scales
/// during training). The mask is never stored: the backward kernel draws it again.
DECLARE_KERNEL(void dropout_forward(real* y, const real* x, double p, const DropoutKey& key,
                                    std::int64_t count));
/// dx += dy / (1 - p) where u_i >= p.
DECLARE_KERNEL(void dropout_backward(real* dx, const real* dy, double p, const DropoutKey& key,
                                     std::int64_t count, Write write));

}  // namespace serenade
