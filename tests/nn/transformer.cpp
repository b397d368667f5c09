// Attention of several heads, a transformer's layer: parameters, PyTorch's numbers, who sees whom.

#include "nn/transformer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "autograd/engine.h"
#include "autograd/gradcheck.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : module.named_parameters()) names.push_back(name);
  return names;
}

// Values that are not those that training begins with: a bias of zero hides errors.
void randomise(const Module& module) {
  std::uint64_t seed = 50;
  for (Variable v : module.parameters()) {
    v.value().copy_(random_tensor(v.shape(), seed++, real(0.5)));
  }
}

template <class Forward>
void check_gradients(const Module& module, const Forward& forward, std::vector<Variable> inputs) {
  for (const Variable& v : module.parameters()) inputs.push_back(v);
  if (sizeof(real) == 8) {
    const GradcheckResult result = gradcheck(forward, inputs);
    CHECK_MESSAGE(result.ok, result.message);
  } else {
    backward(sum(forward()));
    for (const Variable& v : inputs) CHECK(v.grad().defined());
  }
}

Variable steps(std::int64_t N, std::int64_t T, std::int64_t D, std::uint64_t seed) {
  return Variable(random_tensor({N, T, D}, seed), true);
}

}  // namespace

TEST_CASE("transformer: a layer gives PyTorch's values and gradients") {
  const Golden file = golden("transformer_layers");
  for (const std::string which : {"post", "pre"}) {
    CAPTURE(which);
    const bool first = which == "pre";
    TransformerEncoderLayer layer(
        {.d_model = 4,
         .nhead = 2,
         .dim_feedforward = 5,
         .dropout = 0,
         .activation = first ? TransformerActivation::gelu : TransformerActivation::relu,
         .norm_first = first});
    for (const auto& [name, parameter] : layer.named_parameters()) {
      Variable(parameter).value().copy_(file.tensor(which + "." + name));
    }
    const Variable x(file.tensor(which + ".x").clone(), true);
    const Variable y = layer.forward(x, {.causal = first});
    check_close(y.value(), file.tensor(which + ".y"), "y");
    backward(sum(mul(y, Variable(file.tensor(which + ".dy")))));
    check_close(x.grad(), file.tensor(which + ".d_x"), "d_x");
    for (const auto& [name, parameter] : layer.named_parameters()) {
      check_close(parameter.grad(), file.tensor(which + ".d_" + name), name);
    }
  }
}

TEST_CASE("transformer: parameters have PyTorch's names, and gradients") {
  TransformerEncoderLayer layer({.d_model = 4, .nhead = 2, .dim_feedforward = 3, .dropout = 0});
  CHECK(names_of(layer) ==
        std::vector<std::string>{"self_attn.in_proj_weight", "self_attn.in_proj_bias",
                                 "self_attn.out_proj.weight", "self_attn.out_proj.bias",
                                 "linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias",
                                 "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"});
  CHECK(layer.self_attn.in_proj_weight.shape() == Shape{12, 4});
  randomise(layer);
  const Variable x = steps(2, 3, 4, 1);
  check_gradients(layer, [&] { return layer.forward(x, {.lengths = {3, 2}}); }, {x});

  MultiheadAttention plain({.embed_dim = 4, .num_heads = 2, .bias = false});
  CHECK(names_of(plain) == std::vector<std::string>{"in_proj_weight", "out_proj.weight"});
  randomise(plain);
  const Variable q = steps(2, 3, 4, 2), k = steps(2, 5, 4, 3), v = steps(2, 5, 4, 4);
  check_gradients(plain, [&] { return plain.forward(q, k, v, {.causal = true}); }, {q, k, v});
}

TEST_CASE("transformer: attention to oneself is attention of three times the same") {
  MultiheadAttention layer({.embed_dim = 6, .num_heads = 3});
  randomise(layer);
  const Variable x = steps(2, 4, 6, 1);
  check_close(layer.forward(x).value(), layer.forward(x, x, x).value(), "result");
}

TEST_CASE("transformer: steps beyond a length and later steps change nothing") {
  TransformerEncoderLayer layer({.d_model = 4, .nhead = 2, .dim_feedforward = 3});
  layer.eval();
  const Variable x = steps(2, 5, 4, 1);
  Tensor changed = x.value().clone();
  for (std::int64_t d = 0; d < 4; ++d)
    changed.data()[4 * 4 + d] += 1;  // the last step of the first
  const auto first_steps = [](const Variable& y) {
    return slice(slice(y, 0, 0, 1), 1, 0, 4).value().to_vector();
  };
  for (const AttentionScope& scope :
       {AttentionScope{.causal = true}, AttentionScope{.lengths = {4, 5}}}) {
    CHECK(first_steps(layer.forward(x, scope)) == first_steps(layer.forward(changed, scope)));
  }
  CHECK(first_steps(layer.forward(x)) != first_steps(layer.forward(changed)));
}

TEST_CASE("transformer refuses what does not fit") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), doctest::Contains(message), std::invalid_argument);
  };
  refused("must be positive and divide embed_dim; got 3 and 4",
          [] { MultiheadAttention({.embed_dim = 4, .num_heads = 3}); });
  MultiheadAttention layer({.embed_dim = 4});
  refused("x must be [N, T, 4]; got [2, 3, 5]", [&] { layer.forward(Tensor({2, 3, 5})); });
  refused("lengths must be 1 .. 3; got 4", [&] {
    layer.forward(Tensor({1, 3, 4}), {.lengths = {4}});
  });
  refused("a length for each of 2 sequences; got 1", [&] {
    layer.forward(Tensor({2, 3, 4}), {.lengths = {1}});
  });
  refused("twice [N, S, 4]; got", [&] {
    layer.forward(Tensor({2, 3, 4}), Tensor({2, 5, 4}), Tensor({2, 6, 4}));
  });
}
