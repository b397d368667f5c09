// Arguments at the ends of their range, and inputs that are not there: every function refuses them
// by its own name.

#include "tests/boundaries.h"

#include "autograd/engine.h"
#include "autograd/functions.h"

using namespace serenade;

namespace {

using Sizes = std::array<std::int64_t, 2>;

// [1, 1, 4, 4], 0 .. 15.
Variable image() {
  Tensor x({1, 1, 4, 4});
  for (std::int64_t i = 0; i < 16; ++i) x.data()[i] = static_cast<real>(i);
  return Variable(x);
}

Variable ones(const Shape& shape) { return Variable(Tensor::ones(shape)); }

}  // namespace

TEST_CASE("boundaries: axes, starts and lengths of functions") {
  const Variable x = image();
  check_extremes_refused("sum", [&](auto n) { sum(x, n); });
  check_extremes_refused("mean", [&](auto n) { mean(x, n); });
  check_extremes_refused("max", [&](auto n) { max(x, n); });
  check_extremes_refused("softmax", [&](auto n) { softmax(x, n); });
  check_extremes_refused("log_softmax", [&](auto n) { log_softmax(x, n); });
  check_extremes_refused("reshape", [&](auto n) { reshape(x, {n, -1}); });
  check_extremes_refused("flatten", [&](auto n) { flatten(x, n); });
  check_extremes_refused("flatten", [&](auto n) { flatten(x, 0, n); });
  check_extremes_refused("permute", [&](auto n) { permute(x, {n, 1, 2, 3}); });
  check_extremes_refused("transpose", [&](auto n) { transpose(x, n, 1); });
  check_extremes_refused("slice", [&](auto n) { slice(x, 3, n, 2); });
  check_extremes_refused("slice", [&](auto n) { slice(x, 3, 1, n); });
  check_extremes_refused("concat", [&](auto n) { concat({x, x}, n); });
  check_extremes_refused("pad", [&](auto n) { pad(x, n, 1, 1); });
  check_extremes_refused("pad", [&](auto n) { pad(x, 3, n, 1); });
  check_extremes_refused("pad", [&](auto n) { pad(x, 3, 0, n); });
  check_extremes_refused("pad", [&](auto n) { pad(x, 3, n, n); });
  check_extremes_refused("unfold", [&](auto n) { unfold(x, n, 1); });
  check_extremes_refused("unfold", [&](auto n) { unfold(x, n, n); });
  check_extremes_refused("unfold", [&](auto n) { unfold(x, 2, n); });
}

TEST_CASE("boundaries: an axis of an empty tensor may be longer than any memory") {
  constexpr std::int64_t kLong = std::int64_t{1} << 45, kSide = (std::int64_t{1} << 31) - 1;
  const Variable x(Tensor({0, kLong}));
  CHECK(flip(x, 1).shape() == Shape{0, kLong});
  CHECK(topk(x, 2, 1).values.shape() == Shape{0, 2});
  const Variable images(Tensor({0, 1, 1, 1}));
  CHECK(interpolate(images, {kSide, 7}).shape() == Shape{0, 1, kSide, 7});
  CHECK_THROWS_WITH_AS(interpolate(images, {kLong, 1}),
                       "interpolate: sizes must be in 1 .. 2^31 - 1; got 35184372088832 x 1 of "
                       "input [0, 1, 1, 1]",
                       std::invalid_argument);
  const Variable lanes(Tensor({kLong, 1, 0}), true);
  const Indices none;
  for (const Variable& y : {softmax(lanes, 1),
                            log_softmax(lanes, 1),
                            cumsum(lanes, 1),
                            sum(lanes, 1),
                            max(lanes, 1),
                            index_select(lanes, 1, {0, 0}),
                            gather(lanes, 1, none, lanes.shape()),
                            scatter_add(lanes, 1, none, lanes),
                            topk(lanes, 1, 1).values,
                            flip(lanes, {0, 1}),
                            matmul(lanes, Tensor({kLong, 0, 0})),
                            linear(lanes, Tensor({0, 0})),
                            relu(lanes),
                            lanes + lanes,
                            pad(lanes, 1, 2, 2),
                            slice(lanes, 1, 0, 1),
                            permute(lanes, {1, 2, 0}),
                            concat({lanes, lanes}, 1),
                            expand(lanes, {kLong, 5, 0}),
                            flatten(lanes)}) {
    CHECK(y.numel() == 0);
    CHECK(grad(sum(y), {lanes})[0].shape() == lanes.shape());
  }
  CHECK(argmax(lanes, 1).empty());

  const Variable wide(Tensor({0, 1, 1, kLong}), true);
  for (const Variable& y :
       {avg_pool2d(wide, {1, 2}, {.stride = {1, 1}}), adaptive_avg_pool2d(wide, {1, 3})}) {
    CHECK(y.numel() == 0);
    CHECK(grad(sum(y), {wide})[0].shape() == wide.shape());
  }
  CHECK_THROWS_WITH_AS(max_pool2d(wide, {1, 2}, {{1, 1}, {0, 1}}),
                       "max_pool2d: a map holds at most 2^31 - 1 elements; got input [0, 1, 1, "
                       "35184372088832]",
                       std::invalid_argument);
}

TEST_CASE("boundaries: windows, strides and paddings") {
  const Variable x = image(), weight = ones({1, 1, 2, 2});
  for (const auto member : {&Padding::top, &Padding::bottom, &Padding::left, &Padding::right}) {
    check_extremes_refused("conv2d", [&](auto n) {
      Conv2dOptions options;
      options.padding.*member = n;
      conv2d(x, weight, {}, options);
    });
  }
  check_extremes_refused("conv2d", [&](auto n) {
    conv2d(x, weight, {}, {.padding = {.top = n, .bottom = n, .left = n, .right = n}});
  });
  check_extremes_refused("conv2d_relu_maxpool", [&](auto n) {
    conv2d_relu_maxpool(x, weight, {}, {.padding = {.left = n}}, {1, 1});
  });
  check_extremes_refused("conv2d", [&](auto n) { conv2d(x, weight, {}, {.dilation = {n, n}}); });
  check_extremes_refused("conv2d", [&](auto n) { conv2d(x, weight, {}, {.groups = n}); });
  check_extremes_refused("conv_transpose2d", [&](auto n) {
    conv_transpose2d(x, weight, {}, {.stride = {n, n}});
  });
  check_extremes_refused("conv_transpose2d", [&](auto n) {
    conv_transpose2d(x, weight, {}, {.dilation = {n, n}});
  });
  check_extremes_refused("conv_transpose2d", [&](auto n) {
    conv_transpose2d(x, weight, {}, {.padding = {n, 0, n, 0}});
  });
  check_extremes_refused("interpolate", [&](auto n) { interpolate(x, {n, 2}); });
  check_extremes_refused("max_pool2d", [&](auto n) { max_pool2d(x, {n, 2}); });
  check_extremes_refused("max_pool2d", [&](auto n) { max_pool2d(x, {n, n}); });
  check_extremes_refused("max_pool2d", [&](auto n) { max_pool2d(x, {2, 2}, {.padding = {0, n}}); });
  check_extremes_refused("max_pool2d", [&](auto n) {
    max_pool2d(x, {2, 2}, {.dilation = {n, 1}});
  });
  check_refused("max_pool2d", [&] { max_pool2d(x, {2, 2}, {.stride = {0, 1}}); });
  check_extremes_refused("avg_pool2d", [&](auto n) { avg_pool2d(x, {1, n}); });
  check_extremes_refused("avg_pool2d", [&](auto n) { avg_pool2d(x, {2, 2}, {.padding = {n, n}}); });
  check_extremes_refused("adaptive_avg_pool2d", [&](auto n) { adaptive_avg_pool2d(x, {n, n}); });
  check_extremes_refused("adaptive_max_pool2d", [&](auto n) { adaptive_max_pool2d(x, {1, n}); });
  check_extremes_refused("conv2d_relu_maxpool", [&](auto n) {
    conv2d_relu_maxpool(x, weight, {}, {}, {1, n});
  });
  check_extremes_refused("conv2d_relu_maxpool_branches", [&](auto n) {
    conv2d_relu_maxpool_branches(x, {{weight, {}}}, {n, 1});
  });
  check_extremes_refused("same_padding", [](auto n) { same_padding({n, 3}); });
  check_extremes_refused("same_padding", [](auto n) { same_padding({3, 3}, {1, n}, {4, 4}); });
  check_extremes_refused("same_padding", [](auto n) { same_padding({3, 3}, {2, 2}, {4, n}); });
  // A stride that leads out of the image takes one step.
  for (const std::int64_t stride : {std::int64_t{5}, std::int64_t{1} << 60, kMost}) {
    const Variable y = conv2d(x, weight, {}, {.stride = {stride, stride}});
    CHECK(y.shape() == Shape{1, 1, 1, 1});
    CHECK(y.item() == 0 + 1 + 4 + 5);
    check_refused("conv2d", [&] { conv2d(x, weight, {}, {.stride = {-stride, 1}}); });
  }
  const std::int64_t wide = std::int64_t{1} << 20;
  check_refused("conv2d", [&] {  // each size is possible, their product is not
    conv2d(x, weight, {}, {.padding = {.top = wide << 10, .left = wide << 10}});
  });
}

TEST_CASE("boundaries: broadcasts and products that no memory holds") {
  const std::int64_t half = std::int64_t{1} << 30;
  const Variable tall(Tensor({1, 1}).expand({half, 1})), wide(Tensor({1, 1}).expand({1, half}));
  check_refused("add", [&] { add(tall, wide); });
  check_refused("sub", [&] { sub(tall, wide); });
  check_refused("mul", [&] { mul(tall, wide); });
  check_refused("div", [&] { div(tall, wide); });
  check_refused("maximum", [&] { maximum(tall, wide); });
  check_refused("where", [&] { where(Tensor({1}), tall, wide); });
  check_refused("lt", [&] { lt(tall, wide); });
  check_refused("matmul", [&] { matmul(tall, wide); });
  check_refused("linear", [&] { linear(tall, tall); });
  const Variable most(Tensor({1}).expand({kMaxElements / 2 + 1}));
  check_refused("concat", [&] { concat({most, most, most, most, most}, 0); });
}

TEST_CASE("boundaries: choosing and repeating") {
  const Variable x = ones({2, 3});
  check_extremes_refused("index_select", [&](auto n) { index_select(x, 1, {n}); });
  check_extremes_refused("index_select", [&](auto n) { index_select(x, n, {0}); });
  check_extremes_refused("embedding", [&](auto n) { embedding(x, {n}); });
  check_extremes_refused("embedding", [&](auto n) { embedding(x, {0}, {}, n); });
  check_extremes_refused("gather", [&](auto n) { gather(x, 1, {0, n}, {2, 1}); });
  check_extremes_refused("gather", [&](auto n) { gather(x, 1, {0}, {2, n}); });
  check_extremes_refused("scatter_add", [&](auto n) { scatter_add(x, 1, {0, n}, ones({2, 1})); });
  check_extremes_refused("topk", [&](auto n) { topk(x, n); });
  check_extremes_refused("repeat", [&](auto n) { repeat(x, {n, n}); });
  check_extremes_refused("expand", [&](auto n) { expand(x, {n, 2, 3}); });
  check_extremes_refused("one_hot", [&](auto n) { one_hot({n}, 3); });
  check_extremes_refused("stack", [&](auto n) { stack({x}, n); });
  check_extremes_refused("cumsum", [&](auto n) { cumsum(x, n); });
  check_extremes_refused("sum", [&](auto n) { sum(x, {0, n}); });
}

TEST_CASE("boundaries: normalisation") {
  const Variable x = ones({2, 4, 3});
  check_extremes_refused("group_norm", [&](auto n) { group_norm(x, n); });
  check_extremes_refused("layer_norm", [&](auto n) { layer_norm(x, {n}); });
  check_extremes_refused("rms_norm", [&](auto n) { rms_norm(x, {n, n}); });
}

TEST_CASE("boundaries: labels, lengths and iterations") {
  const Variable scores = ones({1, 3}), sequence = ones({1, 4, 2});
  check_extremes_refused("cross_entropy", [&](auto n) { cross_entropy(scores, {n}); });
  check_extremes_refused("nll_loss", [&](auto n) { nll_loss(scores, {n}); });
  check_extremes_refused("margin_loss", [&](auto n) { margin_loss(scores, {n}); });
  const GruWeights w = {ones({3, 2}), ones({3, 1}), ones({3}), ones({3})};
  check_extremes_refused("gru", [&](auto n) { gru(sequence, {w}, {}, {.lengths = {n}}); });
  check_extremes_refused("gru_last_state", [&](auto n) { gru_last_state(sequence, n); });
  check_extremes_refused("gru_last_state", [&](auto n) { gru_last_state(sequence, 1, {n}); });
  const Variable votes = ones({1, 4, 2, 3});
  check_extremes_refused("capsule_routing",
                         [&](auto n) { capsule_routing(votes, {}, {.lengths = {n}}); });
  check_refused("capsule_routing", [&] { capsule_routing(votes, {}, {.iterations = -1}); });
}

TEST_CASE("boundaries: an input that is not there is refused by the function's name") {
  const Variable none, x = image(), flat = ones({1, 4}), kernel = ones({1, 1, 2, 2});
  const auto unary = [&](const char* name, auto f) { check_refused(name, [&] { f(none); }); };
  unary("neg", [](const Variable& v) { neg(v); });
  unary("affine", [](const Variable& v) { affine(v, 2); });
  unary("relu", [](const Variable& v) { relu(v); });
  unary("sigmoid", [](const Variable& v) { sigmoid(v); });
  unary("tanh", [](const Variable& v) { serenade::tanh(v); });
  unary("exp", [](const Variable& v) { serenade::exp(v); });
  unary("log", [](const Variable& v) { serenade::log(v); });
  unary("sqrt", [](const Variable& v) { serenade::sqrt(v); });
  unary("rsqrt", [](const Variable& v) { serenade::rsqrt(v); });
  unary("square", [](const Variable& v) { serenade::square(v); });
  unary("abs", [](const Variable& v) { serenade::abs(v); });
  unary("sign", [](const Variable& v) { serenade::sign(v); });
  unary("erf", [](const Variable& v) { serenade::erf(v); });
  unary("clamp", [](const Variable& v) { clamp(v, 0, 1); });
  unary("pow", [](const Variable& v) { serenade::pow(v, 2); });
  unary("leaky_relu", [](const Variable& v) { leaky_relu(v); });
  unary("elu", [](const Variable& v) { elu(v); });
  unary("gelu", [](const Variable& v) { gelu(v); });
  unary("silu", [](const Variable& v) { silu(v); });
  unary("softplus", [](const Variable& v) { softplus(v); });
  unary("hardtanh", [](const Variable& v) { hardtanh(v); });
  unary("relu6", [](const Variable& v) { relu6(v); });
  unary("masked_fill", [](const Variable& v) { masked_fill(v, Tensor({1}), 0); });
  unary("div", [](const Variable& v) { v / 2; });
  unary("div", [](const Variable& v) { 2 / v; });
  unary("lt", [](const Variable& v) { static_cast<void>(v < 1); });
  unary("dropout", [](const Variable& v) { dropout(v, 0.5, {}); });
  unary("sum", [](const Variable& v) { sum(v); });
  unary("sum", [](const Variable& v) { sum(v, 0); });
  unary("mean", [](const Variable& v) { mean(v); });
  unary("mean", [](const Variable& v) { mean(v, 0); });
  unary("max", [](const Variable& v) { max(v, 0); });
  unary("min", [](const Variable& v) { min(v, 0); });
  unary("var", [](const Variable& v) { var(v, 0); });
  unary("stddev", [](const Variable& v) { stddev(v, 0); });
  unary("logsumexp", [](const Variable& v) { logsumexp(v, 0); });
  unary("norm", [](const Variable& v) { norm(v, 0); });
  unary("argmax", [](const Variable& v) { argmax(v, 0); });
  unary("cumsum", [](const Variable& v) { cumsum(v, 0); });
  unary("reshape", [](const Variable& v) { reshape(v, {0}); });
  unary("flatten", [](const Variable& v) { flatten(v); });
  unary("permute", [](const Variable& v) { permute(v, {}); });
  unary("transpose", [](const Variable& v) { transpose(v, 0, 1); });
  unary("stack", [](const Variable& v) { stack({v}); });
  unary("split", [](const Variable& v) { split(v, 1); });
  unary("chunk", [](const Variable& v) { chunk(v, 1); });
  unary("expand", [](const Variable& v) { expand(v, {1}); });
  unary("repeat", [](const Variable& v) { repeat(v, {1}); });
  unary("flip", [](const Variable& v) { flip(v, 0); });
  unary("index_select", [](const Variable& v) { index_select(v, 0, {0}); });
  unary("gather", [](const Variable& v) { gather(v, 0, {0}, {1}); });
  unary("topk", [](const Variable& v) { topk(v, 1); });
  unary("slice", [](const Variable& v) { slice(v, 0, 0, 1); });
  unary("pad", [](const Variable& v) { pad(v, 0, 0, 1); });
  unary("unfold", [](const Variable& v) { unfold(v, 1, 1); });
  unary("softmax", [](const Variable& v) { softmax(v, 0); });
  unary("log_softmax", [](const Variable& v) { log_softmax(v, 0); });
  unary("cross_entropy", [](const Variable& v) { cross_entropy(v, {0}); });
  unary("nll_loss", [](const Variable& v) { nll_loss(v, {0}); });
  unary("margin_loss", [](const Variable& v) { margin_loss(v, {0}); });
  unary("batch_norm", [](const Variable& v) { batch_norm(v, {}, {}); });
  unary("layer_norm", [](const Variable& v) { layer_norm(v, {1}); });
  unary("rms_norm", [](const Variable& v) { rms_norm(v, {1}); });
  unary("group_norm", [](const Variable& v) { group_norm(v, 1); });
  unary("instance_norm", [](const Variable& v) { instance_norm(v); });
  unary("max_pool2d", [](const Variable& v) { max_pool2d(v, {1, 1}); });
  unary("interpolate", [](const Variable& v) { interpolate(v, {1, 1}); });
  unary("embedding", [](const Variable& v) { embedding(v, {0}); });
  unary("avg_pool2d", [](const Variable& v) { avg_pool2d(v, {1, 1}); });
  unary("adaptive_avg_pool2d", [](const Variable& v) { adaptive_avg_pool2d(v, {1, 1}); });
  unary("adaptive_max_pool2d", [](const Variable& v) { adaptive_max_pool2d(v, {1, 1}); });
  for (const int which : {0, 1, 2}) {
    unary("scaled_dot_product_attention", [&](const Variable& v) {
      const Variable matrix = ones({2, 2});
      scaled_dot_product_attention(which == 0 ? v : matrix, which == 1 ? v : matrix,
                                   which == 2 ? v : matrix);
    });
  }
  unary("squash", [](const Variable& v) { squash(v); });
  unary("capsule_norm", [](const Variable& v) { capsule_norm(v); });
  unary("append_norms", [](const Variable& v) { append_norms(v); });
  unary("capsule_routing", [](const Variable& v) { capsule_routing(v); });
  unary("gru_last_state", [](const Variable& v) { gru_last_state(v, 1); });
  unary("gru", [](const Variable& v) { gru(v, {}); });
  unary("attention_pooling", [](const Variable& v) { attention_pooling(v, {}); });
  check_refused("routing_coefficients", [] { routing_coefficients({}, {}); });
  check_refused("backward", [&] { backward(none); });
  check_refused("concat", [&] { concat({x, none}, 0); });
  check_refused("concat", [&] { concat({none}, 0); });
  const auto binary = [&](const char* name, const Variable& other, auto f) {
    check_refused(name, [&] { f(none, other); });
    check_refused(name, [&] { f(other, none); });
  };
  binary("add", flat, [](const Variable& a, const Variable& b) { add(a, b); });
  binary("sub", flat, [](const Variable& a, const Variable& b) { sub(a, b); });
  binary("mul", flat, [](const Variable& a, const Variable& b) { mul(a, b); });
  binary("div", flat, [](const Variable& a, const Variable& b) { div(a, b); });
  binary("maximum", flat, [](const Variable& a, const Variable& b) { maximum(a, b); });
  binary("minimum", flat, [](const Variable& a, const Variable& b) { minimum(a, b); });
  binary("lt", flat, [](const Variable& a, const Variable& b) { lt(a, b); });
  binary("le", flat, [](const Variable& a, const Variable& b) { le(a, b); });
  binary("gt", flat, [](const Variable& a, const Variable& b) { gt(a, b); });
  binary("ge", flat, [](const Variable& a, const Variable& b) { ge(a, b); });
  binary("eq", flat, [](const Variable& a, const Variable& b) { eq(a, b); });
  binary("ne", flat, [](const Variable& a, const Variable& b) { ne(a, b); });
  binary("scatter_add", flat, [](const Variable& a, const Variable& b) {
    scatter_add(a, 0, {0, 0, 0, 0}, b);
  });
  binary("pow", flat, [](const Variable& a, const Variable& b) { serenade::pow(a, b); });
  binary("where", flat, [](const Variable& a, const Variable& b) { where(Tensor({1}), a, b); });
  check_refused("where", [&] { where(Tensor(), flat, flat); });
  check_refused("masked_fill", [&] { masked_fill(flat, Tensor(), 0); });
  binary("matmul", flat, [](const Variable& a, const Variable& b) { matmul(a, b); });
  binary("bmm", flat, [](const Variable& a, const Variable& b) { bmm(a, b); });
  binary("outer", flat, [](const Variable& a, const Variable& b) { outer(a, b); });
  binary("mse_loss", flat, [](const Variable& a, const Variable& b) { mse_loss(a, b); });
  binary("l1_loss", flat, [](const Variable& a, const Variable& b) { l1_loss(a, b); });
  binary("smooth_l1_loss", flat,
         [](const Variable& a, const Variable& b) { smooth_l1_loss(a, b); });
  binary("huber_loss", flat, [](const Variable& a, const Variable& b) { huber_loss(a, b); });
  binary("binary_cross_entropy_with_logits", flat,
         [](const Variable& a, const Variable& b) { binary_cross_entropy_with_logits(a, b); });
  binary("kl_div", flat, [](const Variable& a, const Variable& b) { kl_div(a, b); });
  binary("cross_entropy", flat, [](const Variable& a, const Variable& b) { cross_entropy(a, b); });
  binary("linear", flat, [](const Variable& a, const Variable& b) { linear(a, b); });
  binary("conv1d", flat, [](const Variable& a, const Variable& b) { conv1d(a, b); });
  binary("conv_transpose2d", x,
         [](const Variable& a, const Variable& b) { conv_transpose2d(a, b); });
  binary("conv2d", x,
         [](const Variable& a, const Variable& b) { conv2d(a, b, {}, {.groups = 2}); });
  binary("conv2d", x, [](const Variable& a, const Variable& b) { conv2d(a, b); });
  binary("conv2d_relu_maxpool", x, [](const Variable& a, const Variable& b) {
    conv2d_relu_maxpool(a, b, {}, {}, {1, 1});
  });
  binary("conv2d_relu_maxpool_branches", x, [](const Variable& a, const Variable& b) {
    conv2d_relu_maxpool_branches(a, {{b, {}}}, {1, 1});
  });
  binary("capsule_votes", flat, [](const Variable& a, const Variable& b) { capsule_votes(a, b); });
  binary("capsule_layer", flat, [](const Variable& a, const Variable& b) { capsule_layer(a, b); });
  check_refused("mixed_kernel", [&] { mixed_kernel({kernel}, none); });
  check_refused("mixed_kernel", [&] { mixed_kernel({none}, ones({1})); });
  check_refused("mixed_bias", [&] { mixed_bias({none}, ones({1})); });
  check_refused("mixed_bias", [&] { mixed_bias({ones({1})}, none); });
  check_refused("unused_taps", [&] { unused_taps({none}); });
  check_refused("unused_taps", [&] { unused_taps({flat}); });
  check_refused("unused_taps", [&] { unused_taps({kernel}, {true, false}); });
  MESSAGE(refusals() << " calls at the boundaries were refused so far");
}

TEST_CASE("a leaf whose value is replaced by one of another shape is refused where it is used") {
  Variable leaf(Tensor({2}), true);
  leaf.value() = Tensor({1000});
  CHECK_THROWS_WITH_AS(relu(leaf), doctest::Contains("must keep its shape"), std::invalid_argument);
  leaf.value() = Tensor::ones({2});
  backward(sum(relu(leaf)));
  CHECK(leaf.grad().to_vector() == std::vector<real>{1, 1});
}
