#include <doctest/doctest.h>

#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

Variable linear_with_bias(const Inputs& in) { return linear(in[0], in[1], in[2]); }

}  // namespace

TEST_CASE("matmul: gradients for matrices, batches, thin sizes and one matrix used twice") {
  const auto product = [](const Inputs& in) { return matmul(in[0], in[1]); };
  const std::vector<std::pair<Shape, Shape>> shapes = {{{3, 5}, {5, 2}},
                                                       {{1, 4}, {4, 3}},
                                                       {{3, 4}, {4, 1}},
                                                       {{1, 1}, {1, 1}},
                                                       {{2, 3, 2}, {2, 2, 4}},
                                                       {{2, 1, 3, 2}, {2, 1, 2, 3}},
                                                       {{4}, {4}},
                                                       {{4}, {4, 3}},
                                                       {{2, 4}, {4}},
                                                       {{1}, {2, 1, 3}},
                                                       {{2, 3, 4}, {4}},
                                                       {{2, 3, 4}, {4, 2}},
                                                       {{3, 4}, {2, 4, 2}},
                                                       {{2, 1, 3, 2}, {3, 2, 2}},
                                                       {{1, 2, 2}, {3, 2, 1}}};
  for (const auto& [a, b] : shapes) {
    check_op("matmul", {random_tensor(a, 1), random_tensor(b, 2)}, product);
  }
  check_op("matmul", {random_tensor({3, 3}, 3)},
           [](const Inputs& in) { return matmul(in[0], in[0]); });
}

TEST_CASE("matmul: values") {
  const Variable a(Tensor::from({1, 2, 3, 4}, {2, 2})), b(Tensor::from({5, 6, 7, 8}, {2, 2}));
  CHECK(matmul(a, b).value().to_vector() == std::vector<real>{19, 22, 43, 50});
  const Variable no_columns(Tensor({2, 0})), no_rows(Tensor({0, 3}));
  CHECK(matmul(no_columns, no_rows).value().to_vector() == std::vector<real>(6, 0));
}

TEST_CASE("bmm, outer: gradients") {
  check_op("bmm", {random_tensor({2, 3, 4}, 1), random_tensor({2, 4, 1}, 2)},
           [](const Inputs& in) { return bmm(in[0], in[1]); });
  check_op("outer", {random_tensor({3}, 1), random_tensor({4}, 2)},
           [](const Inputs& in) { return outer(in[0], in[1]); });
}

TEST_CASE("products: golden values") {
  for (const char* which :
       {"vectors", "row", "column", "row_batch", "one_right", "one_left", "both"}) {
    check_golden_op(
        "matmul", "products", {"a", "b"}, [](const Inputs& in) { return matmul(in[0], in[1]); },
        which);
  }
  check_golden_op(
      "bmm", "products", {"a", "b"}, [](const Inputs& in) { return bmm(in[0], in[1]); }, "bmm");
  check_golden_op(
      "outer", "products", {"a", "b"}, [](const Inputs& in) { return outer(in[0], in[1]); },
      "outer");
}

TEST_CASE("matmul: an empty batch, and a batch of one beside a batch of none") {
  CHECK(matmul(Tensor({0, 2, 3}), Tensor({3, 4})).shape() == Shape{0, 2, 4});
  CHECK(matmul(Tensor({1, 2, 3}), Tensor({0, 3, 4})).shape() == Shape{0, 2, 4});
  CHECK(matmul(Tensor({3, 0}), Tensor({0})).value().to_vector() == std::vector<real>(3, 0));
}

TEST_CASE("products refuse what does not fit") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), message, std::invalid_argument);
  };
  refused("matmul: must be [.., M, K] and [.., K, N], or a vector [K]; got [2, 3] and [2, 3]", [] {
    matmul(Tensor({2, 3}), Tensor({2, 3}));
  });
  refused("matmul: must be [.., M, K] and [.., K, N], or a vector [K]; got [3] and [2]",
          [] { matmul(Tensor({3}), Tensor({2})); });
  refused("matmul: must be [.., M, K] and [.., K, N], or a vector [K]; got [] and [1]",
          [] { matmul(Tensor(Shape{}), Tensor({1})); });
  refused("matmul: leading axes must broadcast; got [2, 2, 3] and [3, 3, 2]", [] {
    matmul(Tensor({2, 2, 3}), Tensor({3, 3, 2}));
  });
  refused("bmm: must be [B, M, K] and [B, K, N]; got [1, 2, 3] and [2, 3, 2]", [] {
    bmm(Tensor({1, 2, 3}), Tensor({2, 3, 2}));
  });
  refused("outer: must be two vectors; got [2, 1] and [2]", [] {
    outer(Tensor({2, 1}), Tensor({2}));
  });
}

TEST_CASE("linear: gradients with and without bias, for one vector, a batch and a sequence") {
  for (const Shape& leading : std::vector<Shape>{{}, {1}, {5}, {2, 3}}) {
    Shape shape = leading;
    shape.push_back(4);
    const Tensor x = random_tensor(shape, 1), weight = random_tensor({3, 4}, 2);
    check_op("linear", {x, weight, random_tensor({3}, 3)}, linear_with_bias);
    check_op("linear", {x, weight}, [](const Inputs& in) { return linear(in[0], in[1]); });
  }
  check_op("linear", {random_tensor({2, 1}), random_tensor({1, 1}), random_tensor({1})},
           linear_with_bias);
}

TEST_CASE("linear: golden values") {
  check_golden_op("linear", "linear", {"x", "weight", "bias"}, linear_with_bias);
  check_golden_op("linear", "linear_3d", {"x", "weight", "bias"}, linear_with_bias);
}

TEST_CASE("linear: an input that wants no gradient costs none and gets none") {
  const Variable x(random_tensor({2, 3})), weight(random_tensor({4, 3}), true);
  backward(sum(linear(x, weight)));
  CHECK_FALSE(x.grad().defined());
  CHECK(to_string(weight.grad().shape()) == "[4, 3]");
}

TEST_CASE("linear refuses what does not fit") {
  const Variable x(Tensor({2, 3})), weight(Tensor({4, 5}));
  CHECK_THROWS_WITH_AS(linear(x, weight), doctest::Contains("got input [2, 3], weight [4, 5]"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(linear(Variable(Tensor({2, 5})), weight, Variable(Tensor({5}))),
                       doctest::Contains("linear: the bias must have one element per row"),
                       std::invalid_argument);
}
