// Softmax along an axis.

#include "kernels/elementwise/softmax.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A tensor as [outer, axis, inner]; without elements it has no lanes, however long its axes are.
struct Lanes {
  std::int64_t outer = 1, axis = 1, inner = 1;
};

Lanes lanes_along(const char* op, const Shape& shape, std::int64_t axis) {
  const auto at =
      static_cast<std::size_t>(normalized_axis(op, axis, static_cast<std::int64_t>(shape.size())));
  check(shape[at] >= 1, op, "the axis must hold an element; got ", shape);
  if (element_count(shape) == 0) return {.outer = 0, .axis = shape[at]};
  Lanes lanes;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    (i < at ? lanes.outer : i == at ? lanes.axis : lanes.inner) *= shape[i];
  }
  return lanes;
}

// The sum over each lane, at every element of it.
Variable lane_sums(const Variable& x, const Lanes& l) {
  const Variable sums = sum(reshape(x, {l.outer, l.axis, l.inner}), 1, true);
  return reshape(expand(sums, {l.outer, l.axis, l.inner}), x.shape());
}

}  // namespace

Variable softmax(const Variable& x, std::int64_t axis) {
  check_defined("softmax", x);
  const Lanes l = lanes_along("softmax", x.shape(), axis);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), softmax_forward, y.data(), input.data(), l.outer, l.axis, l.inner);
  return make_result("softmax", y, {x}, [y, l](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) {
      const Variable p = d.output(y), weighted = d.dy() * p;
      return d.add(0, weighted - p * lane_sums(weighted, l));
    }
    KERNEL(dy.device(), softmax_backward, d[0].data(), dy.data(), y.data(), l.outer, l.axis,
           l.inner);
  });
}

Variable log_softmax(const Variable& x, std::int64_t axis) {
  check_defined("log_softmax", x);
  const Lanes l = lanes_along("log_softmax", x.shape(), axis);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), log_softmax_forward, y.data(), input.data(), l.outer, l.axis, l.inner);
  return make_result("log_softmax", y, {x}, [y, l](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, d.dy() - exp(d.output(y)) * lane_sums(d.dy(), l));
    KERNEL(dy.device(), log_softmax_backward, d[0].data(), dy.data(), y.data(), l.outer, l.axis,
           l.inner);
  });
}

}  // namespace serenade
