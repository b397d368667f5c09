#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

double worst_difference(const Variable& a, const Variable& b) {
  double worst = 0;
  const std::vector<real> left = a.value().to_vector(), right = b.value().to_vector();
  for (std::size_t i = 0; i < left.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(left[i] - right[i])));
  }
  return worst;
}

constexpr double kRounding = sizeof(real) == 8 ? 1e-12 : 1e-5;

}  // namespace

TEST_CASE("softmax and log_softmax: gradients along every axis") {
  for (const Shape& shape : std::vector<Shape>{{1}, {5}, {3, 1}, {2, 3, 5}, {2, 3, 67}}) {
    const Tensor x = random_tensor(shape, 1);
    for (std::int64_t axis = -1; axis < static_cast<std::int64_t>(shape.size()); ++axis) {
      check_op("softmax", {x}, [=](const Inputs& in) { return softmax(in[0], axis); });
      check_op("log_softmax", {x}, [=](const Inputs& in) { return log_softmax(in[0], axis); });
    }
  }
}

TEST_CASE("softmax and log_softmax: golden values") {
  check_golden_op("softmax", {"x"}, [](const Inputs& in) { return softmax(in[0], -1); });
  check_golden_op("log_softmax", {"x"}, [](const Inputs& in) { return log_softmax(in[0], 1); });
}

TEST_CASE("softmax: sums to 1, does not overflow, and the middle axis is the transposed last one") {
  const Variable x(random_tensor({2, 5, 70}, 2, 300));
  const Variable y = softmax(x, 1);
  CHECK(worst_difference(sum(y, 1), Variable(Tensor::ones({2, 70}))) < kRounding);
  CHECK(worst_difference(y, transpose(softmax(transpose(x, 1, 2), 2), 1, 2)) == 0);
  const Variable logs = log_softmax(x, 1);
  for (const real value : logs.value().to_vector()) CHECK(std::isfinite(value));
  CHECK(worst_difference(exp(logs), y) < kRounding);
}

TEST_CASE("cross_entropy: gradients, plain and weighted, with a class of weight 0") {
  const Indices labels = {2, 0, 1, 2, 3};
  const Tensor logits = random_tensor({5, 4}, 3);
  check_op("cross_entropy", {logits},
           [&](const Inputs& in) { return cross_entropy(in[0], labels); });
  check_op("cross_entropy", {logits}, [&](const Inputs& in) {
    return cross_entropy(in[0], labels, {2, 0, 0.5, 1});
  });
  check_op("cross_entropy", {random_tensor({1, 1})},
           [](const Inputs& in) { return cross_entropy(in[0], {0}); });
}

TEST_CASE("cross_entropy: golden values") {
  const Golden file = golden("cross_entropy");
  const Indices labels = file.integer("labels").values;
  const Variable logits(file.tensor("logits"), true);
  const Variable loss = cross_entropy(logits, labels);
  check_close(loss.value(), file.tensor("loss").reshape({}), "loss");
  backward(loss);
  check_close(logits.grad(), file.tensor("d_logits"), "d_logits");
  for (std::int64_t n = 0; n < logits.size(0); ++n) {
    const Variable one =
        cross_entropy(slice(logits, 0, n, 1), {labels[static_cast<std::size_t>(n)]});
    check_close(one.value(), file.tensor("per_sample").slice(0, n, 1).reshape({}), "per sample");
  }
}

TEST_CASE("cross_entropy: the weighted mean is what its definition says") {
  const Variable logits(random_tensor({3, 2}, 4));
  const std::vector<real> weights = {3, real(0.5)};
  const Indices labels = {1, 0, 1};
  const Tensor logs = log_softmax(logits, 1).value();
  const double expected =
      -(0.5 * static_cast<double>(logs.at({0, 1})) + 3 * static_cast<double>(logs.at({1, 0})) +
        0.5 * static_cast<double>(logs.at({2, 1}))) /
      4;
  CHECK(static_cast<double>(cross_entropy(logits, labels, weights).item()) ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("cross_entropy: a hopeless sample costs a finite amount") {
  const Variable logits(Tensor::from({1000, -1000}, {1, 2}), true);
  const Variable loss = cross_entropy(logits, {1});
  CHECK(loss.item() == 2000);
  backward(loss);
  CHECK(logits.grad().to_vector() == std::vector<real>{1, -1});
}

TEST_CASE("margin_loss: gradients and values") {
  const Indices labels = {1, 0};
  const Tensor lengths =
      Tensor::from({real(0.3), real(0.7), real(0.05), real(0.95), real(0.2), real(0.6)}, {2, 3});
  check_op("margin_loss", {lengths}, [&](const Inputs& in) { return margin_loss(in[0], labels); });
  check_op("margin_loss", {lengths}, [&](const Inputs& in) {
    return margin_loss(in[0], labels, {real(0.8), real(0.25), real(0.9)});
  });
  // Sample 0: 0.2^2 + 0.5 (0.2^2 + 0); sample 1: 0 + 0.5 (0.1^2 + 0.5^2).
  const double expected = (0.04 + 0.5 * 0.04 + 0.5 * (0.01 + 0.25)) / 2;
  CHECK(static_cast<double>(margin_loss(Variable(lengths), labels).item()) ==
        doctest::Approx(expected).epsilon(1e-6));
}

TEST_CASE("losses say which label or weight is wrong") {
  const Variable logits(Tensor({2, 3}));
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0}), doctest::Contains("got 1 labels for [2, 3]"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 3}),
                       "cross_entropy: labels must be 0 .. 2; got 3 for sample 1",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {1, 1}),
                       doctest::Contains("one weight per class"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {1, -1, 1}),
                       doctest::Contains("must not be negative"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(cross_entropy(logits, {0, 1}, {0, 0, 1}),
                       doctest::Contains("positive weight"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(margin_loss(logits, {-1, 0}), doctest::Contains("margin_loss: labels"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(softmax(Variable(Tensor({2, 0})), 1), doctest::Contains("softmax: the axis"),
                       std::invalid_argument);
}
