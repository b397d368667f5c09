// The capsules over windows and utterances: sizes of the paper, padding, gradients, and golden
// values of an independent implementation.

#include "apps/ser/models/sequential_capsules.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;
using namespace serenade::ser;

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
