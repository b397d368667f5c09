#pragma once
// Arithmetic, comparisons, and functions of single elements. Conventions: autograd/functions.h.

#include "autograd/variable.h"
#include "tensor/enum_names.h"
#include "tensor/random.h"

namespace serenade {

// Arithmetic, with NumPy broadcasting -------------------------------------------------------------

Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
Variable neg(const Variable& x);
/// x * factor + offset.
Variable affine(const Variable& x, real factor, real offset = 0);

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator-(const Variable& x) { return neg(x); }
inline Variable operator*(const Variable& x, real factor) { return affine(x, factor); }
inline Variable operator*(real factor, const Variable& x) { return affine(x, factor); }
inline Variable operator+(const Variable& x, real offset) { return affine(x, 1, offset); }
inline Variable operator+(real offset, const Variable& x) { return affine(x, 1, offset); }
inline Variable operator-(const Variable& x, real offset) { return affine(x, 1, -offset); }
inline Variable operator-(real offset, const Variable& x) { return affine(x, -1, offset); }
/// A division, not a product with the inverse, which rounds twice.
Variable operator/(const Variable& x, real divisor);
Variable operator/(real dividend, const Variable& x);
/// x += y makes x a name of the sum, a new result: `loss += term` in a loop. Nothing is changed in
/// place, so other handles of the old x keep its value.
inline Variable& operator+=(Variable& x, const Variable& y) { return x = x + y; }
inline Variable& operator-=(Variable& x, const Variable& y) { return x = x - y; }
inline Variable& operator*=(Variable& x, const Variable& y) { return x = x * y; }
inline Variable& operator/=(Variable& x, const Variable& y) { return x = x / y; }
inline Variable& operator+=(Variable& x, real y) { return x = x + y; }
inline Variable& operator-=(Variable& x, real y) { return x = x - y; }
inline Variable& operator*=(Variable& x, real y) { return x = x * y; }
inline Variable& operator/=(Variable& x, real y) { return x = x / y; }

/// a^b. Where a = 0 the gradient by b is 0 for b >= 0.
Variable pow(const Variable& a, const Variable& b);
/// x^exponent; exponent 0 has no gradient. For base^x: pow(Tensor::scalar(base), x).
Variable pow(const Variable& x, real exponent);
/// The larger, the smaller of two; each of two equal ones gets half the gradient.
Variable maximum(const Variable& a, const Variable& b);
Variable minimum(const Variable& a, const Variable& b);

// Comparisons and choices -------------------------------------------------------------------------
//
// A mask is a tensor of ones (true) and zeros. No gradient flows through it, and NaN compares as in
// C: only ne holds.

Tensor lt(const Variable& a, const Variable& b);
Tensor le(const Variable& a, const Variable& b);
Tensor gt(const Variable& a, const Variable& b);
Tensor ge(const Variable& a, const Variable& b);
/// By names alone: a == b could be taken to ask whether two handles name one variable.
Tensor eq(const Variable& a, const Variable& b);
Tensor ne(const Variable& a, const Variable& b);

inline Tensor operator<(const Variable& a, const Variable& b) { return lt(a, b); }
inline Tensor operator<=(const Variable& a, const Variable& b) { return le(a, b); }
inline Tensor operator>(const Variable& a, const Variable& b) { return gt(a, b); }
inline Tensor operator>=(const Variable& a, const Variable& b) { return ge(a, b); }
Tensor operator<(const Variable& x, real bound);
Tensor operator<=(const Variable& x, real bound);
Tensor operator>(const Variable& x, real bound);
Tensor operator>=(const Variable& x, real bound);

/// a where the mask is not 0, else b; all three broadcast. What is not chosen gets gradient 0,
/// whatever its value.
Variable where(const Tensor& mask, const Variable& a, const Variable& b);
/// x, with `value` where the mask is not 0. The mask broadcasts to x.
Variable masked_fill(const Variable& x, const Tensor& mask, real value);

// Elementwise -------------------------------------------------------------------------------------

/// max(x, 0); gradient 0 at 0.
Variable relu(const Variable& x);
Variable sigmoid(const Variable& x);
Variable tanh(const Variable& x);
Variable exp(const Variable& x);
/// Natural logarithm; x must be positive (log of 0 is -inf, as in C).
Variable log(const Variable& x);
/// sqrt x: NaN below 0; the gradient is infinite at 0.
Variable sqrt(const Variable& x);
/// 1 / sqrt x.
Variable rsqrt(const Variable& x);
Variable square(const Variable& x);
/// |x|; gradient 0 at 0.
Variable abs(const Variable& x);
/// -1, 0 or 1; gradient 0 everywhere.
Variable sign(const Variable& x);
/// x, at least `low` and at most `high` (-INFINITY, INFINITY: no bound). The gradient is 0 outside
/// and at the bounds, as PyTorch's is where both are given.
Variable clamp(const Variable& x, real low, real high);
/// The error function, 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x.
Variable erf(const Variable& x);
/// Zeroes each element with probability p and scales the others by 1 / (1 - p). 0 <= p < 1.
Variable dropout(const Variable& x, double p, const RandomKey& key);

// Activations beside relu, sigmoid and tanh -------------------------------------------------------

/// x, below 0 slope x; gradient `slope` at 0.
Variable leaky_relu(const Variable& x, real slope = real(0.01));
/// x, below 0 alpha (e^x - 1) (Clevert et al. 2016).
Variable elu(const Variable& x, real alpha = 1);
/// How gelu finds the normal distribution: by erf, or by a tanh near it.
enum class GeluForm { erf, tanh };
inline EnumNames<GeluForm> enum_names(GeluForm) {
  return {{GeluForm::erf, "erf"}, {GeluForm::tanh, "tanh"}};
}
/// x Phi(x), Phi the standard normal distribution (Hendrycks & Gimpel 2016); tanh:
/// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.
Variable gelu(const Variable& x, GeluForm form = GeluForm::erf);
/// x sigmoid(x), also called swish.
Variable silu(const Variable& x);
/// ln(1 + e^(beta x)) / beta; x itself where beta x > threshold.
Variable softplus(const Variable& x, real beta = 1, real threshold = 20);
/// clamp as an activation.
Variable hardtanh(const Variable& x, real low = -1, real high = 1);
/// hardtanh between 0 and 6.
Variable relu6(const Variable& x);

}  // namespace serenade
