// Capsule layers: layout of the primary capsules, parameter counts of the paper, lengths,
// gradients, and the whole sequence against an independent implementation.

#include "nn/capsule.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "autograd/gradcheck.h"
#include "nn/linear.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

/// Small enough for finite differences; odd sizes; 3 windows for 9 steps, the last one padded.
SequentialCapsules::Options small() {
  return {.in_channels = 2,
          .bins = 3,
          .window = 4,
          .shift = 3,
          .types = 2,
          .primary_dim = 3,
          .kernel_size = {3, 3},
          .stride = {2, 3},
          .window_capsules = 2,
          .window_dim = 3,
          .classes = 3,
          .utterance_dim = 2,
          .iterations = 3};
}

void randomize(Module& module, real scale) {
  std::uint64_t seed = 70;
  for (Variable& v : module.parameters()) {
    v.value().copy_(random_tensor(v.shape(), seed++, scale));
  }
}

}  // namespace

TEST_CASE("primary capsules: channel = type * dim + component, index = (type, bin, step)") {
  PrimaryCapsules layer(
      {.in_channels = 1, .types = 2, .dim = 3, .kernel_size = {1, 1}, .stride = {2, 1}});
  // A 1x1 kernel of weight 0 and bias c gives channel c everywhere: only the layout is left.
  layer.weight.value().fill_(0);
  layer.bias.value().copy_(Tensor::from({1, 2, 2, 10, 0, 0}, {6}));
  const Tensor u = layer.forward(random_tensor({1, 1, 3, 4})).value();
  CHECK(u.shape() == Shape{1, 2 * 2 * 4, 3});
  CHECK(layer.capsule_count(3, 4) == 16);
  // squash of a vector of length 3 scales it to 9 / 10: [1, 2, 2] -> 0.3 [1, 2, 2]
  for (std::int64_t i = 0; i < 8; ++i) {
    CHECK(u.at({0, i, 0}) == doctest::Approx(0.3));
    CHECK(u.at({0, i, 2}) == doctest::Approx(0.6));
    CHECK(u.at({0, 8 + i, 0}) == doctest::Approx(100.0 / 101));
    CHECK(u.at({0, 8 + i, 1}) == real(0));
  }
  // With the input itself as component 0 of type 0, bin and step order shows.
  layer.bias.value().fill_(0);
  layer.weight.value().copy_(Tensor::from({1, 0, 0, 0, 0, 0}, {6, 1, 1, 1}));
  const Tensor x = random_tensor({1, 1, 3, 4}, 5);
  const Tensor v = layer.forward(x).value();
  for (std::int64_t bin = 0; bin < 2; ++bin) {
    for (std::int64_t step = 0; step < 4; ++step) {
      const real s = x.at({0, 0, 2 * bin, step});
      CHECK(v.at({0, 4 * bin + step, 0}) == doctest::Approx(s * std::abs(s) / (1 + s * s)));
    }
  }
}

TEST_CASE("primary capsules: counts and padding of the paper") {
  PrimaryCapsules layer({.in_channels = 16});
  CHECK(layer.parameter_count() == 25664);
  CHECK(layer.capsule_count(128, 10) == 1280);
  for (const std::int64_t bins : {1, 2, 3, 6, 8, 9}) {
    CHECK(layer.forward(Tensor({1, 16, bins, 10})).size(1) == layer.capsule_count(bins, 10));
  }
}

TEST_CASE("capsule layer: parameters, shapes, sharing") {
  CapsuleLayer layer({.in_capsules = 5, .out_capsules = 3, .in_dim = 4, .out_dim = 2});
  CHECK(layer.weight.shape() == Shape{5, 3, 4, 2});
  CHECK(layer.bias.shape() == Shape{3, 2});
  CHECK(layer.forward(random_tensor({2, 5, 4})).shape() == Shape{2, 3, 2});
  CapsuleLayer shared(
      {.out_capsules = 3, .in_dim = 4, .out_dim = 2, .shared = true, .bias = false});
  CHECK(shared.parameter_count() == 3 * 4 * 2);
  CHECK(shared.forward(random_tensor({2, 7, 4})).shape() == Shape{2, 3, 2});
  CHECK(shared.forward(random_tensor({2, 1, 4})).shape() == Shape{2, 3, 2});
  const Tensor u = random_tensor({2, 6, 4});
  const Tensor masked = shared.forward(u, {6, 4}).value();
  const Tensor alone = shared.forward(u.slice(0, 1, 1).slice(1, 0, 4)).value();
  check_close(masked.slice(0, 1, 1), alone, "the shorter sample");
  CHECK_THROWS_WITH_AS(CapsuleLayer({.out_capsules = 3, .in_dim = 4, .out_dim = 2}),
                       doctest::Contains("in_capsules"), std::invalid_argument);
}

TEST_CASE("capsule layer: golden values through the module") {
  if (!has_golden("capsule_layer_bias_3")) return;  // a large file of the full set
  const Golden g = golden("capsule_layer_bias_3");
  CapsuleLayer layer({.in_capsules = 10, .out_capsules = 8, .in_dim = 8, .out_dim = 8});
  layer.load_state_dict({{"weight", g.tensor("weight")}, {"bias", g.tensor("bias")}});
  check_close(layer.forward(g.tensor("u")).value(), g.tensor("y"), "y");
}

TEST_CASE("capsule layer: the choice of gradient changes the gradient and not the value") {
  CapsuleLayer::Options options = {.in_capsules = 5, .out_capsules = 3, .in_dim = 4, .out_dim = 2};
  CapsuleLayer full(options);
  options.gradient = RoutingGradient::last;
  CapsuleLayer last(options);
  last.load_state_dict(full.state_dict());
  const Tensor u = random_tensor({2, 5, 4});
  const Variable v_full = full.forward(u), v_last = last.forward(u);
  check_close(v_last.value(), v_full.value(), "v");
  backward(sum(v_full));
  backward(sum(v_last));
  CHECK_FALSE(all_close(last.weight.grad(), full.weight.grad(), 1e-3));
}

TEST_CASE("sequential capsules: names, counts of the paper, shapes") {
  SequentialCapsules paper({.bins = 128});
  CHECK(paper.primary.parameter_count() == 25664);
  CHECK(paper.window_caps.parameter_count() == 655360 + 64);
  CHECK(paper.utterance_caps.parameter_count() == 4608 + 64);
  CHECK(paper.window_count(50) == 9);
  CHECK(paper.window_count(10) == 1);
  CHECK(paper.window_count(1) == 1);
  CHECK(paper.window_count(11) == 2);
  std::vector<std::string> names;
  for (const auto& [name, parameter] : paper.named_parameters()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"primary.weight", "primary.bias", "window_caps.weight",
                                          "window_caps.bias", "utterance_caps.weight",
                                          "utterance_caps.bias"});
  SequentialCapsules tiny(small());
  for (const std::int64_t steps : {1, 4, 5, 9}) {
    CHECK(tiny.forward(random_tensor({2, 2, 3, steps})).shape() == Shape{2, 3, 2});
  }
  CHECK_THROWS_WITH_AS(tiny.forward(random_tensor({2, 2, 4, 9})),
                       doctest::Contains("[N, 2, 3, T]; got [2, 2, 4, 9]"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(tiny.forward(random_tensor({2, 2, 3, 9}), {9}),
                       doctest::Contains("one per sample"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(tiny.forward(random_tensor({2, 2, 3, 9}), {9, 10}),
                       doctest::Contains("1 .. T"), std::invalid_argument);
}

TEST_CASE("sequential capsules: a padded batch gives what its samples give alone") {
  for (const UtteranceNorm norm : {UtteranceNorm::none, UtteranceNorm::mean}) {
    SequentialCapsules::Options options = small();
    options.utterance_norm = norm;
    SequentialCapsules layer(options);
    randomize(layer, 1);
    const Tensor x = random_tensor({3, 2, 3, 12});  // steps beyond the lengths are not zero
    const Indices lengths = {12, 5, 1};
    const Tensor together = layer.forward(x, lengths).value();
    const double together_length = layer.mean_window_norm();
    double alone_length = 0;
    std::int64_t windows = 0;
    for (std::int64_t n = 0; n < 3; ++n) {
      const std::int64_t steps = lengths[static_cast<std::size_t>(n)];
      const Tensor alone = layer.forward(x.slice(0, n, 1).slice(3, 0, steps)).value();
      check_close(together.slice(0, n, 1), alone, "sample " + std::to_string(n));
      alone_length += layer.mean_window_norm() * static_cast<double>(layer.window_count(steps));
      windows += layer.window_count(steps);
    }
    CHECK(together_length == doctest::Approx(alone_length / static_cast<double>(windows)));
  }
}

TEST_CASE("sequential capsules: averaging forgets how often an utterance repeats itself") {
  SequentialCapsules::Options options = small();
  options.window = options.shift = 3;  // windows side by side, so that repeating repeats windows
  options.utterance_norm = UtteranceNorm::mean;
  SequentialCapsules layer(options);
  randomize(layer, 1);
  layer.utterance_caps.bias.value().fill_(0);
  const Tensor once = random_tensor({1, 2, 3, 3});
  const Tensor twice = concat({Variable(once), Variable(once)}, 3).value();
  // One iteration leaves c uniform, so the averaged sum is the same for one window and for two.
  options.iterations = 1;
  SequentialCapsules averaged(options);
  options.utterance_norm = UtteranceNorm::none;
  SequentialCapsules summed(options);
  averaged.load_state_dict(layer.state_dict());
  summed.load_state_dict(layer.state_dict());
  check_close(averaged.forward(twice).value(), averaged.forward(once).value(), "mean");
  const auto length = [&](SequentialCapsules& net, const Tensor& x) {
    net.forward(x);
    return net.mean_utterance_norm();
  };
  CHECK(length(summed, twice) > 1.05 * length(summed, once));
}

TEST_CASE("sequential capsules: the mean lengths are those of the last forward") {
  SequentialCapsules layer(small());
  CHECK(layer.mean_window_norm() == 0);
  CHECK(layer.mean_utterance_norm() == 0);
  randomize(layer, 1);
  const Tensor v = layer.forward(random_tensor({2, 2, 3, 9})).value();
  double expected = 0;
  for (std::int64_t n = 0; n < 2; ++n) {
    for (std::int64_t k = 0; k < 3; ++k) {
      expected += std::hypot(v.at({n, k, 0}), v.at({n, k, 1})) / 6;
    }
  }
  CHECK(layer.mean_utterance_norm() == doctest::Approx(expected));
  CHECK(layer.mean_window_norm() > 0);
  CHECK(layer.mean_window_norm() < 1);
}

TEST_CASE("sequential capsules: gradients of all parameters and of the input") {
  for (const UtteranceNorm norm : {UtteranceNorm::none, UtteranceNorm::mean}) {
    SequentialCapsules::Options options = small();
    options.utterance_norm = norm;
    SequentialCapsules layer(options);
    randomize(layer, 1);
    Variable x(random_tensor({2, 2, 3, 9}), true);
    std::vector<Variable> variables = layer.parameters();
    variables.push_back(x);
    if (sizeof(real) == 8) {
      const GradcheckResult result = gradcheck([&] { return layer.forward(x, {9, 5}); }, variables);
      CHECK_MESSAGE(result.ok, result.message);
    } else {
      backward(sum(layer.forward(x, {9, 5})));
      for (const Variable& v : variables) CHECK(v.grad().defined());
    }
  }
}

TEST_CASE("sequential capsules: from the golden features to the golden logits") {
  if (!has_golden("model_seqcap")) return;  // a large file of the full set
  const Golden g = golden("model_seqcap");
  SequentialCapsules layer({.bins = 2});
  layer.load_state_dict({{"primary.weight", g.tensor("param/prim_w")},
                         {"primary.bias", g.tensor("param/prim_b")},
                         {"window_caps.weight", g.tensor("param/window_caps.weight")},
                         {"window_caps.bias", g.tensor("param/window_caps.bias")},
                         {"utterance_caps.weight", g.tensor("param/utt_caps.weight")},
                         {"utterance_caps.bias", g.tensor("param/utt_caps.bias")}});
  const auto dense = [&](const Variable& x, const std::string& name) {
    return linear(x, g.tensor("param/" + name + ".weight"), g.tensor("param/" + name + ".bias"));
  };
  const Variable capsules = layer.forward(g.tensor("cnn_features"));
  const Variable logits = dense(relu(dense(append_norms(capsules), "head")), "out");
  check_close(logits.value(), g.tensor("logits"), "logits");
  backward(cross_entropy(logits, g.integer("labels").values));
  check_close(layer.primary.weight.grad(), g.tensor("grad/prim_w"), "d primary.weight");
  check_close(layer.window_caps.weight.grad(), g.tensor("grad/window_caps.weight"),
              "d window_caps.weight");
  check_close(layer.utterance_caps.bias.grad(), g.tensor("grad/utt_caps.bias"),
              "d utterance_caps.bias");
}
