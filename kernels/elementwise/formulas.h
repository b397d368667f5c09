#pragma once
// Functions of one or two numbers, each with its derivative, written once for all devices. The
// loops round them are those of pointwise.h.
//
// A function of one number has
//   value(x)           f(x)
//   gradient(d, x)     d f'(x), where d is the gradient of the result
// and one of two numbers value(a, b), gradient_a(d, a, b) and gradient_b(d, a, b). A gradient that
// does not pass is 0 whatever d is: 0 * inf would be NaN. NaN in, NaN out.

#include <cmath>

#include "kernels/runtime/host_device.h"
#include "kernels/runtime/real.h"

namespace serenade::formulas {

#define FORMULA SERENADE_HOST_DEVICE inline real

// Of one number -----------------------------------------------------------------------------------

/// The gradient is infinite at 0.
struct Sqrt {
  FORMULA value(real x) const { return std::sqrt(x); }
  FORMULA gradient(real d, real x) const { return d / (2 * std::sqrt(x)); }
};

/// 1 / sqrt x.
struct Rsqrt {
  FORMULA value(real x) const { return 1 / std::sqrt(x); }
  FORMULA gradient(real d, real x) const { return -d / (2 * x * std::sqrt(x)); }
};

/// Gradient 0 at 0.
struct Abs {
  FORMULA value(real x) const { return std::abs(x); }
  FORMULA gradient(real d, real x) const { return x > 0 ? d : x < 0 ? -d : real(0); }
};

/// -1, 0 or 1: a step, with no gradient anywhere.
struct Sign {
  FORMULA value(real x) const { return x > 0 ? real(1) : x < 0 ? real(-1) : x == 0 ? real(0) : x; }
  FORMULA gradient(real, real) const { return 0; }
};

/// x, but at least `low` and at most `high`; no gradient at the bounds.
struct Clamp {
  real low, high;
  FORMULA value(real x) const { return x < low ? low : x > high ? high : x; }
  FORMULA gradient(real d, real x) const { return x > low && x < high ? d : real(0); }
};

/// x^exponent. The constant x^0 has no gradient, not even at 0.
struct PowerOf {
  real exponent;
  FORMULA value(real x) const { return std::pow(x, exponent); }
  FORMULA gradient(real d, real x) const {
    return exponent == 0 ? real(0) : d * (exponent * std::pow(x, exponent - 1));
  }
};

/// 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
struct Erf {
  FORMULA value(real x) const { return std::erf(x); }
  FORMULA gradient(real d, real x) const {
    return d * (real(1.12837916709551257) * std::exp(-x * x));  // 2 / sqrt(pi)
  }
};

/// x, below 0 slope x.
struct LeakyRelu {
  real slope;
  FORMULA value(real x) const { return x > 0 ? x : slope * x; }
  FORMULA gradient(real d, real x) const { return x > 0 ? d : slope * d; }
};

/// x, below 0 alpha (e^x - 1).
struct Elu {
  real alpha;
  FORMULA value(real x) const { return x > 0 ? x : alpha * std::expm1(x); }
  FORMULA gradient(real d, real x) const { return x > 0 ? d : d * (alpha * std::exp(x)); }
};

/// x Phi(x); Phi, the standard normal distribution, from erfc, whose tail keeps its digits.
struct Gelu {
  FORMULA phi(real x) const { return std::erfc(-x * real(0.70710678118654752)) / 2; }
  FORMULA value(real x) const { return x * phi(x); }
  FORMULA gradient(real d, real x) const {
    const real density = real(0.39894228040143268) * std::exp(-x * x / 2);  // 1 / sqrt(2 pi)
    return d * (phi(x) + x * density);
  }
};

/// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanh {
  FORMULA tanh_u(real x) const {
    return std::tanh(real(0.79788456080286536) * (x + real(0.044715) * x * x * x));
  }
  FORMULA value(real x) const { return x * (1 + tanh_u(x)) / 2; }
  FORMULA gradient(real d, real x) const {
    const real t = tanh_u(x);
    const real slope = real(0.79788456080286536) * (1 + 3 * real(0.044715) * x * x);  // du/dx
    return d * ((1 + t + x * (1 - t * t) * slope) / 2);
  }
};

/// x / (1 + e^-x).
struct Silu {
  FORMULA value(real x) const { return x / (1 + std::exp(-x)); }
  FORMULA gradient(real d, real x) const {
    const real s = 1 / (1 + std::exp(-x));
    return d * (s * (1 + x * (1 - s)));
  }
};

/// ln(1 + e^(beta x)) / beta, and x where beta x > threshold.
struct Softplus {
  real beta, threshold;
  FORMULA value(real x) const {
    const real z = beta * x;
    if (z > threshold) return x;
    // The larger of 0 and z leaves the logarithm, which then neither overflows nor rounds it off.
    return ((z > 0 ? z : real(0)) + std::log1p(std::exp(z > 0 ? -z : z))) / beta;
  }
  FORMULA gradient(real d, real x) const {
    const real z = beta * x;
    return z > threshold ? d : d / (1 + std::exp(-z));
  }
};

/// d where a mask is not 0 (kept = true) or where it is 0: the gradient of where(mask, a, b).
struct Masked {
  bool kept;
  FORMULA value(real mask) const { return (mask != 0) == kept ? real(1) : real(0); }
  FORMULA gradient(real d, real mask) const { return (mask != 0) == kept ? d : real(0); }
};

// Of two numbers ----------------------------------------------------------------------------------

/// a^b. Where a is 0, the gradient by b is that of a limit, 0, wherever there is one.
struct Power {
  FORMULA value(real a, real b) const { return std::pow(a, b); }
  FORMULA gradient_a(real d, real a, real b) const {
    return b == 0 ? real(0) : d * (b * std::pow(a, b - 1));
  }
  FORMULA gradient_b(real d, real a, real b) const {
    return a == 0 && b >= 0 ? real(0) : d * (std::pow(a, b) * std::log(a));
  }
};

/// The larger one; each of two equal ones gets half the gradient.
struct Maximum {
  FORMULA value(real a, real b) const { return a > b || a != a ? a : b; }
  FORMULA gradient_a(real d, real a, real b) const { return a == b ? d / 2 : a < b ? real(0) : d; }
  FORMULA gradient_b(real d, real a, real b) const { return gradient_a(d, b, a); }
};

/// The smaller one; each of two equal ones gets half the gradient.
struct Minimum {
  FORMULA value(real a, real b) const { return a < b || a != a ? a : b; }
  FORMULA gradient_a(real d, real a, real b) const { return a == b ? d / 2 : a > b ? real(0) : d; }
  FORMULA gradient_b(real d, real a, real b) const { return gradient_a(d, b, a); }
};

// Losses of a number x beside its target t.

struct SquaredDifference {
  FORMULA value(real x, real t) const { return (x - t) * (x - t); }
  FORMULA gradient_a(real d, real x, real t) const { return d * (2 * (x - t)); }
  FORMULA gradient_b(real d, real x, real t) const { return gradient_a(d, t, x); }
};

/// Gradient 0 where they are equal.
struct AbsoluteDifference {
  FORMULA value(real x, real t) const { return std::abs(x - t); }
  FORMULA gradient_a(real d, real x, real t) const { return Abs{}.gradient(d, x - t); }
  FORMULA gradient_b(real d, real x, real t) const { return gradient_a(d, t, x); }
};

/// scale (x - t)^2 / 2 where |x - t| < width, else scale width (|x - t| - width / 2).
struct HuberDifference {
  real width, scale;
  FORMULA value(real x, real t) const {
    const real distance = std::abs(x - t);
    return scale * (distance < width ? distance * distance / 2 : width * (distance - width / 2));
  }
  FORMULA gradient_a(real d, real x, real t) const {
    const real difference = x - t;
    return d * (scale * (difference <= -width ? -width : difference >= width ? width : difference));
  }
  FORMULA gradient_b(real d, real x, real t) const { return gradient_a(d, t, x); }
};

/// -t ln s - (1 - t) ln(1 - s) with s = sigmoid(x): (1 - t) x + ln(1 + e^-x), without overflow.
struct BinaryCrossEntropy {
  FORMULA value(real x, real t) const {
    return (x > 0 ? x : real(0)) - t * x + std::log1p(std::exp(-std::abs(x)));
  }
  FORMULA gradient_a(real d, real x, real t) const {
    const real power = std::exp(-std::abs(x));
    return d * ((x > 0 ? 1 : power) / (1 + power) - t);
  }
  FORMULA gradient_b(real d, real x, real) const { return -d * x; }
};

/// t (ln t - x), 0 where t is.
struct Divergence {
  FORMULA value(real x, real t) const { return t == 0 ? -t * x : t * (std::log(t) - x); }
  FORMULA gradient_a(real d, real, real t) const { return -d * t; }
  FORMULA gradient_b(real d, real x, real t) const { return d * (std::log(t) + 1 - x); }
};

/// e^t (t - x): t is the logarithm of the target.
struct LogDivergence {
  FORMULA value(real x, real t) const { return std::exp(t) * (t - x); }
  FORMULA gradient_a(real d, real, real t) const { return -d * std::exp(t); }
  FORMULA gradient_b(real d, real x, real t) const { return d * (std::exp(t) * (t - x + 1)); }
};

// Comparisons: 1 where they hold, else 0. No number equals NaN or stands in an order with it.
struct Less {
  FORMULA value(real a, real b) const { return a < b ? real(1) : real(0); }
};
struct LessEqual {
  FORMULA value(real a, real b) const { return a <= b ? real(1) : real(0); }
};
struct Equal {
  FORMULA value(real a, real b) const { return a == b ? real(1) : real(0); }
};
struct NotEqual {
  FORMULA value(real a, real b) const { return a != b ? real(1) : real(0); }
};

#undef FORMULA

}  // namespace serenade::formulas
