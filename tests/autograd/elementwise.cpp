#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;
using Function = std::function<Variable(const Inputs&)>;

// Values at least 0.5 away from 0, for what divides by them or has a kink there.
Tensor away_from_zero(Shape shape, std::uint64_t seed, bool positive = false) {
  Tensor x = random_tensor(std::move(shape), seed);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    real& value = x.data()[i];
    value += value < 0 ? real(-0.5) : real(0.5);
    if (positive) value = std::abs(value);
  }
  return x;
}

const std::vector<std::pair<std::string, Function>> kBinary = {
    {"add", [](const Inputs& in) { return add(in[0], in[1]); }},
    {"sub", [](const Inputs& in) { return sub(in[0], in[1]); }},
    {"mul", [](const Inputs& in) { return mul(in[0], in[1]); }},
    {"div", [](const Inputs& in) { return div(in[0], in[1]); }}};

}  // namespace

TEST_CASE("arithmetic: gradients with broadcasting on either side, on both, and of scalars") {
  const std::vector<std::pair<Shape, Shape>> shapes = {
      {{3, 5}, {3, 5}},    {{}, {}},
      {{}, {3, 5}},        {{3, 5}, {}},
      {{5}, {3, 5}},       {{3, 5}, {3, 1}},
      {{3, 1}, {1, 5}},    {{1}, {1}},
      {{2, 1, 5}, {3, 1}}, {{1, 3, 1, 2}, {2, 1, 3, 1}}};
  for (const auto& [name, f] : kBinary) {
    for (const auto& pair : shapes) {
      const Shape &a = pair.first, &b = pair.second;
      CAPTURE(to_string(a));
      CAPTURE(to_string(b));
      check_op(name, {random_tensor(a, 1), away_from_zero(b, 2)}, f);
    }
  }
}

TEST_CASE("arithmetic: one variable on both sides gets both gradients") {
  const Tensor x = away_from_zero({3, 2}, 3);
  check_op("add", {x}, [](const Inputs& in) { return add(in[0], in[0]); });
  check_op("sub", {x}, [](const Inputs& in) { return sub(in[0], in[0]); });
  check_op("mul", {x}, [](const Inputs& in) { return mul(in[0], in[0]); });
  check_op("div", {x}, [](const Inputs& in) { return div(in[0], in[0]); });
  const Variable a(Tensor::scalar(3), true);
  backward(mul(a, a));
  CHECK(a.grad().item() == 6);
}

TEST_CASE("arithmetic: values") {
  const Variable a(Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3})), b(Tensor::from({1, 2, 4}, {3}));
  CHECK((a + b).value().to_vector() == std::vector<real>{2, 4, 7, 5, 7, 10});
  CHECK((b - a).value().to_vector() == std::vector<real>{0, 0, 1, -3, -3, -2});
  CHECK((a * b).value().to_vector() == std::vector<real>{1, 4, 12, 4, 10, 24});
  CHECK((a / b).value().to_vector() == std::vector<real>{1, 1, 0.75, 4, 2.5, 1.5});
  CHECK((-b).value().to_vector() == std::vector<real>{-1, -2, -4});
  CHECK((2 * b + 1).value().to_vector() == std::vector<real>{3, 5, 9});
}

TEST_CASE("arithmetic reads views in their own order") {
  const Tensor x = random_tensor({3, 4}, 1);
  const Variable view(x.transpose(0, 1)), dense(x.transpose(0, 1).contiguous());
  const Variable row(random_tensor({3}, 2));
  CHECK(mul(view, row).value().to_vector() == mul(dense, row).value().to_vector());
  CHECK(relu(view).value().to_vector() == relu(dense).value().to_vector());
}

TEST_CASE("arithmetic on nothing gives nothing") {
  const Variable empty(Tensor({0, 3}), true), row(random_tensor({3}), true);
  const Variable y = mul(empty, row);
  CHECK(to_string(y.shape()) == "[0, 3]");
  backward(sum(y));
  CHECK(row.grad().to_vector() == std::vector<real>{0, 0, 0});
}

TEST_CASE("arithmetic names the function and both shapes when they do not fit") {
  const Variable a(Tensor({2, 3})), b(Tensor({2, 4}));
  CHECK_THROWS_WITH_AS(add(a, b), doctest::Contains("add: "), std::invalid_argument);
  CHECK_THROWS_WITH_AS(sub(a, b), doctest::Contains("[2, 3]"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(mul(a, b), doctest::Contains("[2, 4]"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(div(a, b), doctest::Contains("div: "), std::invalid_argument);
}

TEST_CASE("elementwise functions: gradients") {
  for (const Shape& shape : std::vector<Shape>{{}, {1}, {3, 5}, {2, 1, 7}}) {
    const Tensor x = away_from_zero(shape, 4);
    check_op("neg", {x}, [](const Inputs& in) { return neg(in[0]); });
    check_op("affine", {x}, [](const Inputs& in) { return affine(in[0], real(-1.5), 2); });
    check_op("relu", {x}, [](const Inputs& in) { return relu(in[0]); });
    check_op("sigmoid", {x}, [](const Inputs& in) { return sigmoid(in[0]); });
    check_op("tanh", {x}, [](const Inputs& in) { return tanh(in[0]); });
    check_op("exp", {x}, [](const Inputs& in) { return exp(in[0]); });
    check_op("log", {away_from_zero(shape, 5, true)}, [](const Inputs& in) { return log(in[0]); });
    check_op("dropout", {x}, [](const Inputs& in) {
      return dropout(in[0], 0.4, {3, Purpose::dropout, 7});
    });
  }
}

TEST_CASE("relu: golden values, with gradient 0 at 0") {
  check_golden_op("relu", "relu", {"x"}, [](const Inputs& in) { return relu(in[0]); });
}

TEST_CASE("sigmoid and exp keep their limits far out") {
  const Variable x(Tensor::from({-1000, 1000}, {2}), true);
  const Variable y = sigmoid(x);
  CHECK(y.value().to_vector() == std::vector<real>{0, 1});
  backward(sum(y));
  CHECK(x.grad().to_vector() == std::vector<real>{0, 0});
  CHECK(exp(Variable(Tensor::scalar(-1000))).item() == 0);
  CHECK(std::isinf(log(Variable(Tensor::scalar(0))).item()));
}

TEST_CASE("dropout: the key decides the mask, and the mean stays") {
  const Variable x(Tensor::ones({200, 50}));
  const RandomKey key{1, Purpose::dropout, 2};
  const std::vector<real> first = dropout(x, 0.25, key).value().to_vector();
  CHECK(first == dropout(x, 0.25, key).value().to_vector());
  CHECK(first != dropout(x, 0.25, {1, Purpose::dropout, 3}).value().to_vector());
  CHECK(first != dropout(x, 0.25, {2, Purpose::dropout, 2}).value().to_vector());
  // One element has stddev sqrt(p / (1 - p)); five times that of the mean of 10,000.
  const double mean_kept = static_cast<double>(mean(dropout(x, 0.25, key)).item());
  CHECK(std::abs(mean_kept - 1) < 5 * std::sqrt(0.25 / 0.75 / 10000));
  CHECK(dropout(x, 0, key).value().to_vector() == x.value().to_vector());
}

TEST_CASE("dropout refuses what is not a probability below 1") {
  const Variable x(Tensor({2}));
  for (const double p : {-0.1, 1.0, 2.0, std::nan("")}) {
    CHECK_THROWS_WITH_AS(dropout(x, p, {}), doctest::Contains("dropout: 0 <= p < 1 must hold"),
                         std::invalid_argument);
  }
}
