#pragma once
// A formula of kernels/elementwise/formulas.h as a function with its gradients. Beside a formula
// stands its derivative written with functions, for gradients of gradients: what the kernel adds
// for a gradient dy of the result.

#include "autograd/engine.h"
#include "autograd/functions/broadcast.h"
#include "autograd/variable.h"
#include "kernels/elementwise/pointwise.h"
#include "tensor/check.h"

namespace serenade {

/// x where the mask is not 0, else 0, whatever x is there: 0 * inf would be NaN.
Variable kept(const Variable& x, const Tensor& mask);

/// Of one number. derivative(dy, x): the gradient of x.
template <class Formula, class Derivative>
Variable unary(const char* name, const Variable& x, const Formula& formula, Derivative derivative) {
  check_defined(name, x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), unary_forward, y.data(), input.data(), y.numel(), formula);
  return make_result(name, y, {x}, [input, formula, derivative](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, derivative(d.dy(), d.input(0, input)));
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), unary_backward, dx.data, dy.data(), input.data(), dy.numel(), dx.write,
           formula);
  });
}

/// Calls leave(target), which leaves the gradient of an operand at every element of the result, and
/// brings that to the operand's own shape: at once where the operand is not repeated.
template <class Leave>
void add_operand_gradient(Gradients& d, std::size_t operand, const Tensor& dy, Leave leave) {
  const Shape& shape = d.shape(operand);
  if (shape == dy.shape()) {
    const Gradients::Target target = d.target(operand);
    return leave(target);
  }
  Tensor whole = Tensor::empty(dy.shape(), dy.device());
  leave({whole.data(), Write::set});
  KERNEL(dy.device(), add_backward, d[operand].data(), whole.data(), 1,
         make_broadcast(shape, dy.shape()), Write::add);
}

/// The values alone of one of two numbers; the operands broadcast.
template <class Formula>
Tensor binary_value(const char* name, const Variable& a, const Variable& b,
                    const Formula& formula) {
  check_defined(name, a, b);
  check_same_device(name, a, b);
  Tensor y = Tensor::empty(broadcast_shapes(name, a.shape(), b.shape()), a.device());
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  KERNEL(y.device(), binary_forward, y.data(), left.data(), right.data(),
         make_broadcast(a.shape(), b.shape()), formula);
  return y;
}

/// by_a as by_b, for a function in which a and b change places.
template <class ByA>
auto swapped(ByA by_a) {
  return
      [by_a](const Variable& dy, const Variable& a, const Variable& b) { return by_a(dy, b, a); };
}

/// Of two numbers. by_a(dy, a, b), by_b(dy, a, b): the gradients at every element of the result.
template <class Formula, class ByA, class ByB>
Variable binary(const char* name, const Variable& a, const Variable& b, const Formula& formula,
                ByA by_a, ByB by_b) {
  const Tensor y = binary_value(name, a, b, formula);
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  return make_result(name, y, {a, b}, [=](const Tensor& dy, Gradients& d) {
    if (d.create_graph()) {
      const Variable in_a = d.input(0, left), in_b = d.input(1, right);
      if (d.wants(0)) d.add(0, by_a(d.dy(), in_a, in_b));
      if (d.wants(1)) d.add(1, by_b(d.dy(), in_a, in_b));
      return;
    }
    const Broadcast axes = make_broadcast(left.shape(), right.shape());
    for (const Operand by : {Operand::a, Operand::b}) {
      const std::size_t input = by == Operand::a ? 0 : 1;
      if (!d.wants(input)) continue;
      add_operand_gradient(d, input, dy, [&](const Gradients::Target& g) {
        KERNEL(dy.device(), binary_backward, g.data, dy.data(), left.data(), right.data(), axes,
               g.write, formula, by);
      });
    }
  });
}

}  // namespace serenade
