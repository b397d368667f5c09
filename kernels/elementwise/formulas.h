#pragma once
// Functions of one or two numbers, each with its derivative, written once for all devices and for
// vectors. The loops round them are those of pointwise.h.
//
// A function of one number has
//   value(x)           f(x)
//   gradient(d, x)     d f'(x), where d is the gradient of the result
// and one of two numbers value(a, b), gradient_a(d, a, b) and gradient_b(d, a, b). A gradient that
// does not pass is 0 whatever d is: 0 * inf would be NaN. NaN in, NaN out.
//
// All of them are templates over the arithmetic F, which says what a number is and what its exp is:
// Plain below, one number at a time, and the vectors of cpu/simd/pointwise.cpp. As a vector has no
// branches, both sides of a choice are computed, and F::select takes one.

#include <cmath>

#include "kernels/runtime/host_device.h"
#include "kernels/runtime/real.h"

namespace serenade::formulas {

template <class F>
using Number = typename F::Number;

/// One number, with the functions of the C++ library.
struct Plain {
  using Number = real;

  SERENADE_HOST_DEVICE static real select(bool condition, real yes, real no) {
    return condition ? yes : no;
  }
  SERENADE_HOST_DEVICE static real all(real x) { return x; }  ///< a number of which all lanes are x
  SERENADE_HOST_DEVICE static real abs(real x) { return std::abs(x); }
  SERENADE_HOST_DEVICE static real sqrt(real x) { return std::sqrt(x); }
  SERENADE_HOST_DEVICE static real exp(real x) { return std::exp(x); }
  SERENADE_HOST_DEVICE static real expm1(real x) { return std::expm1(x); }
  SERENADE_HOST_DEVICE static real log(real x) { return std::log(x); }
  SERENADE_HOST_DEVICE static real log1p(real x) { return std::log1p(x); }
  SERENADE_HOST_DEVICE static real pow(real x, real y) { return std::pow(x, y); }
  SERENADE_HOST_DEVICE static real tanh(real x) { return std::tanh(x); }
  SERENADE_HOST_DEVICE static real erf(real x) { return std::erf(x); }
  /// e^(-x^2 / 2).
  SERENADE_HOST_DEVICE static real bell(real x) { return std::exp(-x * x / 2); }
  /// The standard normal distribution, from erfc, whose tail keeps its digits.
  SERENADE_HOST_DEVICE static real phi(real x) {
    return std::erfc(-x * real(0.70710678118654752)) / 2;
  }
};

#define FORMULA              \
  template <class F = Plain> \
  SERENADE_HOST_DEVICE inline Number<F>

// Of one number -----------------------------------------------------------------------------------

/// The gradient is infinite at 0.
struct Sqrt {
  FORMULA value(Number<F> x) const { return F::sqrt(x); }
  FORMULA gradient(Number<F> d, Number<F> x) const { return d / (2 * F::sqrt(x)); }
};

/// 1 / sqrt x.
struct Rsqrt {
  FORMULA value(Number<F> x) const { return 1 / F::sqrt(x); }
  FORMULA gradient(Number<F> d, Number<F> x) const { return -d / (2 * x * F::sqrt(x)); }
};

/// Gradient 0 at 0.
struct Abs {
  FORMULA value(Number<F> x) const { return F::abs(x); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    return F::select(x > 0, d, F::select(x < 0, -d, 0));
  }
};

/// -1, 0 or 1: a step, with no gradient anywhere.
struct Sign {
  FORMULA value(Number<F> x) const {
    return F::select(x > 0, 1, F::select(x < 0, -1, F::select(x == 0, 0, x)));
  }
  FORMULA gradient(Number<F>, Number<F>) const { return F::all(0); }
};

/// x, but at least `low` and at most `high`; no gradient at the bounds.
struct Clamp {
  real low, high;
  FORMULA value(Number<F> x) const { return F::select(x < low, low, F::select(x > high, high, x)); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    return F::select((x > low) & (x < high), d, 0);
  }
};

/// x^exponent. The constant x^0 has no gradient, not even at 0.
struct PowerOf {
  real exponent;
  FORMULA value(Number<F> x) const {
    if (exponent == 2) return x * x;
    return F::pow(x, F::all(exponent));
  }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    if (exponent == 0) return F::all(0);
    if (exponent == 2) return d * (2 * x);
    return d * (exponent * F::pow(x, F::all(exponent - 1)));
  }
};

/// 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
struct Erf {
  FORMULA value(Number<F> x) const { return F::erf(x); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    return d * (real(1.12837916709551257) * F::exp(-x * x));  // 2 / sqrt(pi)
  }
};

/// x, below 0 slope x.
struct LeakyRelu {
  real slope;
  FORMULA value(Number<F> x) const { return F::select(x > 0, x, slope * x); }
  FORMULA gradient(Number<F> d, Number<F> x) const { return F::select(x > 0, d, slope * d); }
};

/// x, below 0 alpha (e^x - 1).
struct Elu {
  real alpha;
  FORMULA value(Number<F> x) const { return F::select(x > 0, x, alpha * F::expm1(x)); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    return F::select(x > 0, d, d * (alpha * F::exp(x)));
  }
};

/// x Phi(x); Phi, the standard normal distribution.
struct Gelu {
  FORMULA value(Number<F> x) const { return x * F::phi(x); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    const Number<F> density = real(0.39894228040143268) * F::bell(x);  // 1 / sqrt(2 pi)
    return d * (F::phi(x) + x * density);
  }
};

/// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
  FORMULA tanh_u(Number<F> x) const {
    return F::tanh(real(0.79788456080286536) * (x + real(0.044715) * x * x * x));
  }
  FORMULA value(Number<F> x) const { return x * (1 + tanh_u<F>(x)) / 2; }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    const Number<F> t = tanh_u<F>(x);
    const Number<F> slope = real(0.79788456080286536) * (1 + real(3 * 0.044715) * x * x);  // du/dx
    return d * ((1 + t + x * (1 - t * t) * slope) / 2);
  }
};

/// x / (1 + e^-x).
struct Silu {
  FORMULA value(Number<F> x) const { return x / (1 + F::exp(-x)); }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    const Number<F> s = 1 / (1 + F::exp(-x));
    return d * (s * (1 + x * (1 - s)));
  }
};

/// ln(1 + e^(beta x)) / beta, and x where beta x > threshold.
struct Softplus {
  real beta, threshold;
  FORMULA value(Number<F> x) const {
    const Number<F> z = beta * x;
    // The larger of 0 and z leaves the logarithm, which then neither overflows nor rounds it off.
    const Number<F> y = (F::select(z > 0, z, 0) + F::log1p(F::exp(-F::abs(z)))) / beta;
    return F::select(z > threshold, x, y);
  }
  FORMULA gradient(Number<F> d, Number<F> x) const {
    const Number<F> z = beta * x;
    return F::select(z > threshold, d, d / (1 + F::exp(-z)));
  }
};

/// d where a mask is not 0 (kept = true) or where it is 0: the gradient of where(mask, a, b).
struct Masked {
  bool kept;
  FORMULA value(Number<F> mask) const { return gradient<F>(F::all(1), mask); }
  FORMULA gradient(Number<F> d, Number<F> mask) const {
    return kept ? F::select(mask != 0, d, 0) : F::select(mask != 0, 0, d);
  }
};

// Of two numbers ----------------------------------------------------------------------------------

/// a^b. Where a is 0, the gradient by b is that of a limit, 0, wherever there is one.
struct Power {
  FORMULA value(Number<F> a, Number<F> b) const { return F::pow(a, b); }
  FORMULA gradient_a(Number<F> d, Number<F> a, Number<F> b) const {
    return F::select(b == 0, 0, d * (b * F::pow(a, b - 1)));
  }
  FORMULA gradient_b(Number<F> d, Number<F> a, Number<F> b) const {
    return F::select((a == 0) & (b >= 0), 0, d * (F::pow(a, b) * F::log(a)));
  }
};

/// The larger one; each of two equal ones gets half the gradient.
struct Maximum {
  FORMULA value(Number<F> a, Number<F> b) const {
    return F::select(a > b, a, F::select(b >= a, b, a + b));  // the sum is NaN if one of them is
  }
  FORMULA gradient_a(Number<F> d, Number<F> a, Number<F> b) const {
    return F::select(a == b, d / 2, F::select(a < b, 0, d));
  }
  FORMULA gradient_b(Number<F> d, Number<F> a, Number<F> b) const { return gradient_a<F>(d, b, a); }
};

/// The smaller one; each of two equal ones gets half the gradient.
struct Minimum {
  FORMULA value(Number<F> a, Number<F> b) const {
    return F::select(a < b, a, F::select(b <= a, b, a + b));  // the sum is NaN if one of them is
  }
  FORMULA gradient_a(Number<F> d, Number<F> a, Number<F> b) const {
    return F::select(a == b, d / 2, F::select(a > b, 0, d));
  }
  FORMULA gradient_b(Number<F> d, Number<F> a, Number<F> b) const { return gradient_a<F>(d, b, a); }
};

// Losses of a number x beside its target t.

struct SquaredDifference {
  FORMULA value(Number<F> x, Number<F> t) const { return (x - t) * (x - t); }
  FORMULA gradient_a(Number<F> d, Number<F> x, Number<F> t) const { return d * (2 * (x - t)); }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F> t) const { return gradient_a<F>(d, t, x); }
};

/// Gradient 0 where they are equal.
struct AbsoluteDifference {
  FORMULA value(Number<F> x, Number<F> t) const { return F::abs(x - t); }
  FORMULA gradient_a(Number<F> d, Number<F> x, Number<F> t) const {
    return Abs{}.gradient<F>(d, x - t);
  }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F> t) const { return gradient_a<F>(d, t, x); }
};

/// scale (x - t)^2 / 2 where |x - t| < width, else scale width (|x - t| - width / 2).
struct HuberDifference {
  real width, scale;
  FORMULA value(Number<F> x, Number<F> t) const {
    const Number<F> distance = F::abs(x - t);
    return scale *
           F::select(distance < width, distance * distance / 2, width * (distance - width / 2));
  }
  FORMULA gradient_a(Number<F> d, Number<F> x, Number<F> t) const {
    return d * (scale * Clamp{-width, width}.value<F>(x - t));
  }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F> t) const { return gradient_a<F>(d, t, x); }
};

/// -t ln s - (1 - t) ln(1 - s) with s = sigmoid(x): (1 - t) x + ln(1 + e^-x), without overflow.
struct BinaryCrossEntropy {
  FORMULA value(Number<F> x, Number<F> t) const {
    return F::select(x > 0, x, 0) - t * x + F::log1p(F::exp(-F::abs(x)));
  }
  FORMULA gradient_a(Number<F> d, Number<F> x, Number<F> t) const {
    const Number<F> power = F::exp(-F::abs(x));
    return d * (F::select(x > 0, 1, power) / (1 + power) - t);
  }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F>) const { return -d * x; }
};

/// t (ln t - x), 0 where t is.
struct Divergence {
  FORMULA value(Number<F> x, Number<F> t) const {
    return F::select(t == 0, -t * x, t * (F::log(t) - x));
  }
  FORMULA gradient_a(Number<F> d, Number<F>, Number<F> t) const { return -d * t; }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F> t) const {
    return d * (F::log(t) + 1 - x);
  }
};

/// e^t (t - x): t is the logarithm of the target.
struct LogDivergence {
  FORMULA value(Number<F> x, Number<F> t) const { return F::exp(t) * (t - x); }
  FORMULA gradient_a(Number<F> d, Number<F>, Number<F> t) const { return -d * F::exp(t); }
  FORMULA gradient_b(Number<F> d, Number<F> x, Number<F> t) const {
    return d * (F::exp(t) * (t - x + 1));
  }
};

// Comparisons: 1 where they hold, else 0. No number equals NaN or stands in an order with it.
struct Less {
  FORMULA value(Number<F> a, Number<F> b) const { return F::select(a < b, 1, 0); }
};
struct LessEqual {
  FORMULA value(Number<F> a, Number<F> b) const { return F::select(a <= b, 1, 0); }
};
struct Equal {
  FORMULA value(Number<F> a, Number<F> b) const { return F::select(a == b, 1, 0); }
};
struct NotEqual {
  FORMULA value(Number<F> a, Number<F> b) const { return F::select(a != b, 1, 0); }
};

#undef FORMULA

}  // namespace serenade::formulas
