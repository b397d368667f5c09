// Elements chosen by number, and functions that repeat, cut or turn round.

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;
using Values = std::vector<real>;

Indices as_indices(const Tensor& tensor) {
  Indices indices;
  for (const real value : tensor.to_vector()) indices.push_back(std::llround(value));
  return indices;
}

}  // namespace

TEST_CASE("choosing by number: gradients along every axis, elements named twice or never") {
  for (const Shape& shape : std::vector<Shape>{{4}, {4, 3}, {3, 4, 2}, {2, 1, 3, 4}, {5, 70}}) {
    const Tensor x = random_tensor(shape, 1);
    for (std::int64_t axis = -x.dim(); axis < x.dim(); ++axis) {
      const std::int64_t last = x.size(axis) - 1;
      for (const Indices& chosen : {Indices{0, last, 0, last / 2, 0}, Indices{last}, Indices{}}) {
        check_op("index_select", {x},
                 [&](const Inputs& in) { return index_select(in[0], axis, chosen); });
      }
      Shape picked = shape;
      const auto at = static_cast<std::size_t>(axis < 0 ? axis + x.dim() : axis);
      picked[at] = 3;
      Indices indices;
      for (std::int64_t i = 0; i < element_count(picked); ++i)
        indices.push_back(i * i % (last + 1));
      check_op("gather", {x},
               [&](const Inputs& in) { return gather(in[0], axis, indices, picked); });
      check_op("scatter_add", {x, random_tensor(picked, 2)},
               [&](const Inputs& in) { return scatter_add(in[0], axis, indices, in[1]); });
      check_op("topk", {x}, [&](const Inputs& in) {
        return topk(in[0], std::min<std::int64_t>(2, last + 1), axis).values;
      });
      check_op("flip", {x}, [&](const Inputs& in) { return flip(in[0], axis); });
      check_op("stack", {x, x}, [&](const Inputs& in) { return stack({in[0], in[1]}, axis); });
      check_op("split", {x}, [&](const Inputs& in) { return split(in[0], 2, axis).back(); });
      check_op("chunk", {x}, [&](const Inputs& in) { return chunk(in[0], 2, axis).front(); });
    }
    std::vector<std::int64_t> counts(shape.size() + 1, 2);
    counts.back() = 3;
    check_op("repeat", {x}, [&](const Inputs& in) { return repeat(in[0], counts); });
  }
  check_op("expand", {random_tensor({3, 1, 2}, 1)}, [](const Inputs& in) {
    return expand(in[0], {2, 3, 4, 2});
  });
  check_op("expand", {Tensor::scalar(2)}, [](const Inputs& in) { return expand(in[0], {2, 3}); });
}

TEST_CASE("choosing by number: golden values") {
  const Indices columns = as_indices(golden("indexing").tensor("columns"));
  const auto same = [](const char* which, const std::vector<std::string>& inputs, auto f) {
    check_golden_op(which, "indexing", inputs, f, which);
  };
  same("index_select", {"x"}, [](const Inputs& in) {
    return index_select(in[0], 1, {2, 0, 2, 3, 2});
  });
  same("gather", {"x"}, [&](const Inputs& in) { return gather(in[0], 1, columns, {3, 5, 2}); });
  same("scatter_add", {"x", "source"},
       [&](const Inputs& in) { return scatter_add(in[0], 1, columns, in[1]); });
  same("flip", {"x"}, [](const Inputs& in) { return flip(in[0], {0, 2}); });
  same("topk", {"x"}, [](const Inputs& in) { return topk(in[0], 2, 1).values; });
  same("stack", {"a", "b"}, [](const Inputs& in) { return stack(in, 1); });
  same("split", {"x"}, [](const Inputs& in) { return split(in[0], 3, 1)[1]; });
  same("chunk", {"x"}, [](const Inputs& in) { return chunk(in[0], 3, 1)[0]; });
  same("expand", {"x"}, [](const Inputs& in) { return expand(in[0], {5, 3, 4, 2}); });
  same("repeat", {"x"}, [](const Inputs& in) { return repeat(in[0], {2, 1, 3, 2}); });
}

TEST_CASE("choosing by number: values, numbers of pieces, ties") {
  const Variable x(Tensor::from({1, 5, 5, 8, 3, 4}, {2, 3}));
  CHECK(index_select(x, 0, {1, 1}).value().to_vector() == Values{8, 3, 4, 8, 3, 4});
  const TopK best = topk(x, 2);
  CHECK(best.indices == Indices{1, 2, 0, 2});
  CHECK(best.values.value().to_vector() == Values{5, 5, 8, 4});
  CHECK(topk(Tensor::from({1, NAN, 2}, {3}), 1).indices == Indices{1});
  CHECK(split(x, 2, 1).size() == 2);
  CHECK(split(x, 100, 1).size() == 1);
  CHECK(chunk(x, 2, 1)[0].shape() == Shape{2, 2});
  CHECK(chunk(x, 5, 1).size() == 3);
  CHECK(flip(x, {0, 1}).value().to_vector() == Values{4, 3, 8, 5, 5, 1});
  CHECK(repeat(Tensor::from({1, 2}, {2}), {2, 2}).value().to_vector() ==
        Values{1, 2, 1, 2, 1, 2, 1, 2});
  CHECK(one_hot({2, 0}, 3).to_vector() == Values{0, 0, 1, 1, 0, 0});
  CHECK(tril_mask(2, 3).to_vector() == Values{1, 0, 0, 1, 1, 0});
  CHECK(triu_mask(2, 3, 1).to_vector() == Values{0, 1, 1, 0, 0, 1});
}

TEST_CASE("choosing by number refuses what is not there") {
  const Variable x(Tensor({2, 3}));
  CHECK_THROWS_WITH_AS(index_select(x, 1, {3}), "index_select: indices must be in 0 .. 2; got 3",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(index_select(x, 2, {0}), doctest::Contains("index_select"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(gather(x, 1, {0, -1}, {2, 1}), "gather: indices must be in 0 .. 2; got -1",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(gather(x, 1, {0}, {2, 1}),
                       "gather: there must be one index for each element of [2, 1]; got 1",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(gather(x, 1, {0}, {1, 1}), doctest::Contains("same but for axis 1"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(scatter_add(x, 0, {0}, Tensor({1})),
                       doctest::Contains("scatter_add: shapes"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(topk(x, 4), "topk: k must be in 0 .. 3, the size of axis 1; got 4",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(one_hot({3}, 3), doctest::Contains("one_hot"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(tril_mask(-1, 2), doctest::Contains("tril_mask"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(stack({x, Tensor({3})}), doctest::Contains("stack: parts"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(split(x, 0), doctest::Contains("split"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(chunk(x, 0), doctest::Contains("chunk"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(repeat(x, {2}), doctest::Contains("repeat: a count for each axis"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(repeat(x, {2, -1}), doctest::Contains("repeat: counts"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(expand(x, {2, 4}), doctest::Contains("expand"), std::invalid_argument);
}
