// Mixed operations: gradient checks, golden values, and merged against naive.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Variables = std::vector<Variable>;
using Kernels = std::vector<std::array<std::int64_t, 2>>;

const Kernels kTime = {{2, 8}, {2, 7}, {2, 6}, {1, 9}, {1, 10}, {3, 5}};
const Kernels kBody = {{5, 5}, {5, 4}, {4, 5}, {4, 4}, {4, 6}, {6, 4}};

Variables part(const Variables& all, std::size_t first, std::size_t count) {
  return {all.begin() + first, all.begin() + first + count};
}

Variables random_kernels(const Kernels& sizes, std::int64_t out, std::int64_t in) {
  Variables weights;
  for (const auto& [height, width] : sizes) {
    weights.emplace_back(random_tensor({out, in, height, width}, 10 + weights.size()), true);
  }
  return weights;
}

Variables random_biases(std::size_t count, std::int64_t size) {
  Variables biases;
  for (std::size_t i = 0; i < count; ++i) biases.emplace_back(random_tensor({size}, 30 + i), true);
  return biases;
}

// sum_i c_i conv2d(x, W_i, b_i), 'same' padding: as one convolution, and by its definition.
Variable merged_conv2d(const Variable& x, const Variables& weights, const Variables& biases,
                       const Variable& c, const std::vector<bool>& active) {
  const Variable kernel = mixed_kernel(weights, c, active);
  return conv2d(x, kernel, mixed_bias(biases, c, active),
                {.padding = same_padding({kernel.size(2), kernel.size(3)})},
                unused_taps(weights, active));
}

Variable naive_conv2d(const Variable& x, const Variables& weights, const Variables& biases,
                      const Variable& c, const std::vector<bool>& active) {
  Variable total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!active.empty() && !active[i]) continue;
    const Variable y = conv2d(x, weights[i], biases[i],
                              {.padding = same_padding({weights[i].size(2), weights[i].size(3)})});
    const Variable term = mul(slice(c, 0, static_cast<std::int64_t>(i), 1), y);
    total = total.defined() ? add(total, term) : term;
  }
  return total;
}

// Merged against naive: the result and the gradient of every input, for one choice of coefficients.
void check_merged_is_naive(const Kernels& sizes, const std::vector<bool>& active, real scale) {
  const Variable x(random_tensor({2, 2, 9, 13}, 1), true);
  const Variables weights = random_kernels(sizes, 3, 2);
  const Variables biases = random_biases(sizes.size(), 3);
  const Variable alpha(random_tensor({static_cast<std::int64_t>(sizes.size())}, 2), true);
  // Two graphs, since each is released by its backward.
  const Variable merged = merged_conv2d(x, weights, biases, softmax(alpha, 0) * scale, active);
  const Variable naive = naive_conv2d(x, weights, biases, softmax(alpha, 0) * scale, active);
  check_close(merged.value(), naive.value(), "y");

  const Variable dy(random_tensor(merged.shape(), 3));
  Variables inputs = {x, alpha};
  inputs.insert(inputs.end(), weights.begin(), weights.end());
  inputs.insert(inputs.end(), biases.begin(), biases.end());
  const std::vector<Variable> actual = grad(sum(merged * dy), inputs);
  const std::vector<Variable> expected = grad(sum(naive * dy), inputs);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::string what = "gradient " + std::to_string(i);
    INFO(what);
    REQUIRE(actual[i].defined() == expected[i].defined());
    if (actual[i].defined()) check_close(actual[i].value(), expected[i].value(), what);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const bool takes_part = active.empty() || active[i];
    CHECK(actual[2 + i].defined() == takes_part);
    CHECK(actual[2 + sizes.size() + i].defined() == takes_part);
  }
}

}  // namespace

TEST_CASE("mixed_kernel and mixed_bias: gradient checks") {
  const std::vector<Tensor> kernels = {random_tensor({2, 3, 2, 3}, 1),
                                       random_tensor({2, 3, 3, 1}, 2),
                                       random_tensor({2, 3, 1, 4}, 3), random_tensor({3}, 4)};
  check_op("mixed_kernel", kernels,
           [](const Variables& in) { return mixed_kernel(part(in, 0, 3), in[3]); });
  check_op("mixed_kernel", {random_tensor({1, 1, 1, 1}, 1), random_tensor({1}, 2)},
           [](const Variables& in) { return mixed_kernel(part(in, 0, 1), in[1]); });
  const std::vector<Tensor> biases = {random_tensor({2}, 1), random_tensor({5}, 2),
                                      random_tensor({1}, 3), random_tensor({3}, 4)};
  check_op("mixed_bias", biases,
           [](const Variables& in) { return mixed_bias(part(in, 0, 3), in[3]); });
  check_op("mixed_bias", {random_tensor({3}, 1), random_tensor({3}, 2), random_tensor({2}, 3)},
           [](const Variables& in) { return mixed_bias(part(in, 0, 2), in[2]); });
}

TEST_CASE("mixed_kernel: a kernel of even size in an odd box lies where its padding puts it") {
  // 2 taps reach one element ahead, 3 taps one back and one ahead: the pair covers the last two.
  const Variable two(Tensor::from({1, 2}, {1, 1, 2, 1}));
  const Variable three(Tensor::from({0, 0, 0}, {1, 1, 3, 1}));
  const Variable merged = mixed_kernel({two, three}, Variable(Tensor::ones({2})));
  CHECK(merged.value().to_vector() == std::vector<real>{0, 1, 2});
}

TEST_CASE(
    "mixed_kernel and mixed_bias: one convolution equals the naive sum in value and every "
    "gradient") {
  for (const Kernels& sizes : {kTime, kBody}) {
    check_merged_is_naive(sizes, {}, 1);  // joint
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      CAPTURE(i);
      std::vector<bool> active(sizes.size(), false);
      active[i] = true;
      check_merged_is_naive(sizes, active, 1);  // sampling: one drawn
      active.flip();
      check_merged_is_naive(sizes, active, real(6) / 5);  // dropout: one masked
    }
  }
}

TEST_CASE("mixed_kernel: candidates that take no part") {
  const Variables weights = random_kernels(kBody, 2, 1);
  const Variable c(random_tensor({6}, 1), true);
  std::vector<bool> active(6, true);
  active[4] = active[5] = false;
  const Variable merged = mixed_kernel(weights, c, active);
  CHECK(merged.shape() == Shape{2, 1, 6, 6});  // the box of all candidates, active or not
  backward(sum(merged));
  for (std::size_t i = 0; i < 6; ++i) CHECK(weights[i].grad().defined() == active[i]);
  const std::vector<real> dc = c.grad().to_vector();
  CHECK(dc[3] != 0);
  CHECK(dc[4] == 0);
  CHECK(dc[5] == 0);
}

TEST_CASE("golden: mixed convolutions, merged and naive") {
  const std::vector<std::string> names = golden_names("mixed_conv_");
  CHECK(!names.empty());
  for (const std::string& name : names) {
    const Golden file = golden(name);
    const std::string mode = golden_attribute(file, "mode");
    std::vector<std::string> inputs = {"x", "alpha"};
    for (const char* kind : {".weight", ".bias"}) {
      for (int i = 0; i < 6; ++i) inputs.push_back("ops." + std::to_string(i) + kind);
    }
    std::vector<bool> active;
    if (mode != "joint") {
      active.assign(6, mode == "dropout");
      const auto pick = std::stoull(golden_attribute(file, "pick"));
      active[pick] = !active[pick];
    }
    note_golden("mixed_bias", name);
    for (const auto mixture : {merged_conv2d, naive_conv2d}) {
      check_golden_op("mixed_kernel", name, inputs, [&](const Variables& in) {
        const Variable a = softmax(in[1], 0);
        const Variable c = mode == "joint"     ? a
                           : mode == "dropout" ? a * (real(6) / 5)
                                               : Variable(Tensor::ones({6}));
        return mixture(in[0], part(in, 2, 6), part(in, 8, 6), c, active);
      });
    }
  }
}

TEST_CASE("mixed operations: messages") {
  const Variables weights = {Variable(Tensor({2, 1, 3, 3})), Variable(Tensor({2, 2, 3, 3}))};
  const Variable two(Tensor({2}));
  CHECK_THROWS_WITH(mixed_kernel(weights, two),
                    "mixed_kernel: weights must agree in output and input channels; got "
                    "[2, 1, 3, 3] and [2, 2, 3, 3]");
  const Variables one = {weights[0]};
  CHECK_THROWS_WITH(mixed_kernel(one, two),
                    "mixed_kernel: needs one coefficient per candidate; got coefficients [2] and 1 "
                    "weights");
  CHECK_THROWS_WITH(mixed_kernel({}, two), "mixed_kernel: needs at least one candidate; got none");
  const Variables pair = {weights[0], weights[0]};
  CHECK_THROWS_WITH(mixed_kernel(pair, two, {false, false}),
                    "mixed_kernel: at least one candidate must be active; got 2 weights, none "
                    "active");
}

TEST_CASE("the taps of a union kernel that no candidate covers") {
  const auto unused = [](const std::vector<Shape>& kernels, const std::vector<bool>& active) {
    std::vector<Variable> weights;
    for (const Shape& kernel : kernels) {
      weights.push_back(random_tensor({1, 1, kernel[0], kernel[1]}, 1));
    }
    return unused_taps(weights, active);
  };
  const auto bit = [](int r, int s) { return std::uint64_t{1} << (r * 6 + s); };
  // The search space of the third and fourth layer.
  const std::vector<Shape> space = {{5, 5}, {5, 4}, {4, 5}, {4, 4}, {4, 6}, {6, 4}};
  CHECK(unused(space, {}) == (bit(0, 5) | bit(5, 0) | bit(5, 5)));
  const std::uint64_t last_row = bit(5, 1) | bit(5, 2) | bit(5, 3) | bit(5, 4);
  CHECK(unused(space, {true, true, true, true, true, false}) ==
        (bit(0, 5) | bit(5, 0) | bit(5, 5) | last_row));
  CHECK(unused({{2, 3}}, {}) == 0);
  CHECK(unused({{9, 9}, {1, 1}}, {false, true}) == 0);  // more taps than bits
  // What they are called is what mixed_kernel leaves at zero, also where all 64 bits are needed.
  const std::vector<Shape> many = {{8, 1}, {1, 8}, {3, 2}};
  std::vector<Variable> weights;
  for (const Shape& kernel : many) weights.push_back(Tensor::ones({1, 1, kernel[0], kernel[1]}));
  const Tensor merged = mixed_kernel(weights, Tensor::ones({3})).value();
  const std::uint64_t bits = unused_taps(weights);
  for (int tap = 0; tap < 64; ++tap) {
    CHECK((merged.at({0, 0, tap / 8, tap % 8}) == 0) == ((bits >> tap & 1) != 0));
  }
}
