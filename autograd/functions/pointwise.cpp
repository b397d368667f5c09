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

// The gradient of a step.
Variable no_gradient(const Variable& x) { return Tensor(x.shape(), x.device()); }

}  // namespace

// Arithmetic --------------------------------------------------------------------------------------

Variable operator/(const Variable& x, real divisor) {
  return div(x, scalar_beside("div", x, divisor));
}
Variable operator/(real dividend, const Variable& x) {
  return div(scalar_beside("div", x, dividend), x);
}

// Where a gradient by a or b is 0 by convention (formulas.h), a 1 stands in for the number whose
// logarithm or power may be infinite.
Variable pow(const Variable& a, const Variable& b) {
  return binary(
      "pow", a, b, formulas::Power{},
      [](const Variable& dy, const Variable& a, const Variable& b) {
        const Tensor constant = eq(b, scalar_beside("pow", b, 0));
        const Variable exponent = masked_fill(b, constant, 1);
        return masked_fill(dy, constant, 0) * (exponent * pow(a, exponent - 1));
      },
      [](const Variable& dy, const Variable& a, const Variable& b) {
        const Tensor limit = mul(eq(a, scalar_beside("pow", a, 0)), b >= 0).value();
        const Variable base = where(limit, scalar_beside("pow", a, 1), a);
        return masked_fill(dy, limit, 0) * (pow(base, b) * log(base));
      });
}
Variable pow(const Variable& x, real exponent) {
  return unary("pow", x, formulas::PowerOf{exponent},
               [exponent](const Variable& dy, const Variable& x) {
                 return exponent == 0 ? no_gradient(x) : dy * (exponent * pow(x, exponent - 1));
               });
}

namespace {

// What a gets of dy: nothing where it lost to b, half where they are equal.
Variable share(const Variable& dy, const Variable& a, const Variable& b, const Tensor& lost) {
  return where(eq(a, b), dy * real(0.5), masked_fill(dy, lost, 0));
}

}  // namespace

Variable maximum(const Variable& a, const Variable& b) {
  const auto by_a = [](const Variable& dy, const Variable& a, const Variable& b) {
    return share(dy, a, b, a < b);
  };
  return binary("maximum", a, b, formulas::Maximum{}, by_a, swapped(by_a));
}
Variable minimum(const Variable& a, const Variable& b) {
  const auto by_a = [](const Variable& dy, const Variable& a, const Variable& b) {
    return share(dy, a, b, a > b);
  };
  return binary("minimum", a, b, formulas::Minimum{}, by_a, swapped(by_a));
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
                       if (d.create_graph()) {
                         d.add(0, kept(d.dy(), wide_mask));
                         d.add(1, masked_fill(d.dy(), wide_mask, 0));
                         return;
                       }
                       for (const std::size_t input : {std::size_t{0}, std::size_t{1}}) {
                         if (!d.wants(input)) continue;
                         add_operand_gradient(d, input, dy, [&](const Gradients::Target& g) {
                           KERNEL(dy.device(), unary_backward, g.data, dy.data(), wide_mask.data(),
                                  dy.numel(), g.write, formulas::Masked{input == 0});
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

Variable kept(const Variable& x, const Tensor& mask) {
  return where(mask, x, scalar_beside("where", x, 0));
}

// Elementwise -------------------------------------------------------------------------------------

Variable sqrt(const Variable& x) {
  return unary("sqrt", x, formulas::Sqrt{},
               [](const Variable& dy, const Variable& x) { return dy / (2 * sqrt(x)); });
}
Variable rsqrt(const Variable& x) {
  return unary("rsqrt", x, formulas::Rsqrt{}, [](const Variable& dy, const Variable& x) {
    const Variable y = rsqrt(x);
    return real(-0.5) * dy * y * y * y;
  });
}
Variable square(const Variable& x) {
  check_defined("square", x);
  return mul(x, x);
}
Variable abs(const Variable& x) {
  return unary("abs", x, formulas::Abs{}, [](const Variable& dy, const Variable& x) {
    return kept(dy, x > 0) - kept(dy, x < 0);
  });
}
Variable sign(const Variable& x) {
  return unary("sign", x, formulas::Sign{},
               [](const Variable&, const Variable& x) { return no_gradient(x); });
}

namespace {

Variable between(const char* name, const Variable& x, real low, real high) {
  check_bounds(name, low, high);
  return unary(name, x, formulas::Clamp{low, high},
               [low, high](const Variable& dy, const Variable& x) {
                 return kept(kept(dy, x > low), x < high);
               });
}

}  // namespace

Variable clamp(const Variable& x, real low, real high) { return between("clamp", x, low, high); }
Variable erf(const Variable& x) {
  return unary("erf", x, formulas::Erf{}, [](const Variable& dy, const Variable& x) {
    return dy * (real(1.12837916709551257) * exp(-square(x)));  // 2 / sqrt(pi)
  });
}

// Activations -------------------------------------------------------------------------------------

Variable leaky_relu(const Variable& x, real slope) {
  return unary(
      "leaky_relu", x, formulas::LeakyRelu{slope},
      [slope](const Variable& dy, const Variable& x) { return where(x > 0, dy, slope * dy); });
}
Variable elu(const Variable& x, real alpha) {
  return unary("elu", x, formulas::Elu{alpha}, [alpha](const Variable& dy, const Variable& x) {
    const Tensor positive = x > 0;  // where e^x, which may be infinite, takes no part
    return where(positive, dy, dy * (alpha * exp(masked_fill(x, positive, 0))));
  });
}

namespace {

Variable gelu_derivative(const Variable& dy, const Variable& x) {
  const Variable normal = (1 + erf(x * real(0.70710678118654752))) * real(0.5);  // 1 / sqrt(2)
  const Variable density = real(0.39894228040143268) * exp(real(-0.5) * square(x));
  return dy * (normal + x * density);
}

Variable gelu_tanh_derivative(const Variable& dy, const Variable& x) {
  constexpr real kScale = real(0.79788456080286536), kCubic = real(0.044715);
  const Variable squared = square(x);
  const Variable t = tanh(kScale * (x * (1 + kCubic * squared)));
  const Variable slope = kScale * (1 + 3 * kCubic * squared);
  return dy * (real(0.5) * (1 + t + x * (1 - square(t)) * slope));
}

}  // namespace

Variable gelu(const Variable& x, GeluForm form) {
  return form == GeluForm::erf ? unary("gelu", x, formulas::Gelu{}, gelu_derivative)
                               : unary("gelu", x, formulas::GeluTanh{}, gelu_tanh_derivative);
}
Variable silu(const Variable& x) {
  return unary("silu", x, formulas::Silu{}, [](const Variable& dy, const Variable& x) {
    const Variable s = sigmoid(x);
    return dy * (s * (1 + x * (1 - s)));
  });
}
Variable softplus(const Variable& x, real beta, real threshold) {
  check(beta > 0, "softplus", "beta must be positive; got ", beta);
  return unary("softplus", x, formulas::Softplus{beta, threshold},
               [beta, threshold](const Variable& dy, const Variable& x) {
                 const Variable z = beta * x;
                 return where(z > threshold, dy, dy * sigmoid(z));
               });
}
Variable hardtanh(const Variable& x, real low, real high) {
  return between("hardtanh", x, low, high);
}
Variable relu6(const Variable& x) {
  check_defined("relu6", x);
  return hardtanh(x, 0, 6);
}

}  // namespace serenade
