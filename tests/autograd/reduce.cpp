#include <doctest/doctest.h>

#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
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

TEST_CASE("sum, mean and max: gradients along every axis, kept or not, and of all elements") {
  for (const Shape& shape : std::vector<Shape>{{1}, {5}, {3, 1}, {2, 3, 5}, {1, 4, 1, 3}}) {
    const Tensor x = random_tensor(shape, 1);
    const auto dims = static_cast<std::int64_t>(shape.size());
    for (std::int64_t axis = -dims; axis < dims; ++axis) {
      for (const bool keepdim : {false, true}) {
        check_op("sum", {x}, [=](const Inputs& in) { return sum(in[0], axis, keepdim); });
        check_op("mean", {x}, [=](const Inputs& in) { return mean(in[0], axis, keepdim); });
        check_op("max", {x}, [=](const Inputs& in) { return max(in[0], axis, keepdim); });
      }
    }
    check_op("sum", {x}, [](const Inputs& in) { return sum(in[0]); });
    check_op("mean", {x}, [](const Inputs& in) { return mean(in[0]); });
  }
  check_op("sum", {Tensor::scalar(3)}, [](const Inputs& in) { return sum(in[0]); });
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
  CHECK_THROWS_WITH_AS(mean(empty), "mean: there must be an element to average; got [0, 3]",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(max(empty, 0), "max: the axis must hold an element; got [0, 3]",
                       std::invalid_argument);
}
