#include "tests/fuzz/ops/one_op.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <new>
#include <stdexcept>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tensor/random.h"

namespace serenade::fuzz {

namespace {

// An empty tensor may have an axis of 2^45, for which nobody holds as many labels.
constexpr std::int64_t kMostIndices = 10000;

// What an op is made of: the inputs, and further ones made from its numbers.
struct Operands {
  std::vector<Variable> inputs;
  std::vector<std::int64_t> numbers;

  const Variable& a() const { return inputs[0]; }
  const Variable& b() const { return inputs[1]; }
  std::int64_t n(std::size_t i) const { return numbers[i]; }
  /// A number between low and high.
  std::int64_t between(std::size_t i, std::int64_t low, std::int64_t high) const {
    const auto span = static_cast<std::uint64_t>(high - low + 1);
    return low + static_cast<std::int64_t>(static_cast<std::uint64_t>(numbers[i]) % span);
  }
  /// A further input: eighths between -2 and 2, which both builds have exactly.
  Variable made(const Shape& shape) {
    Tensor tensor(shape);
    const RandomKey key{.seed = static_cast<std::uint64_t>(numbers.back()), .step = inputs.size()};
    for (std::int64_t i = 0; i < tensor.numel(); ++i) {
      tensor.data()[i] = real(random_integer(key, static_cast<std::uint64_t>(i), 33) - 16) / 8;
    }
    inputs.emplace_back(tensor, true);
    return inputs.back();
  }
  /// One axis or two, mostly axes that `x` has.
  AxisList axes() const {
    if (n(1) % 3 == 0) return {n(0), n(2)};
    return {n(0)};
  }
  bool keepdim() const { return n(3) % 2 == 0; }
  /// n(i) as a size of images, of which a thousand by a thousand would take gigabytes.
  std::int64_t size(std::size_t i) const { return n(i) == 1000 ? 20 : n(i); }
  /// n(i) as a number of copies: few, where it could be one.
  std::int64_t copies(std::size_t i) const { return n(i) > 6 && n(i) <= 1000 ? 6 : n(i); }
  /// The real number n(i) halves.
  real half(std::size_t i) const { return real(between(i, -8, 8)) / 2; }
  /// `count` numbers for an axis of `size`; sometimes one of them lies outside.
  Indices indices(std::int64_t count, std::int64_t size) const {
    Indices all;
    for (std::int64_t i = 0; i < std::min(count, kMostIndices); ++i) {
      const auto next = static_cast<std::uint64_t>(n(1)) + 3 * static_cast<std::uint64_t>(i);
      all.push_back(
          static_cast<std::int64_t>(next % static_cast<std::uint64_t>(size + (n(2) == 7))));
    }
    return all;
  }
  Indices labels(std::int64_t count, std::int64_t classes) const {
    Indices all;
    const std::int64_t first = n(1) % std::max<std::int64_t>(1, classes);
    for (std::int64_t i = 0; i < std::min(count, kMostIndices); ++i)
      all.push_back((i + first) % std::max<std::int64_t>(1, classes));
    return all;
  }
};

struct Op {
  const char* name;
  std::function<Variable(Operands& o)> run;
  /// Rounding may decide where a gradient goes: to the largest of several computed values.
  bool gradient_jumps = false;
};

std::int64_t last_size(const Variable& x) { return x.dim() > 0 ? x.size(-1) : 1; }

Variable convolution(Operands& o, bool pooled) {
  const std::int64_t in = o.between(0, 1, 3), out = o.between(1, 1, 9);
  const Variable x = o.made({o.between(2, 1, 2), in, o.between(3, 1, 12), o.between(4, 1, 14)});
  const Variable weight = o.made({out, in, o.between(5, 1, 6), o.between(6, 1, 8)});
  const Variable bias = o.made({out});
  const bool same = o.n(7) % 2 == 0;
  const Conv2dOptions options{
      .stride = {pooled ? 1 : o.between(7, 1, 2), 1},
      .padding = same ? same_padding({weight.size(2), weight.size(3)}) : Padding{1, 0, 0, 1}};
  if (!pooled) return conv2d(x, weight, bias, options);
  return conv2d_relu_maxpool(x, weight, bias, options, {o.between(0, 1, 2), o.between(1, 1, 4)});
}

Variable recurrent(Operands& o) {
  const std::int64_t in = o.between(0, 1, 5), hidden = o.between(1, 1, 17);
  const Variable x = o.made({o.between(2, 1, 3), o.between(3, 1, 6), in});
  std::vector<GruWeights> directions;
  for (std::int64_t i = 0; i <= o.n(4) % 2; ++i) {
    directions.push_back({.weight_ih = o.made({3 * hidden, in}),
                          .weight_hh = o.made({3 * hidden, hidden}),
                          .bias_ih = o.made({3 * hidden}),
                          .bias_hh = o.made({3 * hidden})});
  }
  const Variable y = gru(x, directions);
  return o.n(5) % 2 == 0 ? y : gru_last_state(y, static_cast<std::int64_t>(directions.size()));
}

// Recurrent weights are small: chaos would let rounding decide.
std::vector<RecurrentWeights> recurrent_weights(Operands& o, std::int64_t gates, std::int64_t in,
                                                std::int64_t hidden) {
  std::vector<RecurrentWeights> directions;
  for (std::int64_t i = 0; i <= o.n(4) % 2; ++i) {
    directions.push_back({.weight_ih = o.made({gates * hidden, in}),
                          .weight_hh = affine(o.made({gates * hidden, hidden}), real(0.125)),
                          .bias_ih = o.n(5) % 3 == 0 ? Variable() : o.made({gates * hidden}),
                          .bias_hh = o.made({gates * hidden})});
  }
  return directions;
}

Variable long_memory(Operands& o, bool cells) {
  const std::int64_t in = o.between(0, 1, 5), hidden = o.between(1, 1, 17);
  const Variable x = o.made({o.between(2, 1, 3), o.between(3, 1, 6), in});
  const std::vector<RecurrentWeights> weights = recurrent_weights(o, cells ? 4 : 1, in, hidden);
  Indices lengths;  // sometimes one of them lies outside
  for (std::int64_t i = 0; i < x.size(0) && o.n(6) % 2 == 0; ++i) {
    lengths.push_back((o.n(6) + i) % (x.size(1) + 1));
  }
  if (!cells) return rnn(x, weights, {}, {.lengths = lengths}).output;
  const LstmResult result = lstm(x, weights, {}, {.lengths = lengths});
  return o.n(5) % 2 == 0 ? result.output : result.last.c;
}

Variable attention(Operands& o) {
  const std::int64_t size = o.between(0, 1, 6), width = o.between(1, 1, 5);
  const Variable h = o.made({o.between(2, 1, 3), o.between(3, 1, 7), size});
  const AttentionWeights weights{.proj_weight = o.made({width, size}),
                                 .proj_bias = o.made({width}),
                                 .bottom_up = o.made({width}),
                                 .top_down_weight = o.made({3, width}),
                                 .top_down_bias = o.made({3})};
  return attention_pooling(h, weights, {.relu = o.n(4) % 2 == 0});
}

Variable dot_products(Operands& o) {
  const std::int64_t heads = o.between(0, 1, 3), queries = o.between(1, 1, 5);
  const std::int64_t keys = o.between(2, 1, 5), size = o.between(3, 1, 4);
  DotProductAttentionOptions options{.causal = o.n(4) % 2 == 0};
  if (o.n(4) % 3 == 0) options.bias = o.made({queries, keys}).value();
  return scaled_dot_product_attention(o.made({heads, queries, size}), o.made({heads, keys, size}),
                                      o.made({heads, keys, 3}), options);
}

Variable capsules(Operands& o, bool votes_only) {
  const std::int64_t in = o.between(0, 1, 9), size = o.between(1, 1, 8);
  const Variable u = o.made({o.between(2, 1, 2), in, size});
  const Variable weight =
      o.made({o.n(3) % 2 == 0 ? 1 : in, o.between(4, 1, 5), size, o.between(5, 1, 17)});
  return votes_only ? capsule_votes(u, weight)
                    : capsule_layer(u, affine(weight, real(0.125)), {}, {.iterations = 2});
}

Variable routing(Operands& o) {
  return capsule_routing(o.made({1, o.between(0, 1, 9), o.between(1, 1, 5), 3}));
}

Variable mixture(Operands& o) {
  const std::int64_t out = o.between(0, 1, 3), in = o.between(1, 1, 3);
  std::vector<Variable> kernels;
  for (std::size_t i = 2; i < 5; ++i) {
    kernels.push_back(o.made({out, in, o.between(i, 1, 6), o.between(i + 1, 1, 6)}));
  }
  return mixed_kernel(kernels, o.made({3}));
}

// The axis that n(0) names, 0 where there is none of it; and its size, 1 for a scalar.
std::size_t axis_of(const Operands& o) {
  const std::int64_t dims = o.a().dim(), axis = o.n(0);
  if (axis < -dims || axis >= dims) return 0;
  return static_cast<std::size_t>(axis < 0 ? axis + dims : axis);
}
std::int64_t axis_size(const Operands& o) {
  return o.a().dim() > 0 ? o.a().shape()[axis_of(o)] : 1;
}

// The shape of a() with another size of one axis, and what is chosen along it.
Shape chosen_shape(const Operands& o) {
  Shape shape = o.a().shape();
  if (!shape.empty()) shape[axis_of(o)] = o.between(3, 0, 4);
  return shape;
}

Variable gathered(const Operands& o) {
  const Shape shape = chosen_shape(o);
  return gather(o.a(), o.n(0),
                o.indices(element_count(shape), std::max<std::int64_t>(1, axis_size(o))), shape);
}

Variable scattered(Operands& o) {
  const Shape shape = chosen_shape(o);
  const Indices indices = o.indices(element_count(shape), std::max<std::int64_t>(1, axis_size(o)));
  return scatter_add(o.a(), o.n(0), indices, o.made(shape));
}

Reduction reduction(const Operands& o) { return enum_names(Reduction{})[o.between(4, 0, 2)].first; }

// How many labels scores [N, classes, ..] want.
std::int64_t places_of(const Variable& x) {
  return x.dim() < 2 || x.size(1) == 0 ? 0 : x.numel() / x.size(1);
}

// The last part that `cut` makes of a(), and the first; a() itself where they would be too many.
template <class Cut>
Variable parts(const Operands& o, const Cut& cut) {
  const Shape& shape = o.a().shape();
  if (std::any_of(shape.begin(), shape.end(), [](auto size) { return size > kMostIndices; })) {
    return o.a();
  }
  const std::vector<Variable> all = cut(o.a(), o.n(0), o.n(1));
  return all.empty() ? o.a() : concat({all.back(), all.front()}, o.n(1));
}

const std::vector<Op>& ops() {
  static const std::vector<Op> all = {
      {"add", [](Operands& o) { return add(o.a(), o.b()); }},
      {"sub", [](Operands& o) { return sub(o.a(), o.b()); }},
      {"mul", [](Operands& o) { return mul(o.a(), o.b()); }},
      {"div", [](Operands& o) { return div(o.a(), o.b()); }},
      {"neg", [](Operands& o) { return neg(o.a()); }},
      {"affine", [](Operands& o) { return affine(o.a(), real(o.between(0, -4, 4)), real(0.5)); }},
      {"relu", [](Operands& o) { return relu(o.a()); }},
      {"sigmoid", [](Operands& o) { return sigmoid(o.a()); }},
      {"tanh", [](Operands& o) { return tanh(o.a()); }},
      {"exp", [](Operands& o) { return exp(o.a()); }},
      {"log", [](Operands& o) { return log(o.a()); }},
      {"dropout", [](Operands& o) { return dropout(o.a(), 0.25, {.seed = 1}); }},
      {"x / number", [](Operands& o) { return o.a() / o.half(0); }},
      {"number / x", [](Operands& o) { return o.half(0) / o.a(); }},
      {"pow", [](Operands& o) { return pow(o.a(), o.b()); }},
      {"pow number", [](Operands& o) { return pow(o.a(), o.half(0)); }},
      {"maximum", [](Operands& o) { return maximum(o.a(), o.b()); }},
      {"minimum", [](Operands& o) { return minimum(o.a(), o.b()); }},
      {"where", [](Operands& o) { return where(lt(o.a(), o.b()), o.a(), o.b()); }},
      {"where eq", [](Operands& o) { return where(eq(o.a(), o.b()), square(o.a()), o.b()); }},
      {"masked_fill",
       [](Operands& o) { return masked_fill(o.a(), o.b() >= o.half(0), o.half(1)); }},
      {"sqrt", [](Operands& o) { return sqrt(o.a()); }},
      {"rsqrt", [](Operands& o) { return rsqrt(o.a()); }},
      {"square", [](Operands& o) { return square(o.a()); }},
      {"abs", [](Operands& o) { return abs(o.a()); }},
      {"sign", [](Operands& o) { return sign(o.a()); }},
      {"clamp", [](Operands& o) { return clamp(o.a(), o.half(0), o.half(1)); }},
      {"erf", [](Operands& o) { return erf(o.a()); }},
      {"leaky_relu", [](Operands& o) { return leaky_relu(o.a(), o.half(0)); }},
      {"elu", [](Operands& o) { return elu(o.a(), o.half(0)); }},
      {"gelu", [](Operands& o) { return gelu(o.a()); }},
      {"gelu tanh", [](Operands& o) { return gelu(o.a(), GeluForm::tanh); }},
      {"silu", [](Operands& o) { return silu(o.a()); }},
      {"softplus", [](Operands& o) { return softplus(o.a(), o.half(0), real(o.n(1))); }},
      {"relu6", [](Operands& o) { return relu6(o.a()); }},
      {"sum", [](Operands& o) { return sum(o.a()); }},
      {"sum axis", [](Operands& o) { return sum(o.a(), o.n(0), o.n(1) % 2 == 0); }},
      {"mean", [](Operands& o) { return mean(o.a()); }},
      {"mean axis", [](Operands& o) { return mean(o.a(), o.n(0), o.n(1) % 2 == 0); }},
      {"max", [](Operands& o) { return max(o.a(), o.n(0), o.n(1) % 2 == 0); }},
      {"sum axes", [](Operands& o) { return sum(o.a(), o.axes(), o.keepdim()); }},
      {"mean axes", [](Operands& o) { return mean(o.a(), o.axes(), o.keepdim()); }},
      {"min axes", [](Operands& o) { return min(o.a(), o.axes(), o.keepdim()); }},
      {"var", [](Operands& o) { return var(o.a(), o.axes(), real(o.n(4) % 2), o.keepdim()); }},
      {"stddev", [](Operands& o) { return stddev(o.a(), o.axes(), 0, o.keepdim()); }},
      {"logsumexp", [](Operands& o) { return logsumexp(o.a(), o.axes(), o.keepdim()); }},
      {"norm",
       [](Operands& o) {
         return norm(o.a(), o.axes(), o.n(4) == 8 ? INFINITY : o.half(4), o.keepdim());
       }},
      {"cumsum", [](Operands& o) { return cumsum(o.a(), o.n(0)); }},
      {"argmax", [](Operands& o) { return index_select(o.a(), o.n(0), argmax(o.a(), o.n(1))); }},
      {"stack",
       [](Operands& o) {
         return stack({o.a(), o.b()}, o.n(0));
       }},
      {"split", [](Operands& o) { return parts(o, split); }},
      {"chunk", [](Operands& o) { return parts(o, chunk); }},
      {"expand",
       [](Operands& o) {
         return expand(o.a(), {o.copies(0), o.copies(1), o.copies(2)});
       }},
      {"repeat",
       [](Operands& o) {
         return repeat(o.a(), {o.copies(0), o.copies(1), o.copies(2)});
       }},
      {"flip", [](Operands& o) { return flip(o.a(), o.axes()); }},
      {"index_select",
       [](Operands& o) {
         return index_select(
             o.a(), o.n(0), o.indices(o.between(3, 0, 5), std::max<std::int64_t>(1, axis_size(o))));
       }},
      {"gather", [](Operands& o) { return gathered(o); }},
      {"scatter_add", [](Operands& o) { return scattered(o); }},
      {"topk", [](Operands& o) { return topk(o.a(), o.n(0), o.n(1)).values; }},
      {"one_hot",
       [](Operands& o) { return Variable(one_hot(o.labels(o.between(2, 0, 9), 5), o.n(0))); }},
      {"tril_mask", [](Operands& o) { return Variable(tril_mask(o.n(0), o.n(1), o.n(2))); }},
      {"triu_mask", [](Operands& o) { return Variable(triu_mask(o.n(0), o.n(1), o.n(2))); }},
      {"reshape",
       [](Operands& o) {
         return reshape(o.a(), {o.n(0), o.n(1), o.n(2)});
       }},
      {"reshape pair",
       [](Operands& o) {
         return reshape(o.a(), {o.n(0), o.n(1)});
       }},
      {"flatten", [](Operands& o) { return flatten(o.a(), o.n(0), o.n(1)); }},
      {"permute",
       [](Operands& o) {
         return permute(o.a(), {o.n(0), o.n(1), o.n(2)});
       }},
      {"transpose", [](Operands& o) { return transpose(o.a(), o.n(0), o.n(1)); }},
      {"slice", [](Operands& o) { return slice(o.a(), o.n(0), o.n(1), o.n(2)); }},
      {"concat",
       [](Operands& o) {
         return concat({o.a(), o.b()}, o.n(0));
       }},
      {"pad", [](Operands& o) { return pad(o.a(), o.n(0), o.n(1), o.n(2)); }},
      {"unfold", [](Operands& o) { return unfold(o.a(), o.n(0), o.n(1)); }},
      {"matmul", [](Operands& o) { return matmul(o.a(), o.b()); }},
      {"bmm", [](Operands& o) { return bmm(o.a(), o.b()); }},
      {"outer", [](Operands& o) { return outer(o.a(), o.b()); }},
      {"linear",
       [](Operands& o) {
         return linear(o.a(), o.made({o.between(0, 1, 17), last_size(o.a())}));
       }},
      {"softmax", [](Operands& o) { return softmax(o.a(), o.n(0)); }},
      {"log_softmax", [](Operands& o) { return log_softmax(o.a(), o.n(0)); }},
      {"cross_entropy",
       [](Operands& o) {
         return cross_entropy(o.a(), o.labels(o.a().dim() > 0 ? o.a().size(0) : 0, o.n(0)));
       }},
      {"cross_entropy smoothed",
       [](Operands& o) {
         return cross_entropy(
             o.a(), o.labels(places_of(o.a()), o.n(0)),
             {.ignore_index = o.n(2), .label_smoothing = o.half(3) / 4, .reduction = reduction(o)});
       }},
      {"cross_entropy shares",
       [](Operands& o) {
         return cross_entropy(o.a(), o.made(o.a().shape()), {.reduction = reduction(o)});
       }},
      {"nll_loss",
       [](Operands& o) {
         return nll_loss(o.a(), o.labels(places_of(o.a()), o.n(0)),
                         {.ignore_index = o.n(2), .reduction = reduction(o)});
       }},
      {"mse_loss", [](Operands& o) { return mse_loss(o.a(), o.b(), reduction(o)); }},
      {"l1_loss", [](Operands& o) { return l1_loss(o.a(), o.b(), reduction(o)); }},
      {"smooth_l1_loss",
       [](Operands& o) { return smooth_l1_loss(o.a(), o.b(), o.half(0), reduction(o)); }},
      {"huber_loss", [](Operands& o) { return huber_loss(o.a(), o.b(), o.half(0), reduction(o)); }},
      {"binary_cross_entropy_with_logits",
       [](Operands& o) {
         return binary_cross_entropy_with_logits(o.a(), o.b(), {.reduction = reduction(o)});
       }},
      {"kl_div",
       [](Operands& o) {
         return kl_div(o.a(), o.b(), {.log_target = o.n(0) % 2 == 0, .reduction = reduction(o)});
       }},
      {"margin_loss",
       [](Operands& o) {
         return margin_loss(o.a(), o.labels(o.a().dim() > 0 ? o.a().size(0) : 0, o.n(0)));
       }},
      {"conv2d", [](Operands& o) { return convolution(o, false); }},
      {"conv2d any",
       [](Operands& o) {
         return conv2d(o.a(), o.b(), {},
                       {.stride = {o.n(0), o.n(1)}, .padding = {o.size(2), o.size(3), 0, 0}});
       }},
      {"max_pool2d",
       [](Operands& o) {
         return max_pool2d(o.a(), {o.n(0), o.n(1)});
       }},
      {"conv2d by parts",
       [](Operands& o) {
         return conv2d(o.a(), o.b(), {},
                       {{o.between(0, 1, 2), 1},
                        {o.size(1), 0, 0, o.size(2)},
                        {o.size(3), o.size(4)},
                        o.size(5)});
       }},
      {"conv_transpose2d",
       [](Operands& o) {
         return conv_transpose2d(o.a(), o.b(), {},
                                 {{o.size(0), o.size(1)},
                                  {o.size(2), 0, 0, o.size(3)},
                                  {o.size(4), 0},
                                  {1, o.size(5)},
                                  o.between(6, 1, 2)});
       }},
      {"conv1d",
       [](Operands& o) {
         return conv1d(o.a(), o.b(), {}, {o.n(0), {o.n(1), o.n(2)}, o.n(3), o.n(4)});
       }},
      {"interpolate",
       [](Operands& o) {
         return interpolate(o.a(), {o.size(0), o.size(1)},
                            {Interpolation::bilinear, o.n(2) % 2 == 0});
       }},
      {"embedding", [](Operands& o) { return embedding(o.a(), o.indices(3, 4), {}, o.n(0)); }},
      {"max_pool2d any",
       [](Operands& o) {
         return max_pool2d(o.a(), {o.n(0), o.n(1)},
                           {{o.n(2), o.n(3)}, {o.n(4), o.n(5)}, {o.n(6), o.n(7)}});
       }},
      {"avg_pool2d",
       [](Operands& o) {
         return avg_pool2d(o.a(), {o.n(0), o.n(1)},
                           {{o.n(2), o.n(3)}, {o.n(4), o.n(5)}, o.n(6) % 2 == 0});
       }},
      {"adaptive_avg_pool2d",
       [](Operands& o) {
         return adaptive_avg_pool2d(o.a(), {o.size(0), o.size(1)});
       }},
      {"adaptive_max_pool2d",
       [](Operands& o) {
         return adaptive_max_pool2d(o.a(), {o.size(0), o.size(1)});
       }},
      {"batch_norm",
       [](Operands& o) { return batch_norm(o.a(), {}, {}, {}, {}, {.training = true}); }},
      {"layer_norm",
       [](Operands& o) {
         return layer_norm(o.a(), {last_size(o.a())}, o.made({last_size(o.a())}));
       }},
      {"rms_norm", [](Operands& o) { return rms_norm(o.a(), {last_size(o.a())}, {}, real(1e-3)); }},
      {"group_norm", [](Operands& o) { return group_norm(o.a(), o.n(0)); }},
      {"conv2d_relu_maxpool", [](Operands& o) { return convolution(o, true); }, true},
      {"mixed_kernel", [](Operands& o) { return mixture(o); }},
      {"mixed_bias",
       [](Operands& o) {
         return mixed_bias({o.a(), o.b()}, o.made({2}));
       }},
      {"gru", [](Operands& o) { return recurrent(o); }},
      {"lstm", [](Operands& o) { return long_memory(o, true); }},
      {"rnn", [](Operands& o) { return long_memory(o, false); }},
      {"attention_pooling", [](Operands& o) { return attention(o); }},
      {"scaled_dot_product_attention", [](Operands& o) { return dot_products(o); }},
      {"squash", [](Operands& o) { return squash(o.a()); }},
      {"capsule_norm", [](Operands& o) { return capsule_norm(o.a()); }},
      {"append_norms", [](Operands& o) { return append_norms(o.a()); }},
      {"capsule_votes", [](Operands& o) { return capsules(o, true); }},
      {"capsule_layer", [](Operands& o) { return capsules(o, false); }},
      {"capsule_routing", [](Operands& o) { return routing(o); }},
  };
  return all;
}

Array as_array(const Tensor& tensor) {
  const std::vector<real> values = tensor.to_vector();
  return {tensor.shape(), {values.begin(), values.end()}};
}

OpAnswer answer(const OpCall& call) {
  const Op& op = ops()[call.op];
  OpAnswer found;
  found.name = op.name;
  try {
    Operands operands{{}, call.numbers};
    operands.inputs.reserve(32);  // a() and b() stay where they are while more are made
    for (const Array& input : call.inputs) {
      const std::vector<real> values(input.values.begin(), input.values.end());
      operands.inputs.emplace_back(Tensor::from(values, input.shape), true);
    }
    const Variable value = op.run(operands);
    found.value = as_array(value.value());
    if (op.gradient_jumps || value.numel() == 0) return found;
    for (const Variable& gradient : grad(sum(value), operands.inputs)) {
      found.gradients.push_back(gradient.defined() ? as_array(gradient.value()) : Array{});
    }
  } catch (const std::invalid_argument& error) {
    found.refusal = error.what();
  } catch (const std::bad_alloc&) {
    found.refusal = "out of memory";
  }
  return found;
}

}  // namespace

#ifdef SERENADE_DOUBLE
OpAnswer answer_in_double(const OpCall& call) { return answer(call); }
std::size_t op_count() { return ops().size(); }
#else
OpAnswer answer_in_float(const OpCall& call) { return answer(call); }
#endif

}  // namespace serenade::fuzz
