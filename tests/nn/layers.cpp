// Dense, convolution, dropout, recurrent and attention layers: parameters, shapes, gradients, and
// agreement with an independent implementation.

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "autograd/gradcheck.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/dropout.h"
#include "nn/embedding.h"
#include "nn/fused.h"
#include "nn/gru.h"
#include "nn/linear.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Shapes = std::vector<std::pair<std::string, Shape>>;

Shapes shapes_of(const Module& module) {
  Shapes shapes;
  for (const auto& [name, parameter] : module.named_parameters()) {
    shapes.emplace_back(name, parameter.shape());
  }
  return shapes;
}

/// Checks a module's gradients by all its parameters and by its input. In float the finite
/// difference is too coarse to tell, so there the double build speaks for both.
template <class Layer>
void check_gradients(Layer& layer, const Tensor& input) {
  Variable x(input, true);
  std::vector<Variable> variables = layer.parameters();
  variables.push_back(x);
  // Biases start at zero, where ReLU and squash have kinks or hide errors.
  std::uint64_t seed = 50;
  for (Variable& v : layer.parameters()) {
    v.value().copy_(random_tensor(v.shape(), seed++, real(0.5)));
  }
  if (sizeof(real) == 8) {
    const GradcheckResult result = gradcheck([&] { return layer.forward(x); }, variables);
    CHECK_MESSAGE(result.ok, result.message);
  } else {
    backward(sum(layer.forward(x)));
    for (const auto& [name, parameter] : layer.named_parameters()) {
      CHECK_MESSAGE(parameter.grad().defined(), name);
    }
  }
}

}  // namespace

TEST_CASE("linear: parameters, shapes and gradients") {
  Linear layer({.in_features = 3, .out_features = 5});
  CHECK(shapes_of(layer) == Shapes{{"weight", {5, 3}}, {"bias", {5}}});
  CHECK(layer.forward(random_tensor({2, 7, 3})).shape() == Shape{2, 7, 5});
  check_gradients(layer, random_tensor({4, 3}));
  Linear plain({.in_features = 3, .out_features = 5, .bias = false});
  CHECK(shapes_of(plain) == Shapes{{"weight", {5, 3}}});
  CHECK(plain.forward(Tensor({2, 3})).value().to_vector() == std::vector<real>(10, 0));
  CHECK_THROWS_WITH_AS(Linear({.in_features = 3}), doctest::Contains("3 and 0"),
                       std::invalid_argument);
}

TEST_CASE("conv: parameters, 'same' and explicit padding, gradients") {
  Conv2d layer({.in_channels = 2, .out_channels = 3, .kernel_size = {2, 5}});
  CHECK(shapes_of(layer) == Shapes{{"weight", {3, 2, 2, 5}}, {"bias", {3}}});
  CHECK(layer.forward(random_tensor({2, 2, 4, 7})).shape() == Shape{2, 3, 4, 7});
  check_gradients(layer, random_tensor({2, 2, 3, 6}));

  Conv2d strided({.in_channels = 1, .out_channels = 1, .kernel_size = {5, 5}, .stride = {4, 2}});
  CHECK(strided.forward(random_tensor({1, 1, 9, 10})).shape() == Shape{1, 1, 3, 5});

  Conv2d valid({.in_channels = 1, .out_channels = 1, .kernel_size = {2, 3}, .padding = Padding{}});
  CHECK(valid.forward(random_tensor({1, 1, 4, 7})).shape() == Shape{1, 1, 3, 5});
  Conv2d high({.in_channels = 1,
               .out_channels = 1,
               .kernel_size = {1, 2},
               .padding = Padding{.top = 0, .bottom = 0, .left = 0, .right = 1}});
  Conv2d same({.in_channels = 1, .out_channels = 1, .kernel_size = {1, 2}});
  same.load_state_dict(high.state_dict());
  const Tensor x = random_tensor({1, 1, 3, 6});
  CHECK(all_close(high.forward(x).value(), same.forward(x).value()));

  CHECK_THROWS_WITH_AS(Conv2d({.in_channels = 1, .out_channels = 1}),
                       doctest::Contains("kernel_size must be positive"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(layer.forward(random_tensor({2, 4})), doctest::Contains("[2, 4]"),
                       std::invalid_argument);
}

TEST_CASE("conv: the fused path gives what its three parts give") {
  Conv2d layer({.in_channels = 2, .out_channels = 3, .kernel_size = {4, 3}});
  MaxPool2d pool({.window = {2, 3}});
  const Tensor x = random_tensor({2, 2, 7, 11});
  const Tensor expected = pool.forward(relu(layer.forward(x))).value();
  CHECK(expected.shape() == Shape{2, 3, 3, 3});
  check_close(relu_maxpool(layer, x, {2, 3}).value(), expected, "fused");
  CHECK_THROWS_AS(MaxPool2d({.window = {0, 1}}), std::invalid_argument);
}

TEST_CASE("conv: groups, dilation, sequences, transposed: parameters and gradients") {
  Conv2d grouped({.in_channels = 4, .out_channels = 6, .kernel_size = {3, 3}, .groups = 2});
  CHECK(shapes_of(grouped) == Shapes{{"weight", {6, 2, 3, 3}}, {"bias", {6}}});
  CHECK_FALSE(grouped.linear_form().has_value());
  CHECK(grouped.forward(random_tensor({1, 4, 5, 7})).shape() == Shape{1, 6, 5, 7});
  check_gradients(grouped, random_tensor({1, 4, 3, 4}));
  Conv2d dilated({.in_channels = 2, .out_channels = 1, .kernel_size = {3, 2}, .dilation = {2, 3}});
  CHECK(dilated.forward(random_tensor({1, 2, 5, 7})).shape() == Shape{1, 1, 5, 7});
  Conv1d sequence({.in_channels = 2, .out_channels = 3, .kernel_size = 3, .padding = {2, 0}});
  CHECK(shapes_of(sequence) == Shapes{{"weight", {3, 2, 3}}, {"bias", {3}}});
  check_gradients(sequence, random_tensor({2, 2, 5}));
  ConvTranspose2d up(
      {.in_channels = 4, .out_channels = 2, .kernel_size = {2, 2}, .stride = {2, 2}});
  CHECK(shapes_of(up) == Shapes{{"weight", {4, 2, 2, 2}}, {"bias", {2}}});
  CHECK(up.forward(random_tensor({1, 4, 3, 5})).shape() == Shape{1, 2, 6, 10});
  check_gradients(up, random_tensor({1, 4, 2, 2}));
  CHECK_THROWS_WITH_AS(
      Conv2d({.in_channels = 4, .out_channels = 6, .kernel_size = {1, 1}, .groups = 3}),
      doctest::Contains("groups must divide"), std::invalid_argument);
  CHECK_THROWS_AS(Conv1d({.in_channels = 1, .out_channels = 1}), std::invalid_argument);
  CHECK_THROWS_AS(ConvTranspose2d({.in_channels = 1, .out_channels = 1}), std::invalid_argument);
}

TEST_CASE("embedding: the row of the padding is zeros and stays so") {
  Embedding layer({.num_embeddings = 4, .embedding_dim = 3, .padding_index = 1});
  CHECK(layer.weight.value().slice(0, 1, 1).contiguous().to_vector() == std::vector<real>(3, 0));
  backward(sum(layer.forward({0, 1, 3, 3}, {2, 2})));
  CHECK(layer.weight.grad().to_vector() == std::vector<real>{1, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2, 2});
  CHECK_THROWS_WITH_AS(Embedding({.num_embeddings = 4, .embedding_dim = 3, .padding_index = 4}),
                       doctest::Contains("padding_index must be 0 .. 3; got 4"),
                       std::invalid_argument);
  CHECK_THROWS_AS(Embedding({.num_embeddings = 4}), std::invalid_argument);
}

TEST_CASE("pooling layers pass their options on") {
  const Tensor x = random_tensor({2, 3, 7, 9});
  CHECK(MaxPool2d({.window = {3, 2}, .stride = {1, 2}, .padding = {1, 0}, .dilation = {2, 1}})
            .forward(x)
            .value()
            .to_vector() == max_pool2d(x, {3, 2}, {{1, 2}, {1, 0}, {2, 1}}).value().to_vector());
  CHECK(AvgPool2d({.window = {3, 3}, .padding = {1, 1}, .count_include_pad = false})
            .forward(x)
            .value()
            .to_vector() == avg_pool2d(x, {3, 3}, {{0, 0}, {1, 1}, false}).value().to_vector());
  CHECK(AdaptiveAvgPool2d({2, 4}).forward(x).shape() == Shape{2, 3, 2, 4});
  CHECK(AdaptiveMaxPool2d({1, 1}).forward(x).value().to_vector() ==
        max(x, {2, 3}).value().to_vector());
  CHECK_THROWS_AS(AvgPool2d({.window = {1, 0}}), std::invalid_argument);
}

TEST_CASE("conv: a stack of layers agrees with the golden one") {
  const Golden g = golden("stack_conv");
  Conv2d a({.in_channels = 1, .out_channels = 2, .kernel_size = {2, 8}});
  Conv2d b({.in_channels = 1, .out_channels = 2, .kernel_size = {8, 2}});
  Conv2d c({.in_channels = 4, .out_channels = 4, .kernel_size = {5, 5}});
  Linear dense({.in_features = 96, .out_features = 3});
  a.load_state_dict({{"weight", g.tensor("w1")}, {"bias", g.tensor("b1")}});
  b.load_state_dict({{"weight", g.tensor("w2")}, {"bias", g.tensor("b2")}});
  c.load_state_dict({{"weight", g.tensor("w3")}, {"bias", g.tensor("b3")}});
  dense.load_state_dict({{"weight", g.tensor("w4")}, {"bias", g.tensor("b4")}});
  const Variable x(g.tensor("x").clone(), true);
  const Variable first = relu(concat({a.forward(x), b.forward(x)}, 1));
  const Variable second = relu_maxpool(c, max_pool2d(first, {2, 1}), {2, 2});
  const Variable y = dense.forward(flatten(second, 1));
  check_close(y.value(), g.tensor("y"), "y");
  backward(sum(mul(y, Variable(g.tensor("dy")))));
  check_close(x.grad(), g.tensor("d_x"), "d_x");
  check_close(a.weight.grad(), g.tensor("d_w1"), "d_w1");
  check_close(b.bias.grad(), g.tensor("d_b2"), "d_b2");
  check_close(c.weight.grad(), g.tensor("d_w3"), "d_w3");
  check_close(dense.weight.grad(), g.tensor("d_w4"), "d_w4");
}

TEST_CASE("dropout: rate, scale, identity in evaluation") {
  manual_seed(9);
  Dropout layer({.p = 0.25});
  const Variable x(Tensor::ones({100, 100}));
  const std::vector<real> y = layer.forward(x).value().to_vector();
  std::size_t zeros = 0;
  for (const real value : y) {
    if (value == 0) {
      ++zeros;
    } else {
      CHECK(value == doctest::Approx(1 / 0.75));
    }
  }
  CHECK(zeros / 10000.0 == doctest::Approx(0.25).epsilon(0.06));
  CHECK(layer.forward(x).value().to_vector() != y);  // the next call draws anew
  const RandomKey key = {.seed = 1, .purpose = Purpose::dropout, .step = 3};
  CHECK(layer.forward(x, key).value().to_vector() == layer.forward(x, key).value().to_vector());
  layer.eval();
  CHECK(layer.forward(x).value().to_vector() == x.value().to_vector());
  CHECK(layer.forward(x, key).value().to_vector() == x.value().to_vector());
  CHECK_THROWS_AS(Dropout({.p = 1}), std::invalid_argument);
}

TEST_CASE("gru: parameters by direction and number of biases") {
  GRU plain({.input_size = 5, .hidden_size = 2});
  CHECK(shapes_of(plain) == Shapes{{"weight_ih", {6, 5}}, {"weight_hh", {6, 2}}, {"bias_ih", {6}}});
  GRU full({.input_size = 5, .hidden_size = 2, .bidirectional = true, .bias = GruBias::two});
  CHECK(shapes_of(full) == Shapes{{"weight_ih", {6, 5}},
                                  {"weight_hh", {6, 2}},
                                  {"bias_ih", {6}},
                                  {"bias_hh", {6}},
                                  {"weight_ih_reverse", {6, 5}},
                                  {"weight_hh_reverse", {6, 2}},
                                  {"bias_ih_reverse", {6}},
                                  {"bias_hh_reverse", {6}}});
  // The count of systems.md for the paper's recogniser.
  GRU paper({.input_size = 2048, .hidden_size = 64, .bidirectional = true});
  CHECK(paper.parameter_count() == 811392);
  CHECK_THROWS_WITH_AS(
      GRU({.input_size = 5, .hidden_size = 2, .bias = GruBias::two, .reset = GruReset::before}),
      doctest::Contains("one bias"), std::invalid_argument);
}

TEST_CASE("gru: shapes, lengths, initial and last state, gradients") {
  GRU layer({.input_size = 3, .hidden_size = 2, .bidirectional = true});
  const Tensor x = random_tensor({2, 5, 3});
  const Variable y = layer.forward(x);
  CHECK(y.shape() == Shape{2, 5, 4});
  CHECK(layer.forward(x, random_tensor({2, 2, 2}, 8)).shape() == Shape{2, 5, 4});
  CHECK_FALSE(all_close(layer.forward(x, random_tensor({2, 2, 2}, 8)).value(), y.value()));

  const Tensor padded = layer.forward(x, {}, {5, 3}).value();
  const Tensor alone = layer.forward(x.slice(0, 1, 1).slice(1, 0, 3)).value();
  check_close(padded.slice(0, 1, 1).slice(1, 0, 3), alone, "the shorter sequence");
  CHECK(padded.at({1, 4, 0}) == real(0));

  const Tensor last = layer.last_state(layer.forward(x, {}, {5, 3}), {5, 3}).value();
  CHECK(last.shape() == Shape{2, 4});
  CHECK(last.at({1, 0}) == padded.at({1, 2, 0}));
  CHECK(last.at({1, 3}) == padded.at({1, 0, 3}));
  CHECK(last.at({0, 1}) == padded.at({0, 4, 1}));

  check_gradients(layer, x);
  GRU before({.input_size = 3, .hidden_size = 2, .reset = GruReset::before});
  check_gradients(before, x);
}

TEST_CASE("gru: image to steps, both directions and a dense layer agree with the golden stack") {
  const Golden g = golden("stack_gru");
  GRU gru({.input_size = 6, .hidden_size = 4, .bidirectional = true, .bias = GruBias::two});
  StateDict state;
  for (const auto& [name, parameter] : gru.named_parameters()) state[name] = g.tensor(name);
  gru.load_state_dict(state);
  Linear dense({.in_features = 8, .out_features = 3});
  dense.load_state_dict({{"weight", g.tensor("dense_weight")}, {"bias", g.tensor("dense_bias")}});
  const Variable x(g.tensor("x").clone(), true);
  const Variable y = dense.forward(gru.forward(flatten(permute(x, {0, 3, 1, 2}), 2)));
  check_close(y.value(), g.tensor("y"), "y");
  backward(sum(mul(y, Variable(g.tensor("dy")))));
  check_close(x.grad(), g.tensor("d_x"), "d_x");
  for (const auto& [name, parameter] : gru.named_parameters()) {
    check_close(parameter.grad(), g.tensor("d_" + name), "d_" + name);
  }
}

TEST_CASE("gru: the older form, reset before the product, agrees with the golden values") {
  const Golden g = golden("gru_bi_reset_before");
  GRU gru({.input_size = 5, .hidden_size = 4, .bidirectional = true, .reset = GruReset::before});
  StateDict state;
  for (const auto& [name, parameter] : gru.named_parameters()) state[name] = g.tensor(name);
  gru.load_state_dict(state);
  check_close(gru.forward(g.tensor("x")).value(), g.tensor("y"), "y");
}

TEST_CASE("attention: parameters, the count of the paper, gradients") {
  AttentionPooling layer({.input_size = 128, .channels = 64, .classes = 4});
  CHECK(layer.parameter_count() == 8580);
  StateDict state = layer.state_dict();
  CHECK(state.at("proj.weight").shape() == Shape{64, 128});
  CHECK(state.at("proj.bias").shape() == Shape{64});
  CHECK(state.at("bottom_up").shape() == Shape{64});
  CHECK(state.at("top_down.weight").shape() == Shape{4, 64});
  CHECK(state.at("top_down.bias").shape() == Shape{4});
  AttentionPooling small({.input_size = 3, .channels = 4, .classes = 2, .relu = false});
  CHECK(small.forward(random_tensor({2, 5, 3})).shape() == Shape{2, 2});
  check_gradients(small, random_tensor({2, 5, 3}));
}

TEST_CASE("attention: steps beyond a sequence's length do not count") {
  AttentionPooling layer({.input_size = 3, .channels = 4, .classes = 2});
  const Tensor h = random_tensor({2, 6, 3});
  const Tensor padded = layer.forward(h, {6, 4}).value();
  const Tensor alone = layer.forward(h.slice(0, 1, 1).slice(1, 0, 4)).value();
  check_close(padded.slice(0, 1, 1), alone, "the shorter sequence");
}

TEST_CASE("attention: agrees with the golden values") {
  for (const bool relu : {true, false}) {
    const Golden g = golden(relu ? "attention_relu_T9" : "attention_linear_T9");
    AttentionPooling layer({.input_size = 6, .channels = 5, .classes = 4, .relu = relu});
    layer.load_state_dict({{"proj.weight", g.tensor("proj_weight")},
                           {"proj.bias", g.tensor("proj_bias")},
                           {"bottom_up", g.tensor("bottom_up")},
                           {"top_down.weight", g.tensor("top_down_weight")},
                           {"top_down.bias", g.tensor("top_down_bias")}});
    check_close(layer.forward(g.tensor("h")).value(), g.tensor("y"), "y");
  }
}
