// Powers, roots, bounds, comparisons, choices and activations; numbers beside variables.

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <sstream>
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
using Values = std::vector<real>;
using Function = std::function<Variable(const Inputs&)>;

struct Case {
  std::string function, golden;
  Function f;
  bool positive = false;
};

#define ONE(call) [](const Inputs& in) { return call; }

const std::vector<Case> kArithmetic = {{"sqrt", "sqrt", ONE(sqrt(in[0])), true},
                                       {"rsqrt", "rsqrt", ONE(rsqrt(in[0])), true},
                                       {"square", "square", ONE(square(in[0]))},
                                       {"abs", "abs", ONE(abs(in[0]))},
                                       {"sign", "sign", ONE(sign(in[0]))},
                                       {"erf", "erf", ONE(serenade::erf(in[0]))},
                                       {"clamp", "clamp", ONE(clamp(in[0], -1, 1))},
                                       {"pow", "pow_0", ONE(pow(in[0], 0))},
                                       {"pow", "pow_3", ONE(pow(in[0], 3))},
                                       {"pow", "pow_-1.5", ONE(pow(in[0], real(-1.5))), true},
                                       {"sub", "right_sub", ONE(2 - in[0])},
                                       {"div", "right_div", ONE(1 / in[0]), true},
                                       {"div", "div", ONE(in[0] / 3)}};

const std::vector<Case> kActivations = {
    {"leaky_relu", "leaky_relu", ONE(leaky_relu(in[0]))},
    {"leaky_relu", "leaky_relu_0.2", ONE(leaky_relu(in[0], real(0.2)))},
    {"elu", "elu", ONE(elu(in[0]))},
    {"elu", "elu_1.5", ONE(elu(in[0], real(1.5)))},
    {"gelu", "gelu", ONE(gelu(in[0]))},
    {"gelu", "gelu_tanh", ONE(gelu(in[0], GeluForm::tanh))},
    {"silu", "silu", ONE(silu(in[0]))},
    {"softplus", "softplus", ONE(softplus(in[0]))},
    {"softplus", "softplus_2_5", ONE(softplus(in[0], 2, 5))},
    {"hardtanh", "hardtanh", ONE(hardtanh(in[0]))},
    {"relu6", "relu6", ONE(relu6(in[0]))}};

#undef ONE

// Normal numbers that keep 0.01 away from -1, 0 and 1, where some of the functions have a kink.
Tensor smooth_points(const Shape& shape, bool positive) {
  Tensor x = random_tensor(shape, 3);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    real& value = x.data()[i];
    if (positive) value = std::abs(value) + real(0.1);
    for (const real kink : {real(-1), real(0), real(1)}) {
      if (std::abs(value - kink) < real(0.01)) value = kink + real(0.02);
    }
  }
  return x;
}

void check_cases(const char* file, const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    CAPTURE(one.golden);
    for (const Shape& shape : std::vector<Shape>{{}, {1}, {3, 5}, {2, 1, 7}}) {
      check_op(one.function, {smooth_points(shape, one.positive)}, one.f);
    }
    check_golden_op(one.function, file, {"x"}, one.f, one.golden);
    const Variable nan(Tensor::scalar(std::nan("")));
    if (one.golden != "pow_0") CHECK(std::isnan(one.f({nan}).item()));  // x^0 is 1 of any x
    CHECK_THROWS_WITH_AS(one.f({Variable()}), doctest::Contains("an input must be defined"),
                         std::invalid_argument);
  }
}

const std::vector<std::pair<Shape, Shape>> kPairs = {
    {{3, 5}, {3, 5}}, {{}, {}},         {{}, {3, 5}},        {{3, 5}, {}},
    {{5}, {3, 5}},    {{3, 1}, {1, 5}}, {{2, 1, 5}, {3, 1}}, {{1, 3, 1, 2}, {2, 1, 3, 1}}};

}  // namespace

TEST_CASE("pointwise: roots, powers, bounds and numbers on either side") {
  check_cases("arithmetic", kArithmetic);
}

TEST_CASE("pointwise: activations") { check_cases("activations", kActivations); }

TEST_CASE("pointwise: functions of two, with broadcasting") {
  const auto two = [](auto f) { return [f](const Inputs& in) { return f(in[0], in[1]); }; };
  const Function power = two([](const Variable& a, const Variable& b) { return pow(a, b); });
  const Function larger = two([](const Variable& a, const Variable& b) { return maximum(a, b); });
  const Function smaller = two([](const Variable& a, const Variable& b) { return minimum(a, b); });
  for (const auto& pair : kPairs) {
    const Shape &a = pair.first, &b = pair.second;
    CAPTURE(to_string(a));
    CAPTURE(to_string(b));
    const Tensor x = random_tensor(a, 1), y = random_tensor(b, 2);
    check_op("pow", {smooth_points(a, true), y}, power);
    check_op("maximum", {x, y}, larger);
    check_op("minimum", {x, y}, smaller);
    for (const Shape& shape : {Shape{}, Shape{5}, Shape{4, 1, 3, 1}}) {
      if (a.size() > 3 || a == Shape{2, 1, 5}) continue;  // do not broadcast with all of them
      const Tensor mask = Variable(random_tensor(shape, 4)) > 0;
      check_op("where", {x, y},
               [&](const Inputs& in) { return where(mask.to(in[0].device()), in[0], in[1]); });
    }
  }
  check_golden_op("pow", "arithmetic", {"a", "b"}, power, "pow");
  check_golden_op("pow", "arithmetic", {"a", "b"}, power, "pow_of_0");
  check_golden_op("maximum", "arithmetic", {"a", "b"}, larger, "maximum");
  check_golden_op("minimum", "arithmetic", {"a", "b"}, smaller, "minimum");
  const Variable one(Tensor::scalar(1)), nan(Tensor::scalar(std::nan("")));
  for (const Function& f : {larger, smaller}) {
    CHECK(std::isnan(f({one, nan}).item()));
    CHECK(std::isnan(f({nan, one}).item()));
  }
}

TEST_CASE("where and masked_fill: golden values; what is not chosen does not matter") {
  const Tensor mask = golden("arithmetic").tensor("where.mask");
  const Function choose = [&](const Inputs& in) {
    return where(mask.to(in[0].device()), in[0], in[1]);
  };
  const Function fill = [&](const Inputs& in) {
    return masked_fill(in[0], mask.to(in[0].device()), real(-2.5));
  };
  check_golden_op("where", "arithmetic", {"a", "b"}, choose, "where");
  check_golden_op("masked_fill", "arithmetic", {"x"}, fill, "masked_fill");
  check_op("masked_fill", {random_tensor({4, 3}, 1)}, fill);
  const Variable x(Tensor::from({0, 4}, {2}), true);
  backward(sum(where(x > 0, sqrt(where(x > 0, x, Tensor::scalar(1))), x * 3)));
  CHECK(x.grad().to_vector() == Values{3, real(0.25)});
  CHECK_THROWS_WITH_AS(masked_fill(x, Tensor({3, 2}), 0),
                       "masked_fill: the mask must broadcast to the input; got [2] and mask [3, 2]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(where(Tensor({3}), x, x), doctest::Contains("where: shapes must be equal"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(where(Tensor(), x, x), doctest::Contains("where: an input must be defined"),
                       std::invalid_argument);
}

TEST_CASE("comparisons give ones and zeros and pass no gradient") {
  const Variable a(Tensor::from({1, 2, 3, std::nanf("")}, {4}), true);
  const Variable b(Tensor::from({2, 2, 2, 2}, {4}));
  CHECK((a < b).to_vector() == Values{1, 0, 0, 0});
  CHECK((a <= b).to_vector() == Values{1, 1, 0, 0});
  CHECK((a > b).to_vector() == Values{0, 0, 1, 0});
  CHECK((a >= b).to_vector() == Values{0, 1, 1, 0});
  CHECK(eq(a, b).to_vector() == Values{0, 1, 0, 0});
  CHECK(ne(a, b).to_vector() == Values{1, 0, 1, 1});
  CHECK((a < 2).to_vector() == Values{1, 0, 0, 0});
  CHECK((a <= 2).to_vector() == Values{1, 1, 0, 0});
  CHECK((a > 2).to_vector() == Values{0, 0, 1, 0});
  CHECK((a >= 2).to_vector() == Values{0, 1, 1, 0});
  CHECK_THROWS_WITH_AS(gt(a, Tensor({3})), doctest::Contains("gt: "), std::invalid_argument);
}

TEST_CASE("numbers beside variables") {
  const Variable x(Tensor::from({1, 2, 4}, {3}), true);
  CHECK((x - 1).value().to_vector() == Values{0, 1, 3});
  CHECK((2 - x).value().to_vector() == Values{1, 0, -2});
  CHECK((1 + x).value().to_vector() == Values{2, 3, 5});
  CHECK((x / 2).value().to_vector() == Values{real(0.5), 1, 2});
  CHECK((1 / x).value().to_vector() == Values{1, real(0.5), real(0.25)});
  CHECK((x / 3).value().to_vector()[1] == real(2) / 3);
  Variable y = x;
  y += x;  // 2x
  y *= 3;  // 6x
  y -= 1;
  y /= Variable(Tensor::scalar(2));
  CHECK(y.value().to_vector() == Values{2.5, 5.5, 11.5});
  CHECK(x.value().to_vector() == Values{1, 2, 4});
  backward(sum(y));
  CHECK(x.grad().to_vector() == Values{3, 3, 3});
}

TEST_CASE("pointwise functions keep their limits far out") {
  const Variable x(Tensor::from({-200, 200}, {2}), true);
  CHECK(gelu(x).value().to_vector() == Values{0, 200});
  CHECK(gelu(x, GeluForm::tanh).value().to_vector() == Values{0, 200});
  CHECK(elu(x).value().to_vector() == Values{-1, 200});
  CHECK(softplus(x, 1, INFINITY).value().to_vector()[1] == 200);
  backward(sum(silu(x)) + sum(softplus(x)));
  CHECK(x.grad().to_vector()[0] == doctest::Approx(0));
  CHECK(x.grad().to_vector()[1] == 2);
}

TEST_CASE("pointwise functions refuse bounds that cross") {
  const Variable x(Tensor({2}));
  CHECK_THROWS_WITH_AS(clamp(x, 1, 0),
                       "clamp: the lower bound must not be above the upper one; got 1 and 0",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(clamp(x, std::nanf(""), 0), doctest::Contains("clamp: "),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(hardtanh(x, 1, 0), doctest::Contains("hardtanh: "), std::invalid_argument);
  CHECK_THROWS_WITH_AS(softplus(x, 0), "softplus: beta must be positive; got 0",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(maximum(x, Tensor({3})), doctest::Contains("maximum: "),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(pow(x, Variable()), doctest::Contains("pow: "), std::invalid_argument);
}

TEST_CASE("a variable prints its value and where its gradient goes") {
  const auto printed = [](const Variable& variable) {
    std::ostringstream text;
    text << variable;
    return text.str();
  };
  const Variable w(Tensor::from({1, 2}, {2}), true);
  CHECK(printed(w) == "[1, 2] [2] requires_grad");
  CHECK(printed(mul(w, w)) == "[1, 4] [2] grad_fn=mul");
  CHECK(printed(w.detach()) == "[1, 2] [2]");
  CHECK(printed(Variable()) == "undefined variable");
}
