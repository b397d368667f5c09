// Functions of one or two numbers that kernels/elementwise/formulas.h defines: roots, powers,
// bounds, comparisons, choices, activations.

#include "kernels/elementwise/pointwise.h"

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/broadcast.h"
#include "autograd/functions/pointwise.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// A number beside x, where x is.
Variable scalar_beside(const char* name, const Variable& x, real value) {
  check_defined(name, x);
  return Variable(Tensor::scalar(value, x.device()));
}

void check_bounds(const char* name, real low, real high) {
  check(low <= high, name, "the lower bound must not be above the upper one; got ", low, " and ",
        high);
}

}  // namespace

// Arithmetic --------------------------------------------------------------------------------------

Variable operator/(const Variable& x, real divisor) {
  return div(x, scalar_beside("div", x, divisor));
}
Variable operator/(real dividend, const Variable& x) {
  return div(scalar_beside("div", x, dividend), x);
}

Variable pow(const Variable& a, const Variable& b) {
  return binary("pow", a, b, formulas::Power{});
}
Variable pow(const Variable& x, real exponent) {
  return unary("pow", x, formulas::PowerOf{exponent});
}
Variable maximum(const Variable& a, const Variable& b) {
  return binary("maximum", a, b, formulas::Maximum{});
}
Variable minimum(const Variable& a, const Variable& b) {
  return binary("minimum", a, b, formulas::Minimum{});
}

// Comparisons and choices -------------------------------------------------------------------------

Tensor lt(const Variable& a, const Variable& b) {
  return binary_value("lt", a, b, formulas::Less{});
}
Tensor le(const Variable& a, const Variable& b) {
  return binary_value("le", a, b, formulas::LessEqual{});
}
Tensor gt(const Variable& a, const Variable& b) {
  return binary_value("gt", b, a, formulas::Less{});
}
Tensor ge(const Variable& a, const Variable& b) {
  return binary_value("ge", b, a, formulas::LessEqual{});
}
Tensor eq(const Variable& a, const Variable& b) {
  return binary_value("eq", a, b, formulas::Equal{});
}
Tensor ne(const Variable& a, const Variable& b) {
  return binary_value("ne", a, b, formulas::NotEqual{});
}

Tensor operator<(const Variable& x, real bound) { return lt(x, scalar_beside("lt", x, bound)); }
Tensor operator<=(const Variable& x, real bound) { return le(x, scalar_beside("le", x, bound)); }
Tensor operator>(const Variable& x, real bound) { return gt(x, scalar_beside("gt", x, bound)); }
Tensor operator>=(const Variable& x, real bound) { return ge(x, scalar_beside("ge", x, bound)); }

Variable where(const Tensor& mask, const Variable& a, const Variable& b) {
  check_defined("where", mask, a, b);
  check_same_device("where", a, b, Variable(mask));
  const Shape pair = broadcast_shapes("where", a.shape(), b.shape());
  const Shape shape = broadcast_shapes("where", mask.shape(), pair);
  // Where the mask has more axes than a and b together, they are spread out to its shape.
  const bool wider = shape != pair;
  const Tensor left = (wider ? a.value().expand(shape) : a.value()).contiguous();
  const Tensor right = (wider ? b.value().expand(shape) : b.value()).contiguous();
  const Tensor wide_mask = mask.expand(shape).contiguous();
  Tensor y = Tensor::empty(shape, a.device());
  KERNEL(y.device(), select_forward, y.data(), wide_mask.data(), left.data(), right.data(),
         make_broadcast(left.shape(), right.shape()));
  return make_result("where", y,
                     {a, b, Variable(mask)},  // which must not change before backward has read it
                     [wide_mask](const Tensor& dy, Gradients& d) {
                       for (const std::size_t input : {std::size_t{0}, std::size_t{1}}) {
                         if (!d.wants(input)) continue;
                         add_operand_gradient(d[input], dy, [&](Tensor& g) {
                           KERNEL(g.device(), unary_backward, g.data(), dy.data(), wide_mask.data(),
                                  dy.numel(), formulas::Masked{input == 0});
                         });
                       }
                     });
}

Variable masked_fill(const Variable& x, const Tensor& mask, real value) {
  check_defined("masked_fill", x, mask);
  check(broadcast_shapes("masked_fill", x.shape(), mask.shape()) == x.shape(), "masked_fill",
        "the mask must broadcast to the input; got ", x.shape(), " and mask ", mask.shape());
  check_same_device("masked_fill", x, Variable(mask));
  return where(mask, scalar_beside("masked_fill", x, value), x);
}

// Elementwise -------------------------------------------------------------------------------------

Variable sqrt(const Variable& x) { return unary("sqrt", x, formulas::Sqrt{}); }
Variable rsqrt(const Variable& x) { return unary("rsqrt", x, formulas::Rsqrt{}); }
Variable square(const Variable& x) {
  check_defined("square", x);
  return mul(x, x);
}
Variable abs(const Variable& x) { return unary("abs", x, formulas::Abs{}); }
Variable sign(const Variable& x) { return unary("sign", x, formulas::Sign{}); }
Variable clamp(const Variable& x, real low, real high) {
  check_bounds("clamp", low, high);
  return unary("clamp", x, formulas::Clamp{low, high});
}
Variable erf(const Variable& x) { return unary("erf", x, formulas::Erf{}); }

// Activations -------------------------------------------------------------------------------------

Variable leaky_relu(const Variable& x, real slope) {
  return unary("leaky_relu", x, formulas::LeakyRelu{slope});
}
Variable elu(const Variable& x, real alpha) { return unary("elu", x, formulas::Elu{alpha}); }
Variable gelu(const Variable& x, GeluForm form) {
  return form == GeluForm::erf ? unary("gelu", x, formulas::Gelu{})
                               : unary("gelu", x, formulas::GeluTanh{});
}
Variable silu(const Variable& x) { return unary("silu", x, formulas::Silu{}); }
Variable softplus(const Variable& x, real beta, real threshold) {
  check(beta > 0, "softplus", "beta must be positive; got ", beta);
  return unary("softplus", x, formulas::Softplus{beta, threshold});
}
Variable hardtanh(const Variable& x, real low, real high) {
  check_bounds("hardtanh", low, high);
  return unary("hardtanh", x, formulas::Clamp{low, high});
}
Variable relu6(const Variable& x) {
  check_defined("relu6", x);
  return hardtanh(x, 0, 6);
}

}  // namespace serenade
