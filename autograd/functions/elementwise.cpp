// Elementwise functions: arithmetic with broadcasting, activations, dropout.

#include "kernels/elementwise/elementwise.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "autograd/functions/optional.h"
#include "autograd/functions/pointwise.h"
#include "tensor/check.h"

namespace serenade {

// Arithmetic --------------------------------------------------------------------------------------

namespace {

// Of an empty result nothing is written, and its operands need not be empty.
Gradients::Target target(Gradients& d, std::size_t operand, const Tensor& dy) {
  if (dy.numel() > 0) return d.target(operand);
  return {wanted(d, operand), Write::add};
}

// The gradient of one of two terms, which is factor * dy; of a repeated one, summed. `axes`: that
// term's first.
void add_term(Gradients& d, std::size_t term, const Tensor& dy, real factor,
              const Broadcast& axes) {
  if (!d.wants(term)) return;
  if (factor == 1 && d.shape(term) == dy.shape()) return d.pass_on(term, dy);
  const Gradients::Target to = target(d, term, dy);
  KERNEL(dy.device(), add_backward, to.data, dy.data(), factor, axes, to.write);
}

}  // namespace

Variable add(const Variable& a, const Variable& b) {
  check_defined("add", a, b);
  check_same_device("add", a, b);
  Tensor y = Tensor::empty(broadcast_shapes("add", a.shape(), b.shape()), a.device());
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  const Broadcast axes = make_broadcast(a.shape(), b.shape());
  KERNEL(y.device(), add_forward, y.data(), left.data(), right.data(), axes);
  return make_result(
      "add", y, {a, b},
      [axes](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          d.add(0, d.dy());
          d.add(1, d.dy());
          return;
        }
        add_term(d, 0, dy, 1, axes);
        add_term(d, 1, dy, 1, axes.swapped());
      },
      Saves::nothing);
}

Variable sub(const Variable& a, const Variable& b) {
  check_defined("sub", a, b);
  check_same_device("sub", a, b);
  Tensor y = Tensor::empty(broadcast_shapes("sub", a.shape(), b.shape()), a.device());
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  const Broadcast axes = make_broadcast(a.shape(), b.shape());
  KERNEL(y.device(), sub_forward, y.data(), left.data(), right.data(), axes);
  return make_result(
      "sub", y, {a, b},
      [axes](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          d.add(0, d.dy());
          d.add(1, -d.dy());
          return;
        }
        add_term(d, 0, dy, 1, axes);
        add_term(d, 1, dy, -1, axes.swapped());
      },
      Saves::nothing);
}

Variable mul(const Variable& a, const Variable& b) {
  check_defined("mul", a, b);
  check_same_device("mul", a, b);
  Tensor y = Tensor::empty(broadcast_shapes("mul", a.shape(), b.shape()), a.device());
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  const Broadcast axes = make_broadcast(a.shape(), b.shape());
  KERNEL(y.device(), mul_forward, y.data(), left.data(), right.data(), axes);
  // A factor is only kept for the gradient of the other one.
  const Tensor saved_left = b.requires_grad() ? left : Tensor();
  const Tensor saved_right = a.requires_grad() ? right : Tensor();
  return make_result(
      "mul", y, {a, b}, [saved_left, saved_right, axes](const Tensor& dy, Gradients& d) {
        if (d.create_graph()) {
          if (d.wants(0)) d.add(0, d.dy() * d.input(1, saved_right));
          if (d.wants(1)) d.add(1, d.dy() * d.input(0, saved_left));
          return;
        }
        if (d.wants(0)) {
          const Gradients::Target to = target(d, 0, dy);
          KERNEL(dy.device(), mul_backward, to.data, dy.data(), saved_right.data(), axes, to.write);
        }
        if (d.wants(1)) {
          const Gradients::Target to = target(d, 1, dy);
          KERNEL(dy.device(), mul_backward, to.data, dy.data(), saved_left.data(), axes.swapped(),
                 to.write);
        }
      });
}

Variable div(const Variable& a, const Variable& b) {
  check_defined("div", a, b);
  check_same_device("div", a, b);
  Tensor y = Tensor::empty(broadcast_shapes("div", a.shape(), b.shape()), a.device());
  const Tensor left = a.value().contiguous(), right = b.value().contiguous();
  const Broadcast axes = make_broadcast(a.shape(), b.shape());
  KERNEL(y.device(), div_forward, y.data(), left.data(), right.data(), axes);
  const Tensor saved_left = b.requires_grad() ? left : Tensor();
  return make_result("div", y, {a, b}, [saved_left, right, axes](const Tensor& dy, Gradients& d) {
    if (d.create_graph()) {
      const Variable b = d.input(1, right);
      d.add(0, d.dy() / b);
      // Not by b^2, which leaves float's range long before a / b does.
      if (d.wants(1)) d.add(1, -d.dy() * (d.input(0, saved_left) / b / b));
      return;
    }
    if (d.wants(0)) {
      const Gradients::Target to = target(d, 0, dy);
      KERNEL(dy.device(), div_backward_numerator, to.data, dy.data(), right.data(), axes, to.write);
    }
    if (d.wants(1)) {
      const Gradients::Target to = target(d, 1, dy);
      KERNEL(dy.device(), div_backward_denominator, to.data, dy.data(), saved_left.data(),
             right.data(), axes, to.write);
    }
  });
}

Variable affine(const Variable& x, real factor, real offset) {
  check_defined("affine", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), affine_forward, y.data(), input.data(), factor, offset, y.numel());
  return make_result(
      "affine", y, {x},
      [factor](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, d.dy() * factor);
        if (factor == 1) return d.pass_on(0, dy);
        const Gradients::Target dx = d.target(0);
        KERNEL(dy.device(), affine_backward, dx.data, dy.data(), factor, dy.numel(), dx.write);
      },
      Saves::nothing);
}

Variable neg(const Variable& x) {
  check_defined("neg", x);
  return affine(x, -1);
}

// Activations -------------------------------------------------------------------------------------
//
// All but the logarithm find their gradient from their own output, which the next function usually
// keeps alive anyway.

Variable relu(const Variable& x) {
  check_defined("relu", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), relu_forward, y.data(), input.data(), y.numel());
  return make_result("relu", y, {x}, [y](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, kept(d.dy(), d.output(y) > 0));
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), relu_backward, dx.data, dy.data(), y.data(), dy.numel(), dx.write);
  });
}

Variable sigmoid(const Variable& x) {
  check_defined("sigmoid", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), sigmoid_forward, y.data(), input.data(), y.numel());
  return make_result("sigmoid", y, {x}, [y](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) {
      const Variable s = d.output(y);
      return d.add(0, d.dy() * s * (1 - s));
    }
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), sigmoid_backward, dx.data, dy.data(), y.data(), dy.numel(), dx.write);
  });
}

Variable tanh(const Variable& x) {
  check_defined("tanh", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), tanh_forward, y.data(), input.data(), y.numel());
  return make_result("tanh", y, {x}, [y](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, d.dy() * (1 - square(d.output(y))));
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), tanh_backward, dx.data, dy.data(), y.data(), dy.numel(), dx.write);
  });
}

Variable exp(const Variable& x) {
  check_defined("exp", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), exp_forward, y.data(), input.data(), y.numel());
  return make_result("exp", y, {x}, [y](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, d.dy() * d.output(y));
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), exp_backward, dx.data, dy.data(), y.data(), dy.numel(), dx.write);
  });
}

Variable log(const Variable& x) {
  check_defined("log", x);
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), log_forward, y.data(), input.data(), y.numel());
  return make_result("log", y, {x}, [input](const Tensor& dy, Gradients& d) {
    if (!d.wants(0)) return;
    if (d.create_graph()) return d.add(0, d.dy() / d.input(0, input));
    const Gradients::Target dx = d.target(0);
    KERNEL(dy.device(), log_backward, dx.data, dy.data(), input.data(), dy.numel(), dx.write);
  });
}

Variable dropout(const Variable& x, double p, const RandomKey& key) {
  check_defined("dropout", x);
  check(p >= 0 && p < 1, "dropout", "0 <= p < 1 must hold; got p = ", p);
  const DropoutKey stream{key.seed, static_cast<std::uint32_t>(key.purpose), key.step};
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty(x.shape(), x.device());
  KERNEL(y.device(), dropout_forward, y.data(), input.data(), p, stream, y.numel());
  return make_result(
      "dropout", y, {x},
      [p, stream, key](const Tensor& dy, Gradients& d) {
        if (!d.wants(0)) return;
        if (d.create_graph()) return d.add(0, dropout(d.dy(), p, key));  // the same mask
        const Gradients::Target dx = d.target(0);
        KERNEL(dy.device(), dropout_backward, dx.data, dy.data(), p, stream, dy.numel(), dx.write);
      },
      Saves::nothing);
}

}  // namespace serenade
