// The GRU, its last state and attention pooling: gradient checks, golden values, messages.

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

/// The input lists of check_op and of the golden files: x, then h0 if any, then per direction W_ih,
/// W_hh, b_ih and, with two biases, b_hh.
struct Variant {
  std::string name;
  std::int64_t batch, steps, inputs, hidden;
  int directions = 1;
  bool two_biases = false;
  bool start = false;
  GruOptions options = {};
};

std::vector<Tensor> random_inputs(const Variant& v) {
  std::uint64_t seed = 1;
  const auto next = [&](Shape shape) { return random_tensor(shape, seed++, real(0.7)); };
  std::vector<Tensor> inputs = {next({v.batch, v.steps, v.inputs})};
  if (v.start) inputs.push_back(next({v.directions, v.batch, v.hidden}));
  for (int k = 0; k < v.directions; ++k) {
    inputs.push_back(next({3 * v.hidden, v.inputs}));
    inputs.push_back(next({3 * v.hidden, v.hidden}));
    inputs.push_back(next({3 * v.hidden}));
    if (v.two_biases) inputs.push_back(next({3 * v.hidden}));
  }
  return inputs;
}

std::vector<GruWeights> weights_from(const std::vector<Variable>& in, std::size_t at,
                                     int directions, bool two_biases) {
  std::vector<GruWeights> weights;
  for (int k = 0; k < directions; ++k) {
    weights.push_back({in[at], in[at + 1], in[at + 2], two_biases ? in[at + 3] : Variable()});
    at += two_biases ? 4 : 3;
  }
  return weights;
}

Variable run_gru(const std::vector<Variable>& in, const Variant& v) {
  const std::size_t at = v.start ? 2 : 1;
  return gru(in[0], weights_from(in, at, v.directions, v.two_biases), v.start ? in[1] : Variable(),
             v.options);
}

/// Names in a golden file.
std::vector<std::string> golden_inputs(const std::vector<std::string>& first, int directions,
                                       bool two_biases) {
  std::vector<std::string> names = first;
  for (const std::string suffix : {"", "_reverse"}) {
    if (suffix == "_reverse" && directions == 1) break;
    for (const char* name : {"weight_ih", "weight_hh", "bias_ih"}) names.push_back(name + suffix);
    if (two_biases) names.push_back("bias_hh" + suffix);
  }
  return names;
}

Indices lengths_of(const std::string& file) { return golden(file).integer("lengths").values; }

AttentionWeights attention_weights(const std::vector<Variable>& in) {
  return {in[1], in[2], in[3], in[4], in[5]};
}

std::vector<Tensor> attention_inputs(std::int64_t batch, std::int64_t steps, std::int64_t inputs,
                                     std::int64_t channels, std::int64_t classes) {
  return {random_tensor({batch, steps, inputs}, 1), random_tensor({channels, inputs}, 2),
          random_tensor({channels}, 3, real(0.5)),  random_tensor({channels}, 4),
          random_tensor({classes, channels}, 5),    random_tensor({classes}, 6)};
}

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

TEST_CASE("gru: gradient check of every variant") {
  const GruOptions before{.reset = GruReset::before};
  const std::vector<Variant> variants = {
      {"all sizes 1", 1, 1, 1, 1},
      {"all sizes 1, two directions, all inputs", 1, 1, 1, 1, 2, true, true},
      {"one direction", 3, 4, 2, 3},
      {"one direction, two biases", 2, 3, 3, 2, 1, true},
      {"two directions", 2, 4, 3, 2, 2},
      {"two directions, two biases, h0", 5, 3, 2, 3, 2, true, true},
      {"one sequence, h0", 1, 5, 2, 3, 2, false, true},
      {"lengths", 3, 4, 2, 2, 1, false, false, {.lengths = {4, 1, 3}}},
      {"lengths, two directions, two biases, h0",
       5,
       4,
       2,
       2,
       2,
       true,
       true,
       {.lengths = {2, 4, 1, 3, 4}}},
      {"reset before", 2, 4, 3, 3, 1, false, false, before},
      {"reset before, two directions, h0", 3, 3, 2, 3, 2, false, true, before},
      {"reset before, all sizes 1", 1, 1, 1, 1, 1, false, true, before},
      {"reset before, lengths, two directions, h0",
       3,
       4,
       1,
       2,
       2,
       false,
       true,
       {.reset = GruReset::before, .lengths = {1, 4, 2}}},
  };
  for (const Variant& v : variants) {
    INFO(v.name);
    check_op("gru", random_inputs(v),
             [&](const std::vector<Variable>& in) { return run_gru(in, v); });
  }
}

TEST_CASE("gru: golden values") {
  for (const std::string& name : golden_names("gru_")) {
    const int directions = name.rfind("gru_bi_", 0) == 0 ? 2 : 1;
    const bool reset_before = name.find("reset_before") != std::string::npos;
    const bool last = name.find("last_state") != std::string::npos;
    // "Single bias" files hold b_hh = 0 and its gradient: given as the second bias here.
    const bool two_biases = !reset_before;
    GruOptions options;
    if (reset_before) options.reset = GruReset::before;
    if (name.find("lengths") != std::string::npos) options.lengths = lengths_of(name);
    const std::vector<std::string> first =
        last ? std::vector<std::string>{"x", "h0"} : std::vector<std::string>{"x"};
    check_golden_op(last ? "gru_last_state" : "gru", name,
                    golden_inputs(first, directions, two_biases),
                    [&](const std::vector<Variable>& in) {
                      const auto weights = weights_from(in, first.size(), directions, two_biases);
                      const Variable y = gru(in[0], weights, last ? in[1] : Variable(), options);
                      return last ? gru_last_state(y, directions) : y;
                    });
  }
}

TEST_CASE("gru: golden values of a stack with permute, flatten and a dense layer") {
  if (!has_golden("stack_gru")) return;
  check_golden_op("gru", "stack_gru", golden_inputs({"x", "dense_weight", "dense_bias"}, 2, true),
                  [](const std::vector<Variable>& in) {
                    const Variable steps = flatten(permute(in[0], {0, 3, 1, 2}), 2);
                    return linear(gru(steps, weights_from(in, 3, 2, true)), in[1], in[2]);
                  });
}

TEST_CASE("gru: no second bias is the same as zeros") {
  const Variant v{"", 3, 5, 4, 3, 2, true, true};
  std::vector<Tensor> inputs = random_inputs(v);
  for (const std::size_t i : {5, 9}) inputs[i].zero_();
  const std::vector<Variable> in(inputs.begin(), inputs.end());
  std::vector<GruWeights> weights = weights_from(in, 2, 2, true);
  const Tensor with_zeros = gru(in[0], weights, in[1]).value();
  for (GruWeights& w : weights) w.bias_hh = Variable();
  CHECK(gru(in[0], weights, in[1]).value().to_vector() == with_zeros.to_vector());
}

TEST_CASE("gru: no h0 is the same as zeros, and inputs may be views") {
  const Variant v{"", 3, 5, 4, 3, 2};
  const std::vector<Tensor> inputs = random_inputs(v);
  const std::vector<Variable> in(inputs.begin(), inputs.end());
  const std::vector<GruWeights> weights = weights_from(in, 1, 2, false);
  const Tensor expected = gru(in[0], weights).value();
  CHECK(gru(in[0], weights, Tensor({2, 3, 3})).value().to_vector() == expected.to_vector());
  const Tensor view = inputs[0].transpose(1, 2).contiguous().transpose(1, 2);
  REQUIRE(!view.is_contiguous());
  CHECK(gru(view, weights).value().to_vector() == expected.to_vector());
}

TEST_CASE("gru: a sequence in a padded batch gives what it gives alone") {
  const Variant v{"", 3, 6, 2, 4, 2, true, false, {.lengths = {2, 6, 5}}};
  const std::vector<Tensor> inputs = random_inputs(v);
  std::vector<Variable> in(inputs.begin(), inputs.end());
  const Tensor batch = run_gru(in, v).value();
  for (std::int64_t n = 0; n < v.batch; ++n) {
    const std::int64_t length = v.options.lengths[n];
    in[0] = inputs[0].slice(0, n, 1).slice(1, 0, length);
    const Tensor alone = gru(in[0], weights_from(in, 1, 2, true)).value();
    check_close(batch.slice(0, n, 1).slice(1, 0, length), alone, "valid steps");
    if (length == v.steps) continue;
    for (const real value : batch.slice(0, n, 1).slice(1, length, v.steps - length).to_vector()) {
      CHECK(value == 0);
    }
  }
}

TEST_CASE("gru: weights frozen or used by both directions") {
  const Variant v{"", 2, 3, 2, 3};
  const std::vector<Tensor> inputs = random_inputs(v);
  // Only W_hh is trained: the others get no gradient.
  std::vector<Variable> in(inputs.begin(), inputs.end());
  in[2].set_requires_grad(true);
  backward(sum(run_gru(in, v)));
  CHECK(in[2].grad().defined());
  CHECK(!in[1].grad().defined());
  // One set of weights for both directions: gradients add up.
  check_op("gru", inputs, [](const std::vector<Variable>& shared) {
    const GruWeights weights{shared[1], shared[2], shared[3], {}};
    return gru(shared[0], {weights, weights});
  });
}

TEST_CASE("gru: messages") {
  const Variant v{"", 2, 3, 4, 5, 1, true};
  const std::vector<Tensor> inputs = random_inputs(v);
  const std::vector<Variable> in(inputs.begin(), inputs.end());
  const std::vector<GruWeights> weights = weights_from(in, 1, 1, true);
  const auto run = [&](const Variable& x, const Variable& h0, const GruOptions& options) {
    return message_of([&] { gru(x, weights, h0, options); });
  };
  CHECK(run(Tensor({2, 3}), {}, {}) == "gru: x must be [N, T, D]; got [2, 3]");
  CHECK(run(Tensor({2, 3, 6}), {}, {}) == "gru: weight_ih must have shape [15, 6]; got [15, 4]");
  CHECK(run(in[0], Tensor({2, 2, 5}), {}) == "gru: h0 must have shape [1, 2, 5]; got [2, 2, 5]");
  CHECK(run(in[0], {}, {.lengths = {3}}) == "gru: lengths must be one per sequence, 2; got 1");
  CHECK(run(in[0], {}, {.lengths = {3, 4}}) ==
        "gru: lengths must be in 1 .. 3; got 4 for sequence 1");
  CHECK(run(in[0], {}, {.lengths = {0, 3}}) ==
        "gru: lengths must be in 1 .. 3; got 0 for sequence 0");
  CHECK(run(in[0], {}, {.reset = GruReset::before}) ==
        "gru: bias_hh must be undefined with GruReset::before; got [15]");
  CHECK(message_of([&] { gru(in[0], {}); }) == "gru: there must be one or two directions; got 0");
}

TEST_CASE("gru_last_state: gradient check and meaning") {
  for (const std::int64_t directions : {1, 2}) {
    check_op("gru_last_state", {random_tensor({3, 4, 2 * directions})},
             [&](const std::vector<Variable>& in) { return gru_last_state(in[0], directions); });
    check_op("gru_last_state", {random_tensor({3, 4, directions})},
             [&](const std::vector<Variable>& in) {
               return gru_last_state(in[0], directions, {4, 1, 2});
             });
  }
  const Tensor y = random_tensor({2, 3, 2});
  const Tensor last = gru_last_state(y, 2, {2, 3}).value();
  CHECK(last.at({0, 0, 0}) == y.at({0, 1, 0}));
  CHECK(last.at({0, 1, 0}) == y.at({1, 2, 0}));
  CHECK(last.at({1, 0, 0}) == y.at({0, 0, 1}));
  CHECK(last.at({1, 1, 0}) == y.at({1, 0, 1}));
  CHECK(message_of([&] {
          gru_last_state(Tensor({2, 3, 3}), 2);
        }) ==
        "gru_last_state: output must be [N, T, directions * H]; got [2, 3, 3] with 2 directions");
}

TEST_CASE("attention_pooling: gradient check") {
  const auto check = [](std::vector<Tensor> inputs, const AttentionOptions& options) {
    check_op("attention_pooling", inputs, [&](const std::vector<Variable>& in) {
      return attention_pooling(in[0], attention_weights(in), options);
    });
  };
  for (const bool relu : {true, false}) {
    check(attention_inputs(1, 1, 1, 1, 1), {.relu = relu});
    check(attention_inputs(3, 5, 4, 3, 2), {.relu = relu});
    check(attention_inputs(3, 4, 2, 3, 4), {.relu = relu, .lengths = {4, 1, 2}});
  }
}

TEST_CASE("attention_pooling: golden values") {
  for (const std::string& name : golden_names("attention_")) {
    const AttentionOptions options{.relu = golden_attribute(golden(name), "relu") == "true"};
    check_golden_op(
        "attention_pooling", name,
        {"h", "proj_weight", "proj_bias", "bottom_up", "top_down_weight", "top_down_bias"},
        [&](const std::vector<Variable>& in) {
          return attention_pooling(in[0], attention_weights(in), options);
        });
  }
}

TEST_CASE("attention_pooling: steps beyond the length have no effect at all") {
  std::vector<Tensor> inputs = attention_inputs(2, 5, 3, 4, 2);
  const AttentionOptions options{.lengths = {3, 5}};
  const auto pooled = [&] {
    Variable h(inputs[0].clone(), true);
    const std::vector<Variable> in(inputs.begin(), inputs.end());
    const Variable y = attention_pooling(h, attention_weights(in), options);
    return std::pair(y.value().to_vector(), grad(sum(y), {h})[0].value());
  };
  const auto [before, gradient] = pooled();
  inputs[0].slice(0, 0, 1).slice(1, 3, 2).fill_(1000);  // would win the softmax
  const auto [after, unused] = pooled();
  CHECK(after == before);
  for (const real value : gradient.slice(0, 0, 1).slice(1, 3, 2).to_vector()) CHECK(value == 0);
}

TEST_CASE("attention_pooling: messages") {
  const std::vector<Tensor> inputs = attention_inputs(2, 3, 4, 5, 6);
  const std::vector<Variable> in(inputs.begin(), inputs.end());
  CHECK(message_of([&] {
          attention_pooling(Tensor({2, 4}), attention_weights(in));
        }) == "attention_pooling: h must be [N, T, D]; got [2, 4]");
  CHECK(message_of([&] {
          attention_pooling(Tensor({2, 3, 7}), attention_weights(in));
        }) == "attention_pooling: proj_weight must have shape [5, 7]; got [5, 4]");
  CHECK(message_of([&] {
          attention_pooling(in[0], attention_weights(in), {.lengths = {3, 9}});
        }) == "attention_pooling: lengths must be in 1 .. 3; got 9 for sequence 1");
}
