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

template <class Axis>
concept IsAxis = requires(const Variable& x, Axis axis) {
  sum(x, axis);
  mean(x, axis);
  max(x, axis);
  sum(x, axis, true);
};
template <class Axis>
concept IsAxisOfOne = requires(const Variable& x, Axis axis) {
  sum(x, axis);
}
|| requires(const Variable& x, Axis axis) { mean(x, axis); }
|| requires(const Variable& x, Axis axis) { max(x, axis); };
static_assert(IsAxis<int> && IsAxis<std::int64_t>);
static_assert(!IsAxisOfOne<bool>, "sum(x, true) would be the sum along axis 1");

}  // namespace

TEST_CASE("reductions: gradients along every axis and over several, kept or not") {
  for (const Shape& shape : std::vector<Shape>{{1}, {5}, {3, 1}, {2, 3, 5}, {2, 4, 1, 3}}) {
    const Tensor x = random_tensor(shape, 1);
    const auto dims = static_cast<std::int64_t>(shape.size());
    std::vector<AxisList> lists;
    for (std::int64_t axis = -dims; axis < dims; ++axis) lists.push_back(axis);
    if (dims == 3) lists.insert(lists.end(), {{0, 1}, {-1, 1}, {0, 2}, {0, 1, 2}});
    if (dims == 4) lists.insert(lists.end(), {{0, 2, 3}, {3, 1}});
    for (const AxisList& axes : lists) {
      for (const bool keepdim : {false, true}) {
        check_op("sum", {x}, [&](const Inputs& in) { return sum(in[0], axes, keepdim); });
        check_op("mean", {x}, [&](const Inputs& in) { return mean(in[0], axes, keepdim); });
        check_op("max", {x}, [&](const Inputs& in) { return max(in[0], axes, keepdim); });
        check_op("min", {x}, [&](const Inputs& in) { return min(in[0], axes, keepdim); });
        check_op("var", {x}, [&](const Inputs& in) { return var(in[0], axes, 0, keepdim); });
        check_op("logsumexp", {x},
                 [&](const Inputs& in) { return logsumexp(in[0], axes, keepdim); });
        for (const real p : {real(1), real(2), real(2.5), real(INFINITY)}) {
          check_op("norm", {x}, [&](const Inputs& in) { return norm(in[0], axes, p, keepdim); });
        }
      }
    }
    check_op("sum", {x}, [](const Inputs& in) { return sum(in[0]); });
    check_op("mean", {x}, [](const Inputs& in) { return mean(in[0]); });
    for (std::int64_t axis = -dims; axis < dims; ++axis) {
      check_op("cumsum", {x}, [=](const Inputs& in) { return cumsum(in[0], axis); });
    }
  }
  check_op("sum", {Tensor::scalar(3)}, [](const Inputs& in) { return sum(in[0]); });
  check_op("stddev", {random_tensor({2, 3, 4}, 1)}, [](const Inputs& in) {
    return stddev(in[0], {0, 2}, 1, true);
  });
}

TEST_CASE("reductions: golden values") {
  using Reduce = std::function<Variable(const Variable&, const AxisList&)>;
  const std::vector<std::pair<std::string, Reduce>> functions = {
      {"sum", [](auto& x, auto& axes) { return sum(x, axes); }},
      {"mean", [](auto& x, auto& axes) { return mean(x, axes); }},
      {"var", [](auto& x, auto& axes) { return var(x, axes); }},
      {"var_0", [](auto& x, auto& axes) { return var(x, axes, 0); }},
      {"stddev", [](auto& x, auto& axes) { return stddev(x, axes); }},
      {"max", [](auto& x, auto& axes) { return max(x, axes); }},
      {"min", [](auto& x, auto& axes) { return min(x, axes); }},
      {"logsumexp", [](auto& x, auto& axes) { return logsumexp(x, axes); }},
      {"norm_1", [](auto& x, auto& axes) { return norm(x, axes, 1); }},
      {"norm_2", [](auto& x, auto& axes) { return norm(x, axes); }},
      {"norm_3", [](auto& x, auto& axes) { return norm(x, axes, 3); }},
      {"norm_inf", [](auto& x, auto& axes) { return norm(x, axes, INFINITY); }}};
  const std::vector<std::pair<std::string, AxisList>> lists = {
      {"_02", {0, 2}}, {"_12", {1, 2}}, {"_1", 1}};
  for (const auto& [name, f] : functions) {
    for (const auto& [tag, axes] : lists) {
      const Reduce& reduce = f;
      const AxisList& over = axes;
      check_golden_op(
          name.substr(0, name.find('_')), "reductions", {"x"},
          [&](const Inputs& in) { return reduce(in[0], over); }, name + tag);
    }
  }
  check_golden_op(
      "norm", "reductions", {"x"}, [](const Inputs& in) { return norm(in[0], 1); }, "norm_of_0");
  for (const std::int64_t axis : {0, 1, 2}) {
    check_golden_op(
        "cumsum", "reductions", {"x"}, [=](const Inputs& in) { return cumsum(in[0], axis); },
        "cumsum_" + std::to_string(axis));
  }
}

TEST_CASE("max, min and argmax: a NaN is found, and the first of them gets the gradient") {
  for (const std::int64_t inner : {1, 2}) {
    const Shape shape = {1, 4, inner};
    std::vector<real> values;
    for (const real value : {real(1), real(NAN), real(2), real(NAN)}) {
      values.insert(values.end(), static_cast<std::size_t>(inner), value);
    }
    for (const bool largest : {true, false}) {
      const Variable x(Tensor::from(values, shape), true);
      const Variable y = largest ? max(x, 1) : min(x, 1);
      for (const real value : y.value().to_vector()) CHECK(std::isnan(value));
      backward(sum(y));
      std::vector<real> expected(values.size(), 0);
      for (std::int64_t i = inner; i < 2 * inner; ++i) expected[static_cast<std::size_t>(i)] = 1;
      CHECK(x.grad().to_vector() == expected);
    }
    CHECK(argmax(Tensor::from(values, shape), 1) == Indices(static_cast<std::size_t>(inner), 1));
  }
}

TEST_CASE("argmax: the first of the largest, along any axis") {
  const Variable x(Tensor::from({1, 5, 5, 8, 3, 4}, {2, 3}));
  CHECK(argmax(x, 1) == Indices{1, 0});
  CHECK(argmax(x, 0) == Indices{1, 0, 0});
  CHECK(argmax(x, -1) == argmax(x, 1));
}

TEST_CASE("logsumexp: no overflow; var: no digits lost at a large mean") {
  const Variable large(Tensor::from({1000, 1000, -INFINITY}, {3}));
  CHECK(logsumexp(large, 0).item() == doctest::Approx(1000.6931472).epsilon(1e-6));
  const Variable nothing(Tensor::from({-INFINITY, -INFINITY}, {2}));
  CHECK(logsumexp(nothing, 0).item() == -INFINITY);
  const Variable far(Tensor::from({4096, 4097, 4098}, {3}));
  CHECK(var(far, 0).item() == 1);
  CHECK(stddev(far, 0).item() == 1);
}

TEST_CASE("reductions: values and shapes") {
  const Variable x(Tensor::from({1, 5, 2, 8, 3, 4}, {2, 3}));
  CHECK(sum(x).item() == 23);
  CHECK(mean(x).item() == doctest::Approx(23.0 / 6));
  CHECK(sum(x, 0).value().to_vector() == std::vector<real>{9, 8, 6});
  CHECK(mean(x, -2).value().to_vector() == std::vector<real>{4.5, 4, 3});
  CHECK(max(x, 1).value().to_vector() == std::vector<real>{5, 8});
  CHECK(to_string(sum(x, 1).shape()) == "[2]");
  CHECK(to_string(sum(x, 1, true).shape()) == "[2, 1]");
  CHECK(to_string(max(x, 0, true).shape()) == "[1, 3]");
  CHECK(sum(Variable(Tensor({0, 3}))).item() == 0);
  CHECK(sum(Variable(Tensor({0, 3})), 0).value().to_vector() == std::vector<real>{0, 0, 0});
}

TEST_CASE("max: on ties the gradient goes to the first") {
  const Variable x(Tensor::from({2, 2, 1, 2}, {4}), true);
  backward(max(x, 0));
  CHECK(x.grad().to_vector() == std::vector<real>{1, 0, 0, 0});
}

TEST_CASE("reductions refuse an axis that is not there and the mean of nothing") {
  const Variable x(Tensor({2, 3})), empty(Tensor({0, 3}));
  CHECK_THROWS_WITH_AS(sum(x, 2), doctest::Contains("sum"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(max(x, -3), doctest::Contains("max"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(sum(x, {1, -1}), "sum: axes must differ; got axis 1 twice",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(norm(x, 0, real(0.5)), "norm: p must be at least 1; got 0.5",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(var(Tensor({1, 3}), 0),
                       doctest::Contains("var: there must be more elements"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(argmax(empty, 0), "argmax: the axis must hold an element; got [0, 3]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(cumsum(x, 2), doctest::Contains("cumsum"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(mean(empty), "mean: there must be an element to average; got [0, 3]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(max(empty, 0), "max: the axis must hold an element; got [0, 3]",
                       std::invalid_argument);
}
