// Reductions over all elements or over some axes, and running sums.

#include "kernels/elementwise/reduce.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/pointwise.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A tensor as [outer, axis, inner], and the shape that is left. Where nothing is left, outer is 0,
// however long the axes are.
struct AxisView {
  std::int64_t outer = 1, axis = 1, inner = 1;
  Shape reduced;
};

// All elements in one axis, to a scalar.
AxisView view_whole(const Shape& shape) { return {1, element_count(shape), 1, {}}; }

struct AxisOrder {
  AxisView view;
  std::vector<std::int64_t> order;  // in which the reduced axes are neighbours; empty: they are
};

AxisOrder order_of(const char* name, const Variable& x, const AxisList& list, bool keepdim) {
  check_defined(name, x);
  const Shape& shape = x.shape();
  std::vector<bool> reduced(shape.size(), false);
  for (const std::int64_t axis : list.axes()) {
    const auto at = static_cast<std::size_t>(normalized_axis(name, axis, x.dim()));
    check(!reduced[at], name, "axes must differ; got axis ", at, " twice");
    reduced[at] = true;
  }
  check(!list.axes().empty(), name, "at least one axis; got none");
  AxisOrder result;
  std::vector<std::int64_t> kept, gone;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (reduced[i] ? gone : kept).push_back(static_cast<std::int64_t>(i));
    if (!reduced[i]) result.view.reduced.push_back(shape[i]);
    if (reduced[i] && keepdim) result.view.reduced.push_back(1);
  }
  const auto size = [&](std::int64_t axis) { return shape[static_cast<std::size_t>(axis)]; };
  const bool neighbours = gone.back() - gone.front() + 1 == std::ssize(gone);
  if (element_count(result.view.reduced, name) == 0) {
    result.view.outer = 0;
    for (const std::int64_t axis : gone) result.view.axis *= std::min<std::int64_t>(size(axis), 1);
  } else {
    for (const std::int64_t axis : gone) result.view.axis *= size(axis);
    for (const std::int64_t axis : kept) {
      (neighbours && axis > gone.front() ? result.view.inner : result.view.outer) *= size(axis);
    }
  }
  if (!neighbours) {
    result.order = kept;
    result.order.insert(result.order.end(), gone.begin(), gone.end());
  }
  return result;
}

AxisView view_over(const char* name, const Variable& x, const AxisList& axes, bool keepdim) {
  return order_of(name, x, axes, keepdim).view;
}

struct ReducedView {
  Variable x;
  AxisView view;
};

// x seen along its axes; those that are no neighbours are brought together at the end.
ReducedView reduce_over(const char* name, const Variable& x, const AxisList& axes, bool keepdim) {
  const AxisOrder found = order_of(name, x, axes, keepdim);
  return {found.order.empty() ? x : permute(x, found.order), found.view};
}

// [outer, inner], repeated along the axis between them, as `shape`.
Variable repeated(const Variable& x, std::int64_t outer, std::int64_t axis, std::int64_t inner,
                  const Shape& shape) {
  return reshape(expand(reshape(x, {outer, 1, inner}), {outer, axis, inner}), shape);
}

Variable scaled_sum(const char* name, const Variable& x, const AxisView& view, real factor) {
  const Tensor input = x.value().contiguous();
  const std::int64_t outer = view.outer, axis = view.axis, inner = view.inner;
  Tensor y = Tensor::empty(view.reduced, x.device());
  KERNEL(y.device(), sum_forward, y.data(), input.data(), factor, outer, axis, inner);
  return make_result(
      name, y, {x},
      [factor, outer, axis, inner](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {
          const Variable whole = repeated(d.dy(), outer, axis, inner, d.shape(0));
          return d.add(0, factor == 1 ? whole : whole * factor);
        }
        KERNEL(dy.device(), sum_backward, d[0].data(), dy.data(), factor, outer, axis, inner);
      },
      Saves::nothing);
}

Variable mean_over(const Variable& x, const AxisView& view) {
  check(view.axis >= 1, "mean", "there must be an element to average; got ", x.shape());
  return scaled_sum("mean", x, view, static_cast<real>(1 / static_cast<double>(view.axis)));
}

// y where the tensor s is not 0, 0 elsewhere, with y = f(s): f must not see a 0, where its
// derivative may be infinite.
template <class Function>
Variable where_not_zero(const Variable& s, Function f) {
  const Variable one(Tensor::scalar(1, s.device())), zero(Tensor::scalar(0, s.device()));
  const Tensor mask = ne(s, zero);  // 1 also where s is NaN, which is to stay
  return where(mask, f(where(mask, s, one)), zero);
}

}  // namespace

// Sums --------------------------------------------------------------------------------------------

Variable sum(const Variable& x) {
  check_defined("sum", x);
  return scaled_sum("sum", x, view_whole(x.shape()), 1);
}

Variable sum(const Variable& x, const AxisList& axes, bool keepdim) {
  const ReducedView over = reduce_over("sum", x, axes, keepdim);
  return scaled_sum("sum", over.x, over.view, 1);
}

Variable mean(const Variable& x) {
  check_defined("mean", x);
  return mean_over(x, view_whole(x.shape()));
}

Variable mean(const Variable& x, const AxisList& axes, bool keepdim) {
  const ReducedView over = reduce_over("mean", x, axes, keepdim);
  return mean_over(over.x, over.view);
}

Variable var(const Variable& x, const AxisList& axes, real correction, bool keepdim) {
  const auto count = static_cast<real>(view_over("var", x, axes, keepdim).axis);
  check(correction >= 0 && count > correction, "var",
        "there must be more elements than the correction; got ", count, " of ", x.shape(),
        " and correction ", correction);
  return sum(square(x - mean(x, axes, true)), axes, keepdim) / (count - correction);
}

Variable stddev(const Variable& x, const AxisList& axes, real correction, bool keepdim) {
  check_defined("stddev", x);
  return sqrt(var(x, axes, correction, keepdim));
}

Variable logsumexp(const Variable& x, const AxisList& axes, bool keepdim) {
  check_defined("logsumexp", x);
  Tensor largest;
  {
    const NoGrad no_grad;
    const Variable top = max(x, axes, true);
    // Where the largest is infinite, x - largest would be NaN.
    largest = where(eq(abs(top), Tensor::scalar(INFINITY, x.device())),
                    Variable(Tensor::scalar(0, x.device())), top)
                  .value();
  }
  const Variable total = log(sum(exp(x - Variable(largest)), axes, true)) + Variable(largest);
  return keepdim ? total : reshape(total, view_over("logsumexp", x, axes, false).reduced);
}

Variable norm(const Variable& x, const AxisList& axes, real p, bool keepdim) {
  check_defined("norm", x);
  check(p >= 1, "norm", "p must be at least 1; got ", p);
  if (p == 1) return sum(abs(x), axes, keepdim);
  if (std::isinf(p)) return max(abs(x), axes, keepdim);
  if (p == 2) {
    return where_not_zero(sum(square(x), axes, keepdim), [](const Variable& s) { return sqrt(s); });
  }
  return where_not_zero(sum(pow(abs(x), p), axes, keepdim),
                        [p](const Variable& s) { return pow(s, 1 / p); });
}

// Extremes ----------------------------------------------------------------------------------------

Variable max(const Variable& x, const AxisList& axes, bool keepdim) {
  const ReducedView over = reduce_over("max", x, axes, keepdim);
  check(over.view.axis >= 1, "max", "the axis must hold an element; got ", x.shape());
  const std::int64_t outer = over.view.outer, length = over.view.axis, inner = over.view.inner;
  const Tensor input = over.x.value().contiguous();
  Tensor y = Tensor::empty(over.view.reduced, x.device());
  KERNEL(y.device(), max_forward, y.data(), input.data(), outer, length, inner);
  return make_result("max", y, {over.x},
                     [input, y, outer, length, inner](const Tensor& dy, Gradients& d) {
                       if (!d.wants(0)) return;
                       if (d.create_graph()) {
                         const Tensor ones = Tensor::ones(y.shape(), y.device());
                         Tensor chosen(input.shape(), input.device());
                         KERNEL(chosen.device(), max_backward, chosen.data(), ones.data(),
                                input.data(), y.data(), outer, length, inner);
                         const Variable whole = repeated(d.dy(), outer, length, inner, d.shape(0));
                         return d.add(0, kept(whole, chosen));
                       }
                       KERNEL(dy.device(), max_backward, d[0].data(), dy.data(), input.data(),
                              y.data(), outer, length, inner);
                     });
}

Variable min(const Variable& x, const AxisList& axes, bool keepdim) {
  check_defined("min", x);
  return -max(-x, axes, keepdim);
}

Indices argmax(const Variable& x, std::int64_t axis) {
  const AxisView view = view_over("argmax", x, axis, false);
  check(view.axis >= 1, "argmax", "the axis must hold an element; got ", x.shape());
  const Tensor input = x.value().to(Device::cpu).contiguous();
  Indices found;
  found.reserve(static_cast<std::size_t>(view.outer * view.inner));
  for (std::int64_t outer = 0; outer < view.outer; ++outer) {
    for (std::int64_t inner = 0; inner < view.inner; ++inner) {
      const real* lane = input.data() + outer * view.axis * view.inner + inner;
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < view.axis; ++k) {
        const real value = lane[k * view.inner], old = lane[best * view.inner];
        if (value > old || (std::isnan(value) && !std::isnan(old))) best = k;
      }
      found.push_back(best);
    }
  }
  return found;
}

// Running sums ------------------------------------------------------------------------------------

Variable cumsum(const Variable& x, std::int64_t axis) {
  const AxisView view = view_over("cumsum", x, axis, false);
  const std::int64_t outer = x.numel() > 0 ? view.outer : 0, length = view.axis, inner = view.inner;
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), cumsum_forward, y.data(), input.data(), outer, length, inner);
  return make_result(
      "cumsum", y, {x},
      [outer, length, inner](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) {  // sums from the end
          const Variable lanes = reshape(d.dy(), {outer, length, inner});
          return d.add(0, reshape(flip(cumsum(flip(lanes, 1), 1), 1), dy.shape()));
        }
        KERNEL(dy.device(), cumsum_backward, d[0].data(), dy.data(), outer, length, inner);
      },
      Saves::nothing);
}

}  // namespace serenade
