// Reductions: sum, mean and maximum, of all elements or along one axis.

#include "kernels/elementwise/reduce.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A tensor as [outer, axis, inner], and the shape that is left.
struct AxisView {
  std::int64_t outer = 1, axis = 1, inner = 1;
  Shape reduced;
};

AxisView view_along(const char* op, const Shape& shape, std::int64_t axis, bool keepdim) {
  const auto at =
      static_cast<std::size_t>(normalized_axis(op, axis, static_cast<std::int64_t>(shape.size())));
  AxisView view;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (i < at ? view.outer : i == at ? view.axis : view.inner) *= shape[i];
    if (i != at) view.reduced.push_back(shape[i]);
    if (i == at && keepdim) view.reduced.push_back(1);
  }
  return view;
}

// All elements in one axis, to a scalar.
AxisView view_whole(const Shape& shape) { return {1, element_count(shape), 1, {}}; }

Variable scaled_sum(const char* name, const Variable& x, const AxisView& view, real factor) {
  const Tensor input = x.value().contiguous();
  const std::int64_t outer = view.outer, axis = view.axis, inner = view.inner;
  Tensor y = Tensor::empty(view.reduced, x.device());
  KERNEL(y.device(), sum_forward, y.data(), input.data(), factor, outer, axis, inner);
  return make_result(name, y, {x}, [factor, outer, axis, inner](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    KERNEL(dy.device(), sum_backward, d[0].data(), dy.data(), factor, outer, axis, inner);
  });
}

Variable mean_over(const Variable& x, const AxisView& view) {
  check(view.axis >= 1, "mean", "there must be an element to average; got ", x.shape());
  return scaled_sum("mean", x, view, static_cast<real>(1 / static_cast<double>(view.axis)));
}

}  // namespace

Variable sum(const Variable& x) {
  check_defined("sum", x);
  return scaled_sum("sum", x, view_whole(x.shape()), 1);
}

Variable sum(const Variable& x, std::int64_t axis, bool keepdim) {
  check_defined("sum", x);
  return scaled_sum("sum", x, view_along("sum", x.shape(), axis, keepdim), 1);
}

Variable mean(const Variable& x) {
  check_defined("mean", x);
  return mean_over(x, view_whole(x.shape()));
}

Variable mean(const Variable& x, std::int64_t axis, bool keepdim) {
  check_defined("mean", x);
  return mean_over(x, view_along("mean", x.shape(), axis, keepdim));
}

Variable max(const Variable& x, std::int64_t axis, bool keepdim) {
  check_defined("max", x);
  const AxisView view = view_along("max", x.shape(), axis, keepdim);
  check(view.axis >= 1, "max", "the axis must hold an element; got ", x.shape());
  const std::int64_t outer = view.outer, length = view.axis, inner = view.inner;
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(view.reduced, x.device());
  KERNEL(y.device(), max_forward, y.data(), input.data(), outer, length, inner);
  return make_result("max", y, {x},
                     [input, y, outer, length, inner](const Tensor& dy, Gradients& d) {
                       if (!d.wants(0)) return;
                       KERNEL(dy.device(), max_backward, d[0].data(), dy.data(), input.data(),
                              y.data(), outer, length, inner);
                     });
}

}  // namespace serenade
