// lstm and rnn: gradient checks, golden values, messages.

#include "autograd/functions/lstm.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

/// The input lists of check_op: x, then the states if any, then per direction W_ih, W_hh and, with
/// biases, b_ih and b_hh.
struct Variant {
  std::string name;
  std::int64_t batch, steps, inputs, hidden;
  int directions = 1;
  bool biases = true;
  bool states = false;
  Indices lengths = {};
};

enum class Kind { lstm, tanh, relu };
constexpr Kind kKinds[] = {Kind::lstm, Kind::tanh, Kind::relu};

std::vector<Tensor> random_inputs(const Variant& v, Kind kind) {
  const std::int64_t gates = kind == Kind::lstm ? 4 : 1;
  std::uint64_t seed = 1;
  const auto next = [&](Shape shape) { return random_tensor(shape, seed++, real(0.7)); };
  std::vector<Tensor> inputs = {next({v.batch, v.steps, v.inputs})};
  for (int i = 0; i < (kind == Kind::lstm ? 2 : 1) && v.states; ++i) {
    inputs.push_back(next({v.directions, v.batch, v.hidden}));
  }
  for (int k = 0; k < v.directions; ++k) {
    inputs.push_back(next({gates * v.hidden, v.inputs}));
    inputs.push_back(next({gates * v.hidden, v.hidden}));
    for (int i = 0; i < 2 && v.biases; ++i) inputs.push_back(next({gates * v.hidden}));
  }
  return inputs;
}

std::vector<RecurrentWeights> weights_from(const Inputs& in, std::size_t at, int directions,
                                           bool biases) {
  std::vector<RecurrentWeights> weights;
  for (int k = 0; k < directions; ++k) {
    weights.push_back({in[at], in[at + 1], {}, {}});
    at += 2;
    if (!biases) continue;
    weights.back().bias_ih = in[at];
    weights.back().bias_hh = in[at + 1];
    at += 2;
  }
  return weights;
}

Variable flat(const Variable& x) { return reshape(x, {x.numel()}); }

/// Output and last states in one row, so that every part of the result has a gradient.
Variable run(const Inputs& in, const Variant& v, Kind kind) {
  std::size_t at = 1;
  LstmState start;
  if (v.states) {
    start.h = in[at++];
    if (kind == Kind::lstm) start.c = in[at++];
  }
  const std::vector<RecurrentWeights> weights = weights_from(in, at, v.directions, v.biases);
  if (kind == Kind::lstm) {
    const LstmResult result = lstm(in[0], weights, start, {.lengths = v.lengths});
    return concat({flat(result.output), flat(result.last.h), flat(result.last.c)}, 0);
  }
  const auto nonlinearity = kind == Kind::tanh ? RnnNonlinearity::tanh : RnnNonlinearity::relu;
  const RnnResult result =
      rnn(in[0], weights, start.h, {.nonlinearity = nonlinearity, .lengths = v.lengths});
  return concat({flat(result.output), flat(result.last)}, 0);
}

std::string name_of(Kind kind) { return kind == Kind::lstm ? "lstm" : "rnn"; }

template <class F>
std::string message_of(F f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was thrown";
}

}  // namespace

TEST_CASE("lstm, rnn: gradient check of every variant") {
  const std::vector<Variant> variants = {
      {"all sizes 1", 1, 1, 1, 1},
      {"all sizes 1, two directions, all inputs", 1, 1, 1, 1, 2, true, true},
      {"one direction", 3, 4, 2, 3},
      {"no biases", 2, 3, 3, 2, 2, false},
      {"two directions", 2, 4, 3, 2, 2},
      {"two directions, states", 5, 3, 2, 3, 2, true, true},
      {"one sequence, states", 1, 5, 2, 3, 1, true, true},
      {"lengths", 3, 4, 2, 2, 1, true, false, {4, 1, 3}},
      {"lengths, two directions, states", 5, 4, 2, 2, 2, true, true, {2, 4, 1, 3, 4}},
  };
  for (const Kind kind : kKinds) {
    for (const Variant& v : variants) {
      INFO(v.name, ", kind ", static_cast<int>(kind));
      check_op(name_of(kind), random_inputs(v, kind),
               [&](const Inputs& in) { return run(in, v, kind); });
    }
  }
}

TEST_CASE("lstm, rnn: golden values") {
  const auto check = [](const std::string& which, Kind kind, const Variant& v) {
    std::vector<std::string> names = {"x"};
    if (v.states) names.push_back("h0");
    if (v.states && kind == Kind::lstm) names.push_back("c0");
    for (const std::string suffix : {"_l0", "_l0_reverse"}) {
      if (suffix == "_l0_reverse" && v.directions == 1) break;
      for (const char* name : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
        names.push_back(name + suffix);
      }
    }
    check_golden_op(
        name_of(kind), "recurrent", names, [&](const Inputs& in) { return run(in, v, kind); },
        which);
  };
  check("lstm", Kind::lstm, {"", 3, 4, 2, 2});
  check("lstm_bi", Kind::lstm, {"", 3, 4, 2, 2, 2, true, true, {3, 1, 4}});
  check("tanh_bi", Kind::tanh, {"", 3, 4, 2, 2, 2, true, true, {3, 1, 4}});
  check("relu", Kind::relu, {"", 3, 4, 2, 2, 1, true, true});
}

TEST_CASE("lstm: the state after a part of a sequence is where the rest goes on") {
  const Variant v{"", 3, 6, 2, 4};
  const std::vector<Tensor> inputs = random_inputs(v, Kind::lstm);
  const Inputs in(inputs.begin(), inputs.end());
  const std::vector<RecurrentWeights> weights = weights_from(in, 1, 1, true);
  const LstmResult whole = lstm(in[0], weights);
  const LstmResult first = lstm(slice(in[0], 1, 0, 4), weights);
  const LstmResult rest = lstm(slice(in[0], 1, 4, 2), weights, first.last);
  check_close(rest.output.value(), whole.output.value().slice(1, 4, 2), "the rest");
  check_close(rest.last.h.value(), whole.last.h.value(), "h");
  check_close(rest.last.c.value(), whole.last.c.value(), "c");
}

TEST_CASE("lstm: a sequence in a padded batch gives what it gives alone") {
  const Variant v{"", 3, 6, 2, 4, 2, true, false, {2, 6, 5}};
  const std::vector<Tensor> inputs = random_inputs(v, Kind::lstm);
  const Inputs in(inputs.begin(), inputs.end());
  const std::vector<RecurrentWeights> weights = weights_from(in, 1, 2, true);
  const LstmResult batch = lstm(in[0], weights, {}, {.lengths = v.lengths});
  for (std::int64_t n = 0; n < v.batch; ++n) {
    const std::int64_t length = v.lengths[n];
    const LstmResult alone = lstm(inputs[0].slice(0, n, 1).slice(1, 0, length), weights);
    check_close(batch.output.value().slice(0, n, 1).slice(1, 0, length), alone.output.value(),
                "valid steps");
    check_close(batch.last.h.value().slice(1, n, 1), alone.last.h.value(), "h");
    check_close(batch.last.c.value().slice(1, n, 1), alone.last.c.value(), "c");
    if (length == v.steps) continue;
    const Tensor padding = batch.output.value().slice(0, n, 1).slice(1, length, v.steps - length);
    for (const real value : padding.to_vector()) CHECK(value == 0);
  }
}

TEST_CASE("lstm: what needs no gradient gets none, and no last state is needed") {
  const Variant v{"", 2, 3, 2, 3, 1, true, true};
  const std::vector<Tensor> inputs = random_inputs(v, Kind::lstm);
  Inputs in(inputs.begin(), inputs.end());
  in[2] = Variable(inputs[2], true);  // c0 alone
  const LstmResult result = lstm(in[0], weights_from(in, 3, 1, true), {in[1], in[2]});
  backward(sum(result.output));
  CHECK(in[2].grad().defined());
  CHECK(!in[0].grad().defined());
  CHECK(!in[1].grad().defined());
  const NoGrad no_grad;
  CHECK(!lstm(in[0], weights_from(in, 3, 1, true), {{}, in[2]}).output.requires_grad());
}

TEST_CASE("lstm, rnn: messages") {
  const Variant v{"", 2, 3, 4, 5};
  const std::vector<Tensor> inputs = random_inputs(v, Kind::lstm);
  const Inputs in(inputs.begin(), inputs.end());
  const std::vector<RecurrentWeights> weights = weights_from(in, 1, 1, true);
  const auto message = [&](const Variable& x, const LstmState& start, const Indices& lengths) {
    return message_of([&] { lstm(x, weights, start, {.lengths = lengths}); });
  };
  CHECK(message(Tensor({2, 3}), {}, {}) == "lstm: x must be [N, T, D]; got [2, 3]");
  CHECK(message({}, {}, {}) == "lstm: x must be [N, T, D]; got []");
  CHECK(message(Tensor({2, 0, 4}), {}, {}) == "lstm: x must not be empty; got [2, 0, 4]");
  CHECK(message(Tensor({2, 3, 6}), {}, {}) ==
        "lstm: weight_ih must have shape [20, 6]; got [20, 4]");
  CHECK(message(in[0], {Tensor({2, 2, 5}), {}}, {}) ==
        "lstm: h0 must have shape [1, 2, 5]; got [2, 2, 5]");
  CHECK(message(in[0], {{}, Tensor({2, 5})}, {}) ==
        "lstm: c0 must have shape [1, 2, 5]; got [2, 5]");
  CHECK(message(in[0], {}, {3}) == "lstm: lengths must be one per sequence, 2; got 1");
  CHECK(message(in[0], {}, {3, 4}) == "lstm: lengths must be in 1 .. 3; got 4 for sequence 1");
  CHECK(message(in[0], {}, {0, 3}) == "lstm: lengths must be in 1 .. 3; got 0 for sequence 0");
  CHECK(message_of([&] { lstm(in[0], {}); }) == "lstm: there must be one or two directions; got 0");
  CHECK(message_of([&] { lstm(in[0], {{}}); }) == "lstm: weight_hh must be [4 H, H]; got []");
  CHECK(message_of([&] { rnn(in[0], weights); }) ==
        "rnn: weight_ih must have shape [5, 4]; got [20, 4]");
  CHECK(message_of([&] { rnn(in[0], {{}}); }) == "rnn: weight_hh must be [H, H]; got []");
  RecurrentWeights short_bias = weights[0];
  short_bias.bias_hh = Tensor({5});
  CHECK(message_of([&] { lstm(in[0], {short_bias}); }) ==
        "lstm: bias_hh must have shape [20]; got [5]");
}
