#include <doctest/doctest.h>

#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

// 0, 1, 2, .. in the given shape: an element's value tells where it came from.
Variable counting(const Shape& shape) {
  Tensor x = Tensor::empty(shape);
  for (std::int64_t i = 0; i < x.numel(); ++i) x.data()[i] = static_cast<real>(i);
  return Variable(x);
}

}  // namespace

TEST_CASE("reshape and flatten: gradients, values, shared storage") {
  const Tensor x = random_tensor({2, 3, 5}, 1);
  check_op("reshape", {x}, [](const Inputs& in) { return reshape(in[0], {5, -1}); });
  check_op("reshape", {Tensor::scalar(2)}, [](const Inputs& in) { return reshape(in[0], {1, 1}); });
  check_op("flatten", {x}, [](const Inputs& in) { return flatten(in[0]); });
  check_op("flatten", {x}, [](const Inputs& in) { return flatten(in[0], 1); });
  check_op("flatten", {x}, [](const Inputs& in) { return flatten(in[0], -3, -2); });
  const Variable y(x, true);
  CHECK(reshape(y, {30}).value().shares_storage_with(x));
  CHECK(to_string(flatten(y, 1, 2).shape()) == "[2, 15]");
  CHECK(to_string(flatten(Variable(Tensor::scalar(1))).shape()) == "[1]");
}

TEST_CASE("reshape: the gradient of a result is its own, not a window on its input's") {
  const Variable x(random_tensor({4}), true);
  const Variable y = reshape(x, {2, 2});
  const std::vector<Variable> found = grad(sum(y) + sum(mul(x, x)), {y, x});
  CHECK(found[0].value().to_vector() == std::vector<real>{1, 1, 1, 1});
}

TEST_CASE("permute, transpose and slice: gradients and values") {
  const Tensor x = random_tensor({2, 3, 1, 4}, 2);
  check_op("permute", {x}, [](const Inputs& in) { return permute(in[0], {3, 0, 2, 1}); });
  check_op("permute", {x}, [](const Inputs& in) { return permute(in[0], {0, 1, -2, -1}); });
  check_op("transpose", {x}, [](const Inputs& in) { return transpose(in[0], 1, -1); });
  check_op("transpose", {x}, [](const Inputs& in) { return transpose(in[0], 2, 2); });
  check_op("slice", {x}, [](const Inputs& in) { return slice(in[0], 1, 1, 2); });
  check_op("slice", {x}, [](const Inputs& in) { return slice(in[0], -1, 0, 1); });
  check_op("slice", {x}, [](const Inputs& in) {  // overlapping pieces of one input
    return add(slice(in[0], 3, 0, 3), slice(in[0], 3, 1, 3));
  });
  CHECK(transpose(counting({2, 3}), 0, 1).value().to_vector() ==
        std::vector<real>{0, 3, 1, 4, 2, 5});
  CHECK(permute(counting({1, 2, 3}), {2, 0, 1}).value().to_vector() ==
        std::vector<real>{0, 3, 1, 4, 2, 5});
  CHECK(slice(counting({2, 4}), 1, 1, 2).value().to_vector() == std::vector<real>{1, 2, 5, 6});
  CHECK_FALSE(slice(Variable(x), 0, 0, 1).value().shares_storage_with(x));
}

TEST_CASE("concat: gradients, values, golden") {
  const Tensor a = random_tensor({2, 1, 3}, 3), b = random_tensor({2, 4, 3}, 4);
  check_op("concat", {a, b, a}, [](const Inputs& in) { return concat(in, 1); });
  check_op("concat", {a}, [](const Inputs& in) { return concat({in[0], in[0]}, -1); });
  check_op("concat", {a, a}, [](const Inputs& in) { return concat(in, 0); });
  CHECK(concat({counting({2, 1}), counting({2, 2})}, 1).value().to_vector() ==
        std::vector<real>{0, 0, 1, 1, 2, 3});
  const Variable nothing(Tensor({2, 0}), true);
  const Variable y = concat({counting({2, 1}), nothing}, 1);
  CHECK(to_string(y.shape()) == "[2, 1]");
  backward(sum(y));
  CHECK(nothing.grad().numel() == 0);
  check_golden_op("concat", "concat", {"a", "b"}, [](const Inputs& in) { return concat(in, 1); });
}

TEST_CASE("pad: gradients and values") {
  const Tensor x = random_tensor({2, 3}, 5);
  check_op("pad", {x}, [](const Inputs& in) { return pad(in[0], 0, 1, 2); });
  check_op("pad", {x}, [](const Inputs& in) { return pad(in[0], -1, 0, 3); });
  check_op("pad", {x}, [](const Inputs& in) { return pad(in[0], 1, 0, 0); });
  CHECK(pad(counting({2, 2}), 1, 1, 0).value().to_vector() == std::vector<real>{0, 0, 1, 0, 2, 3});
}

TEST_CASE("shape functions say what they were given") {
  const Variable x(Tensor({2, 3}));
  CHECK_THROWS_WITH_AS(reshape(x, {4}), doctest::Contains("got [2, 3] to [4]"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(flatten(x, 1, 0), doctest::Contains("flatten: the first axis"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(permute(x, {0, 0}), doctest::Contains("permute: every axis"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(transpose(x, 0, 2), doctest::Contains("transpose"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(slice(x, 1, 2, 2), doctest::Contains("slice: 2 elements from 2"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(concat({}, 0), "concat: at least one part; got none", std::invalid_argument);
  CHECK_THROWS_WITH_AS(concat({x, Variable(Tensor({3, 3}))}, 1),
                       doctest::Contains("got [2, 3] and [3, 3]"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(pad(x, 0, -1, 0), doctest::Contains("pad: the numbers of zeros"),
                       std::invalid_argument);
}
