// LSTM and RNN: parameters, shapes, gradients, golden values, options that make no sense.

#include "nn/lstm.h"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "autograd/engine.h"
#include "autograd/gradcheck.h"
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

/// All parameters drawn anew, since biases start at zero.
void draw_parameters(Module& module) {
  std::uint64_t seed = 50;
  for (Variable& v : module.parameters()) {
    v.value().copy_(random_tensor(v.shape(), seed++, real(0.5)));
  }
}

/// Gradients of `f` by all parameters of a module and by x; meaningful in the double build.
template <class F>
void check_gradients(Module& module, Variable x, F f) {
  draw_parameters(module);
  std::vector<Variable> variables = module.parameters();
  variables.push_back(std::move(x));
  if (sizeof(real) < 8) {
    backward(sum(f()));
    for (const Variable& v : variables) CHECK(v.grad().defined());
    return;
  }
  const GradcheckResult result = gradcheck(f, variables);
  CHECK_MESSAGE(result.ok, result.message);
}

/// The values of a golden case under this project's names: of the first layer without _l0.
void load_golden(Module& module, const Golden& file, const std::string& which) {
  StateDict state;
  for (const auto& [name, parameter] : module.named_parameters()) {
    std::string theirs = name;
    if (name.find("_l") == std::string::npos) {
      const std::size_t at = name.find("_reverse");
      theirs = at == std::string::npos ? name + "_l0" : name.substr(0, at) + "_l0_reverse";
    }
    state[name] = file.tensor(which + "." + theirs);
  }
  module.load_state_dict(state);
}

Variable flat(const Variable& x) { return reshape(x, {x.numel()}); }

}  // namespace

TEST_CASE("lstm layer: parameters by layer and direction") {
  LSTM plain({.input_size = 5, .hidden_size = 2});
  CHECK(shapes_of(plain) ==
        Shapes{{"weight_ih", {8, 5}}, {"weight_hh", {8, 2}}, {"bias_ih", {8}}, {"bias_hh", {8}}});
  CHECK(plain.directions() == 1);
  LSTM deep(
      {.input_size = 5, .hidden_size = 2, .num_layers = 2, .bidirectional = true, .bias = false});
  CHECK(shapes_of(deep) == Shapes{{"weight_ih", {8, 5}},
                                  {"weight_hh", {8, 2}},
                                  {"weight_ih_reverse", {8, 5}},
                                  {"weight_hh_reverse", {8, 2}},
                                  {"weight_ih_l1", {8, 4}},
                                  {"weight_hh_l1", {8, 2}},
                                  {"weight_ih_l1_reverse", {8, 4}},
                                  {"weight_hh_l1_reverse", {8, 2}}});
  CHECK(deep.directions() == 2);
  RNN rnn({.input_size = 5, .hidden_size = 2, .num_layers = 2});
  CHECK(shapes_of(rnn) == Shapes{{"weight_ih", {2, 5}},
                                 {"weight_hh", {2, 2}},
                                 {"bias_ih", {2}},
                                 {"bias_hh", {2}},
                                 {"weight_ih_l1", {2, 2}},
                                 {"weight_hh_l1", {2, 2}},
                                 {"bias_ih_l1", {2}},
                                 {"bias_hh_l1", {2}}});
}

TEST_CASE("lstm layer: the forget gates alone start at forget_bias") {
  const LSTM layer({.input_size = 1, .hidden_size = 2, .num_layers = 2, .forget_bias = 1.5});
  for (const auto& [name, value] : layer.state_dict()) {
    if (name.find("bias_ih") == 0) {
      CHECK(value.to_vector() == std::vector<real>{0, 0, 1.5, 1.5, 0, 0, 0, 0});
    } else if (name.find("bias") == 0) {
      CHECK(value.to_vector() == std::vector<real>(8, 0));
    }
  }
}

TEST_CASE("lstm layer: options and states that make no sense") {
  CHECK_THROWS_WITH_AS(
      LSTM({.input_size = 5}),
      "LSTM: input_size, hidden_size and num_layers must be positive; got 5, 0 and 1",
      std::invalid_argument);
  CHECK_THROWS_WITH_AS(RNN({.input_size = 5, .hidden_size = 2, .num_layers = 0}),
                       doctest::Contains("got 5, 2 and 0"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(RNN({.input_size = 5, .hidden_size = 2, .dropout = 1}),
                       doctest::Contains("[0, 1)"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(LSTM({.input_size = 5, .hidden_size = 2, .bias = false, .forget_bias = 1}),
                       "LSTM: forget_bias must be 0 without biases; got 1", std::invalid_argument);
  LSTM layer({.input_size = 3, .hidden_size = 2, .num_layers = 2});
  const Variable x(random_tensor({2, 4, 3}));
  CHECK_THROWS_WITH_AS(layer.forward(x, {Tensor({1, 2, 2}), {}}),
                       "LSTM: h0 must be [2, N, H], layers times directions; got [1, 2, 2]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(layer.forward(x, {{}, Tensor({2, 3, 2})}),
                       "lstm: c0 must have shape [1, 2, 2]; got [1, 3, 2]", std::invalid_argument);
}

TEST_CASE("lstm layer: several layers are layers in a chain") {
  LSTM deep({.input_size = 3, .hidden_size = 2, .num_layers = 3, .bidirectional = true});
  draw_parameters(deep);
  const Variable x(random_tensor({2, 5, 3}));
  const LstmState start{random_tensor({6, 2, 2}, 1), random_tensor({6, 2, 2}, 2)};
  const Indices lengths = {5, 3};
  const LstmResult result = deep.forward(x, start, lengths);
  CHECK(result.output.shape() == Shape{2, 5, 4});
  CHECK(result.last.h.shape() == Shape{6, 2, 2});
  CHECK(result.last.c.shape() == Shape{6, 2, 2});
  Variable y = x;
  for (std::size_t layer = 0; layer < 3; ++layer) {
    const auto at = static_cast<std::int64_t>(2 * layer);
    const LstmResult one =
        lstm(y, deep.weights()[layer], {slice(start.h, 0, at, 2), slice(start.c, 0, at, 2)},
             {.lengths = lengths});
    const auto same = [&](const Variable& part, const Variable& all) {
      return slice(all, 0, at, 2).value().to_vector() == part.value().to_vector();
    };
    CHECK(same(one.last.h, result.last.h));
    CHECK(same(one.last.c, result.last.c));
    y = one.output;
  }
  CHECK(result.output.value().to_vector() == y.value().to_vector());
  CHECK(deep.forward(x).value().to_vector() ==
        deep.forward(x, {}, {5, 5}).output.value().to_vector());
}

TEST_CASE("lstm layer: gradients of parameters, with all that it takes and gives") {
  Variable x(random_tensor({2, 4, 3}), true);
  LSTM layer({.input_size = 3, .hidden_size = 2, .num_layers = 2, .bidirectional = true});
  const LstmState start{random_tensor({4, 2, 2}, 1), random_tensor({4, 2, 2}, 2)};
  check_gradients(layer, x, [&] {
    const LstmResult result = layer.forward(x, start, {4, 2});
    return concat({flat(result.output), flat(result.last.h), flat(result.last.c)}, 0);
  });
  for (const RnnNonlinearity nonlinearity : {RnnNonlinearity::tanh, RnnNonlinearity::relu}) {
    RNN rnn({.input_size = 3, .hidden_size = 2, .num_layers = 2, .nonlinearity = nonlinearity});
    check_gradients(rnn, x, [&] {
      const RnnResult result = rnn.forward(x, random_tensor({2, 2, 2}, 1), {4, 2});
      return concat({flat(result.output), flat(result.last)}, 0);
    });
  }
}

TEST_CASE("lstm layer: agrees with the golden values of two layers") {
  const Golden file = golden("recurrent");
  const auto tensor = [&](const std::string& name) { return file.tensor("lstm_layers." + name); };
  LSTM layer({.input_size = 2, .hidden_size = 2, .num_layers = 2, .bidirectional = true});
  load_golden(layer, file, "lstm_layers");
  const Variable x(tensor("x"), true), h0(tensor("h0"), true), c0(tensor("c0"), true);
  const LstmResult result = layer.forward(x, {h0, c0}, {4, 2, 3});
  const Variable y = concat({flat(result.output), flat(result.last.h), flat(result.last.c)}, 0);
  check_close(y.value(), tensor("y"), "y");
  backward(sum(mul(y, Variable(tensor("dy")))));
  check_close(x.grad(), tensor("d_x"), "d_x");
  check_close(h0.grad(), tensor("d_h0"), "d_h0");
  check_close(c0.grad(), tensor("d_c0"), "d_c0");
  check_close(layer.weights()[0][1].weight_hh.grad(), tensor("d_weight_hh_l0_reverse"), "layer 0");
  check_close(layer.weights()[1][0].weight_ih.grad(), tensor("d_weight_ih_l1"), "layer 1");
  check_close(layer.weights()[1][1].bias_hh.grad(), tensor("d_bias_hh_l1_reverse"), "layer 1");
}

TEST_CASE("lstm layer: dropout lies between layers, and in training alone") {
  const Variable x(random_tensor({2, 5, 3}));
  LSTM one({.input_size = 3, .hidden_size = 4, .dropout = 0.5});
  CHECK(one.forward(x).value().to_vector() == one.forward(x).value().to_vector());
  LSTM two({.input_size = 3, .hidden_size = 4, .num_layers = 2, .dropout = 0.5});
  CHECK(two.forward(x).value().to_vector() != two.forward(x).value().to_vector());
  two.eval();
  CHECK(two.forward(x).value().to_vector() == two.forward(x).value().to_vector());
}
