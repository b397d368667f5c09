// scaled_dot_product_attention: gradients, PyTorch's values, and the formula written out.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

// The matrix of all queries by all keys, kept.
Variable written_out(const Variable& q, const Variable& k, const Variable& v, const Tensor& added,
                     double scale) {
  Variable scores = matmul(q, transpose(k, -2, -1)) * static_cast<real>(scale);
  if (added.defined()) scores = scores + Variable(added);
  return matmul(softmax(scores, -1), v);
}

Tensor some_hidden(Shape shape, std::uint64_t seed) {
  Tensor mask = random_tensor(std::move(shape), seed);
  const std::int64_t columns = mask.size(-1);
  for (std::int64_t i = 0; i < mask.numel(); ++i) {
    mask.data()[i] = mask.data()[i] > 0 || i % columns == 1 ? real(1) : real(0);
  }
  return mask;
}

}  // namespace

TEST_CASE("scaled_dot_product_attention: gradients, masks of every kind") {
  const Tensor q = random_tensor({2, 3, 5, 4}, 1), k = random_tensor({2, 3, 6, 4}, 2),
               v = random_tensor({2, 3, 6, 3}, 3);
  const auto attention = [](DotProductAttentionOptions options) {
    return [options](const Inputs& in) mutable {
      for (Tensor* x : {&options.mask, &options.bias}) {
        if (x->defined()) *x = x->to(in[0].device());
      }
      return scaled_dot_product_attention(in[0], in[1], in[2], options);
    };
  };
  const char* name = "scaled_dot_product_attention";
  check_op(name, {q, k, v}, attention({}));
  check_op(name, {q, k, v}, attention({.causal = true, .scale = 0.3}));
  for (const Shape& shape : std::vector<Shape>{
           {5, 6}, {6}, {2, 1, 1, 6}, {2, 3, 5, 6}, {3, 1, 6}, {2, 1, 5, 6}, {3, 5, 6}}) {
    check_op(name, {q, k, v}, attention({.mask = some_hidden(shape, 4)}));
    check_op(name, {q, k, v}, attention({.bias = random_tensor(shape, 5), .causal = true}));
  }
  check_op(name, {q, k, v},
           attention({.mask = some_hidden({2, 1, 1, 6}, 6), .bias = random_tensor({5, 1}, 7)}));
  // Without leading axes; with more than two of them; one query, one key.
  check_op(name, {random_tensor({3, 2}, 1), random_tensor({4, 2}, 2), random_tensor({4, 5}, 3)},
           attention({.mask = some_hidden({3, 4}, 8)}));
  const Shape deep = {2, 1, 2, 3, 2};
  check_op(name, {random_tensor(deep, 1), random_tensor(deep, 2), random_tensor(deep, 3)},
           attention({.mask = some_hidden({1, 2, 3, 3}, 9)}));
  check_op(name, {random_tensor({1, 1}, 1), random_tensor({1, 1}, 2), random_tensor({1, 1}, 3)},
           attention({}));
}

TEST_CASE("scaled_dot_product_attention: is the formula, beyond a tile and with shared rows") {
  const std::int64_t L = 70, S = 300;  // a tile is 64 by 256
  const Variable q(random_tensor({2, L, 8}, 1), true), k(random_tensor({2, S, 8}, 2), true),
      v(random_tensor({2, S, 5}, 3), true);
  const Tensor bias = random_tensor({L, S}, 4, 3);
  Tensor added = bias.clone();
  for (std::int64_t i = 0; i < L; ++i) {
    for (std::int64_t j = i + 1; j < S; ++j) {
      added.data()[i * S + j] = -std::numeric_limits<real>::infinity();
    }
  }
  const Variable weights(random_tensor({2, L, 5}, 5));
  for (const bool causal : {false, true}) {
    const Variable y =
        scaled_dot_product_attention(q, k, v, {.bias = bias, .causal = causal, .scale = 0.5});
    const Variable expected = written_out(q, k, v, causal ? added : bias, 0.5);
    check_close(y.value(), expected.value(), "result");
    const std::vector<Variable> actual = grad(sum(y * weights), {q, k, v});
    const std::vector<Variable> wanted = grad(sum(expected * weights), {q, k, v});
    for (std::size_t i = 0; i < actual.size(); ++i) {
      check_close(actual[i].value(), wanted[i].value(), "gradient");
    }
  }
}

TEST_CASE("scaled_dot_product_attention: PyTorch's values") {
  const Golden file = golden("attention_products");
  const auto same = [&](const char* which, DotProductAttentionOptions options) {
    check_golden_op(
        "scaled_dot_product_attention", "attention_products", {"q", "k", "v"},
        [&](const Inputs& in) {
          return scaled_dot_product_attention(in[0], in[1], in[2], options);
        },
        which);
  };
  same("plain", {});
  same("causal", {.causal = true});
  same("mask", {.mask = file.tensor("mask")});
  same("bias", {.bias = file.tensor("bias"), .scale = 0.7});
}

TEST_CASE("scaled_dot_product_attention: what sees nothing is zero, large scores and NaN") {
  const Variable q(random_tensor({3, 2}, 1), true), k(random_tensor({4, 2}, 2), true),
      v(random_tensor({4, 2}, 3), true);
  Tensor mask = Tensor::ones({3, 4});
  for (std::int64_t j = 0; j < 4; ++j) mask.data()[4 + j] = 0;
  const Variable y = scaled_dot_product_attention(q, k, v, {.mask = mask});
  CHECK(y.value().at({1, 0}) == 0);
  CHECK(y.value().at({0, 0}) != 0);
  backward(sum(y));
  CHECK(q.grad().at({1, 0}) == 0);
  for (const Variable& x : {q, k, v}) {
    for (const real g : x.grad().to_vector()) CHECK(std::isfinite(g));
  }
  CHECK(scaled_dot_product_attention(q, Tensor({0, 2}), Tensor({0, 5})).value().to_vector() ==
        std::vector<real>(15, 0));
  // One score far above the others is a probability of 1, without an overflow.
  const Variable large = scaled_dot_product_attention(
      Tensor::full({1, 1}, 1e4), Tensor::from({1, -1}, {2, 1}), Tensor::from({3, 7}, {2, 1}));
  CHECK(large.value().item() == real(3));
  Tensor bad = random_tensor({3, 2}, 1);
  bad.data()[2] = std::numeric_limits<real>::quiet_NaN();
  const Tensor result = scaled_dot_product_attention(bad, k, v).value();
  CHECK(std::isfinite(result.at({0, 0})));
  CHECK(std::isnan(result.at({1, 0})));
}

TEST_CASE("scaled_dot_product_attention refuses what does not fit") {
  const auto refused = [](const char* message, const Shape& q, const Shape& k, const Shape& v,
                          const DotProductAttentionOptions& options = {}) {
    CHECK_THROWS_WITH_AS(scaled_dot_product_attention(Tensor(q), Tensor(k), Tensor(v), options),
                         message, std::invalid_argument);
  };
  refused(
      "scaled_dot_product_attention: must be [.., L, E], [.., S, E] and [.., S, V] with E > 0; "
      "got [2, 3, 4], [2, 5, 3] and [2, 5, 4]",
      {2, 3, 4}, {2, 5, 3}, {2, 5, 4});
  refused(
      "scaled_dot_product_attention: query, key and value must have at least two axes; got [3],"
      " [3] and [3]",
      {3}, {3}, {3});
  refused("scaled_dot_product_attention: mask and bias must broadcast to [3, 5]; got [2, 5]",
          {3, 4}, {5, 4}, {5, 4}, {.mask = Tensor({2, 5})});
}
