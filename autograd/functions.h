#pragma once
// Every differentiable function of the library: its table of contents.
//
// Conventions. Images are [N, C, H, W] (for speech: H = frequency bin, W = time frame), sequences
// [N, T, D], capsules [N, capsules, size]. Axes may be negative. Every function throws
// std::invalid_argument("name: what must hold; got <shapes>") on bad input and returns a contiguous
// result. Each has a gradient check in double over every element of every input in tests/autograd.

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <vector>

#include "autograd/variable.h"
#include "tensor/enum_names.h"
#include "tensor/random.h"

namespace serenade {

/// Class indices, lengths: small integers that no gradient flows through.
using Indices = std::vector<std::int64_t>;

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

// Reductions --------------------------------------------------------------------------------------

/// One axis or several, negative ones from the end. Made of integers and of no bool:
/// sum(x, true) does not compile, where it would otherwise sum axis 1.
class AxisList {
 public:
  template <std::integral Index>
  requires(!std::same_as<Index, bool>) AxisList(Index axis)
      : axes_{static_cast<std::int64_t>(axis)} {}  // NOLINT: sum(x, 1)
  AxisList(std::initializer_list<std::int64_t> axes) : axes_(axes) {}
  const std::vector<std::int64_t>& axes() const { return axes_; }

 private:
  std::vector<std::int64_t> axes_;
};

/// Sum of all elements: a scalar. With axes, sum(x, 1) or sum(x, {0, 2}): over those, which must
/// differ; keepdim leaves them with size 1. So do all reductions below.
Variable sum(const Variable& x);
Variable sum(const Variable& x, const AxisList& axes, bool keepdim = false);
/// Mean of all elements: a scalar.
Variable mean(const Variable& x);
Variable mean(const Variable& x, const AxisList& axes, bool keepdim = false);
/// Largest, smallest element. On ties the gradient goes to the first, row-major. Where there is a
/// NaN, the result is NaN and the gradient goes to the first of them.
Variable max(const Variable& x, const AxisList& axes, bool keepdim = false);
Variable min(const Variable& x, const AxisList& axes, bool keepdim = false);
/// sum (x - mean)^2 / (count - correction): 1 estimates the variance behind a sample, 0 is that of
/// the values themselves, as layer and batch normalisation take it. Two passes over x, so that no
/// digits are lost at a large mean.
Variable var(const Variable& x, const AxisList& axes, real correction = 1, bool keepdim = false);
/// The square root of var; PyTorch's std. Its gradient is infinite where all values are equal.
Variable stddev(const Variable& x, const AxisList& axes, real correction = 1, bool keepdim = false);
/// ln sum e^x, without overflow; -inf where all are -inf.
Variable logsumexp(const Variable& x, const AxisList& axes, bool keepdim = false);
/// (sum |x|^p)^(1/p), p >= 1, or the largest |x| for p = INFINITY; gradient 0 where the norm is 0.
Variable norm(const Variable& x, const AxisList& axes, real p = 2, bool keepdim = false);
/// Running sums: y_k = x_0 + .. + x_k along an axis.
Variable cumsum(const Variable& x, std::int64_t axis);
/// Positions of the largest elements along an axis, of the first on ties and of the first NaN where
/// there is one: one for each of the other elements, row-major, in host memory. No gradient.
Indices argmax(const Variable& x, std::int64_t axis);

// Shape -------------------------------------------------------------------------------------------

/// Same elements, row-major; one size may be -1.
Variable reshape(const Variable& x, Shape shape);
/// Merges the axes first .. last into one.
Variable flatten(const Variable& x, std::int64_t first = 0, std::int64_t last = -1);
Variable permute(const Variable& x, const std::vector<std::int64_t>& order);
Variable transpose(const Variable& x, std::int64_t axis_a, std::int64_t axis_b);
Variable slice(const Variable& x, std::int64_t axis, std::int64_t start, std::int64_t length);
Variable concat(const std::vector<Variable>& parts, std::int64_t axis);
/// The parts, all of one shape, beside each other along a new axis.
Variable stack(const std::vector<Variable>& parts, std::int64_t axis = 0);
/// Pieces of `size` along an axis, the last one smaller where they do not divide it evenly.
std::vector<Variable> split(const Variable& x, std::int64_t size, std::int64_t axis = 0);
/// split into pieces of ceil(size / count): at most `count` of them.
std::vector<Variable> chunk(const Variable& x, std::int64_t count, std::int64_t axis = 0);
/// Repeats axes of size 1 and adds axes in front, as broadcasting does.
Variable expand(const Variable& x, const Shape& shape);
/// Tiles: the whole of x, counts[k] times along axis k; more counts than axes add axes in front.
Variable repeat(const Variable& x, const std::vector<std::int64_t>& counts);
/// The elements along these axes in reverse order.
Variable flip(const Variable& x, const AxisList& axes);
/// Adds `before` and `after` zeros along an axis.
Variable pad(const Variable& x, std::int64_t axis, std::int64_t before, std::int64_t after);
/// Cuts overlapping windows out of the last axis: [N, C, F, T] to [N, windows, C, F, size]. Windows
/// start every `step` steps; one that runs past the end is completed with zeros and is kept where
/// it holds at least one step that no earlier window has: 1 + max(0, ceil((T - size) / step))
/// windows.
Variable unfold(const Variable& x, std::int64_t size, std::int64_t step);

// Choosing by number ------------------------------------------------------------------------------
//
// Indices lie in host memory, row-major where they belong to a shape, in 0 .. size of the axis - 1.

/// Slices indices[0], indices[1], .. of an axis: rows of an embedding, an order, a subset.
Variable index_select(const Variable& x, std::int64_t axis, const Indices& indices);
/// y[.., k, ..] = x[.., indices[.., k, ..], ..]. shape: of the indices and of y; that of x but for
/// the axis.
Variable gather(const Variable& x, std::int64_t axis, const Indices& indices, const Shape& shape);
/// x, with source[.., k, ..] added at [.., indices[.., k, ..], ..], in the order of k. One index
/// for each element of source, whose shape is that of x but for the axis.
Variable scatter_add(const Variable& x, std::int64_t axis, const Indices& indices,
                     const Variable& source);
struct TopK {
  Variable values;
  Indices indices;  ///< one for each of the values, row-major
};
/// The k largest along an axis, the largest first, the earlier first on ties; NaN counts as the
/// largest.
TopK topk(const Variable& x, std::int64_t k, std::int64_t axis = -1);

/// [N, classes]: 1 at each index, 0 elsewhere.
Tensor one_hot(const Indices& indices, std::int64_t classes);
/// [rows, columns]: 1 at (i, j) where j - i <= diagonal (tril), or >= diagonal (triu), else 0.
Tensor tril_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal = 0);
Tensor triu_mask(std::int64_t rows, std::int64_t columns, std::int64_t diagonal = 0);

// Linear algebra ----------------------------------------------------------------------------------

/// [.., M, K] x [.., K, N] = [.., M, N], with the same leading sizes.
Variable matmul(const Variable& a, const Variable& b);
/// x W^T + b. x: [.., in], weight: [out, in], bias: [out] or undefined; result [.., out].
Variable linear(const Variable& x, const Variable& weight, const Variable& bias = {});

// Softmax and losses ------------------------------------------------------------------------------

Variable softmax(const Variable& x, std::int64_t axis);
Variable log_softmax(const Variable& x, std::int64_t axis);
/// Mean over the batch of -log softmax(logits)[label]. logits: [N, classes]; labels: N of
/// 0 .. classes-1. With class_weights (one per class): the weighted mean.
Variable cross_entropy(const Variable& logits, const Indices& labels,
                       const std::vector<real>& class_weights = {});
/// Capsule margin loss, mean over the batch (Sabour et al. 2017, Eq. 4):
/// sum_k T_k max(0, m+ - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m-)^2. norms |v_k|: [N,
/// classes].
struct MarginLossOptions {
  real m_plus = real(0.9);
  real m_minus = real(0.1);
  real lambda = real(0.5);
};
Variable margin_loss(const Variable& norms, const Indices& labels, MarginLossOptions options = {});

// Convolution and pooling -------------------------------------------------------------------------

struct Padding {
  std::int64_t top = 0, bottom = 0, left = 0, right = 0;
};

struct Conv2dOptions {
  std::array<std::int64_t, 2> stride = {1, 1};
  Padding padding = {};
};

/// Padding that keeps ceil(size / stride) outputs; the odd extra zero goes after (high side). At
/// stride 1: (k - 1) / 2 before, k / 2 after. `size`: height and width of the input.
Padding same_padding(std::array<std::int64_t, 2> kernel,
                     std::array<std::int64_t, 2> stride = {1, 1},
                     std::array<std::int64_t, 2> size = {0, 0});

/// Cross-correlation. x: [N, in, H, W], weight: [out, in, KH, KW], bias: [out] or undefined;
/// result [N, out, (H + top + bottom - KH) / stride + 1, ..].
/// unused_taps: bit r KW + s promises that weight[.., r, s] is 0 and that its gradient is
/// not read, so that a kernel may leave that tap out; see the function of that name below.
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {}, std::uint64_t unused_taps = 0);

/// Window = stride; incomplete windows at the end are dropped; on ties the gradient goes to the
/// first maximum in row-major order. x: [N, C, H, W].
Variable max_pool2d(const Variable& x, std::array<std::int64_t, 2> window);

/// max_pool2d(relu(conv2d(x, weight, bias, options)), window) in one pass: the map before pooling
/// is never stored, only a byte per pooled element. unused_taps: as for conv2d.
Variable conv2d_relu_maxpool(const Variable& x, const Variable& weight, const Variable& bias,
                             const Conv2dOptions& options, std::array<std::int64_t, 2> window,
                             std::uint64_t unused_taps = 0);

/// One of several convolutions of the same input: stride 1, 'same' padding. bias may be undefined.
struct ConvBranch {
  Variable weight;  ///< [out_i, in, KH_i, KW_i]
  Variable bias;    ///< [out_i]
};
/// concat of conv2d_relu_maxpool(x, branch, window) of every branch over channels. Large maps are
/// written straight into the result and their gradients are read from it: no copies.
Variable conv2d_relu_maxpool_branches(const Variable& x, const std::vector<ConvBranch>& branches,
                                      std::array<std::int64_t, 2> window);

// Mixed operations (architecture search) ----------------------------------------------------------

/// The union kernel sum_i c_i pad(W_i) of stride-1 'same' convolutions. weights: [out, in, KH_i,
/// KW_i] each; coefficients: [n]; result [out, in, max KH, max KW], candidate i at offset
/// ((KH - 1) / 2 - (KH_i - 1) / 2, likewise for width). Exact gradients: dW_i = c_i crop_i(dU),
/// dc_i = <W_i, crop_i(dU)>. Candidates with active[i] == false take no part: they add nothing and
/// neither they nor their coefficient receive a gradient. Empty `active`: all take part.
Variable mixed_kernel(const std::vector<Variable>& weights, const Variable& coefficients,
                      const std::vector<bool>& active = {});
/// The taps of mixed_kernel's result that no active candidate covers, for conv2d: 6 x 6
/// around 5 x 5, 4 x 6 and 6 x 4 has three. 0 where the box has more than 64 taps.
std::uint64_t unused_taps(const std::vector<Variable>& weights,
                          const std::vector<bool>& active = {});
/// sum_i c_i b_i over the active candidates. biases: [d_i] each, shorter ones padded with zeros to
/// the longest; coefficients: [n].
Variable mixed_bias(const std::vector<Variable>& biases, const Variable& coefficients,
                    const std::vector<bool>& active = {});

// Recurrent ---------------------------------------------------------------------------------------

/// Where the reset gate acts: after the recurrent product (cuDNN, PyTorch) or on the state before
/// it (Cho et al. 2014).
enum class GruReset { after, before };
inline EnumNames<GruReset> enum_names(GruReset) {
  return {{GruReset::after, "after"}, {GruReset::before, "before"}};
}

/// The weights of one direction; gates stacked in the order r, z, n.
struct GruWeights {
  Variable weight_ih;  ///< [3 H, D]
  Variable weight_hh;  ///< [3 H, H]
  Variable bias_ih;    ///< [3 H]
  Variable bias_hh;  ///< [3 H], or undefined: one bias per gate. Not allowed with GruReset::before.
};

struct GruOptions {
  GruReset reset = GruReset::after;
  Indices lengths = {};  ///< one per sequence, 1 .. T; empty: all T. Outputs beyond are zero.
};

/// Gated recurrent unit over whole sequences, in one direction, or in two where `directions` has
/// two entries (forward, then backward). x: [N, T, D]; h0: [directions, N, H] or undefined (zeros);
/// result [N, T, directions * H], forward half first.
///   r = s(W_ir x + b_ir + W_hr h + b_hr)      z = s(W_iz x + b_iz + W_hz h + b_hz)
///   n = tanh(W_in x + b_in + r * (W_hn h + b_hn))   [after]
///   n = tanh(W_in x + b_in + W_hn (r * h))          [before]
///   h' = (1 - z) n + z h
Variable gru(const Variable& x, const std::vector<GruWeights>& directions, const Variable& h0 = {},
             const GruOptions& options = {});
/// The final state of each direction out of gru()'s result: step lengths[n] - 1 of the forward
/// half, step 0 of the backward half. Result [directions, N, H].
Variable gru_last_state(const Variable& output, std::int64_t directions,
                        const Indices& lengths = {});

struct AttentionWeights {
  Variable proj_weight, proj_bias;          ///< [C, D], [C]
  Variable bottom_up;                       ///< [C]
  Variable top_down_weight, top_down_bias;  ///< [classes, C], [classes]
};

struct AttentionOptions {
  bool relu = true;
  Indices lengths = {};  ///< steps at and beyond a sequence's length get no attention
};

/// Attention pooling (Li et al. 2018; Girdhar & Ramanan 2017): z_t = relu(W h_t + b);
/// a = softmax over time of z_t . bottom_up; score_k = sum_t a_t (top_down_k . z_t + b_k).
/// h: [N, T, D]; result [N, classes].
Variable attention_pooling(const Variable& h, const AttentionWeights& weights,
                           const AttentionOptions& options = {});

// Capsules ----------------------------------------------------------------------------------------

/// v = s |s|^2 / ((1 + |s|^2) sqrt(|s|^2 + 1e-12)) over the last axis (Sabour et al. 2017, Eq. 1);
/// value and gradient are 0 at 0.
Variable squash(const Variable& s);
/// sqrt(|v|^2 + 1e-12) over the last axis, which disappears.
Variable capsule_norm(const Variable& v);
/// [.., J, D] to [.., J * D + J]: all values, then all norms.
Variable append_norms(const Variable& v);
/// Votes u_hat[n, i, j, :] = u[n, i, :] W[i, j]. u: [N, I, D]; weight: [I, J, D, O], or [1, J, D,
/// O] shared by all input capsules; result [N, I, J, O].
Variable capsule_votes(const Variable& u, const Variable& weight);

enum class RoutingGradient {
  full,  ///< through every iteration
  last   ///< the logit updates see u_hat as a constant: c of the last iteration counts as constant
};
inline EnumNames<RoutingGradient> enum_names(RoutingGradient) {
  return {{RoutingGradient::full, "full"}, {RoutingGradient::last, "last"}};
}

struct RoutingOptions {
  int iterations = 3;
  RoutingGradient gradient = RoutingGradient::full;
  Indices lengths =
      {};  ///< input capsules at and beyond a sample's length are masked in c; empty: all
};

/// Dynamic routing (Sabour et al. 2017, procedure 1). b = 0; per iteration c = softmax of b over
/// the output capsules j, s_j = sum_i c_ij u_hat_ij + bias_j, v_j = squash(s_j), b_ij += u_hat_ij .
/// v_j (not after the last). u_hat: [N, I, J, O]; bias: [J, O] or undefined; result [N, J, O].
Variable capsule_routing(const Variable& u_hat, const Variable& bias = {},
                         const RoutingOptions& options = {});
/// capsule_routing(capsule_votes(u, weight), bias, options) without keeping the votes.
Variable capsule_layer(const Variable& u, const Variable& weight, const Variable& bias = {},
                       const RoutingOptions& options = {});
/// The coefficients c of every iteration, for inspection: [iterations, N, I, J]. No gradient.
Tensor routing_coefficients(const Tensor& u_hat, const Tensor& bias,
                            const RoutingOptions& options = {});

}  // namespace serenade
