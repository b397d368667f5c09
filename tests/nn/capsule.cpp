// Capsule layers: layout of the primary capsules, parameter counts of the paper, lengths,
// gradients.

#include "nn/capsule.h"

#include <doctest/doctest.h>

#include <cmath>

#include "autograd/engine.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

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

TEST_CASE("primary capsules: explicit padding") {
  // Sabour et al. 2017, section 4: 9 x 9 over 20 x 20 in steps of 2 gives 6 x 6 places, 32 types.
  PrimaryCapsules layer({.in_channels = 1,
                         .types = 32,
                         .dim = 8,
                         .kernel_size = {9, 9},
                         .stride = {2, 2},
                         .padding = Padding{}});
  CHECK(layer.capsule_count(20, 20) == 1152);
  CHECK(layer.capsule_count(28, 28) == 3200);
  CHECK(layer.forward(Tensor({1, 1, 20, 20})).shape() == Shape{1, 1152, 8});
  CHECK_THROWS_WITH_AS(layer.capsule_count(20, 8), doctest::Contains("kernel"),
                       std::invalid_argument);
  // Uneven padding: the capsules are those of the image with its zeros.
  PrimaryCapsules::Options options = {.in_channels = 1, .types = 2, .dim = 3, .stride = {2, 1}};
  options.padding = Padding{.top = 3, .bottom = 0, .left = 1, .right = 2};
  PrimaryCapsules padded(options);
  options.padding = Padding{};
  PrimaryCapsules bare(options);
  bare.load_state_dict(padded.state_dict());
  const Tensor x = random_tensor({2, 1, 5, 6});
  const Variable by_hand = pad(pad(x, 2, 3, 0), 3, 1, 2);
  CHECK(padded.capsule_count(5, 6) == bare.capsule_count(8, 9));
  CHECK(padded.forward(x).size(1) == padded.capsule_count(5, 6));
  check_close(padded.forward(x).value(), bare.forward(by_hand).value(), "uneven padding");
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
