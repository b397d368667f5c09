#pragma once
// Reductions over axes, and running sums. Conventions: autograd/functions.h.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"

namespace serenade {

/// One axis or several, negative ones from the end. Made of integers and of no bool:
/// sum(x, true) does not compile, where it would otherwise sum axis 1.
class AxisList {
 public:
  template <std::integral Index>
  requires(!std::same_as<Index, bool>) AxisList(Index axis)
      : axes_{static_cast<std::int64_t>(axis)} {}  // NOLINT: sum(x, 1)
  AxisList(std::initializer_list<std::int64_t> axes) : axes_(axes) {}
  const std::vector<std::int64_t>& axes() const { return axes_; }

 private:
  std::vector<std::int64_t> axes_;
};

/// Sum of all elements: a scalar. With axes, sum(x, 1) or sum(x, {0, 2}): over those, which must
/// differ; keepdim leaves them with size 1. So do all reductions below.
Variable sum(const Variable& x);
Variable sum(const Variable& x, const AxisList& axes, bool keepdim = false);
/// Mean of all elements: a scalar.
Variable mean(const Variable& x);
Variable mean(const Variable& x, const AxisList& axes, bool keepdim = false);
/// Largest, smallest element. On ties the gradient goes to the first, row-major. Where there is a
/// NaN, the result is NaN and the gradient goes to the first of them.
Variable max(const Variable& x, const AxisList& axes, bool keepdim = false);
Variable min(const Variable& x, const AxisList& axes, bool keepdim = false);
/// sum (x - mean)^2 / (count - correction): 1 estimates the variance behind a sample, 0 is that of
/// the values themselves, as layer and batch normalisation take it. Two passes over x, so that no
/// digits are lost at a large mean.
Variable var(const Variable& x, const AxisList& axes, real correction = 1, bool keepdim = false);
/// The square root of var; PyTorch's std. Its gradient is infinite where all values are equal.
Variable stddev(const Variable& x, const AxisList& axes, real correction = 1, bool keepdim = false);
/// ln sum e^x, without overflow; -inf where all are -inf.
Variable logsumexp(const Variable& x, const AxisList& axes, bool keepdim = false);
/// (sum |x|^p)^(1/p), p >= 1, or the largest |x| for p = INFINITY; gradient 0 where the norm is 0.
Variable norm(const Variable& x, const AxisList& axes, real p = 2, bool keepdim = false);
/// Running sums: y_k = x_0 + .. + x_k along an axis.
Variable cumsum(const Variable& x, std::int64_t axis);
/// Positions of the largest elements along an axis, of the first on ties and of the first NaN where
/// there is one: one for each of the other elements, row-major, in host memory. No gradient.
Indices argmax(const Variable& x, std::int64_t axis);

}  // namespace serenade
