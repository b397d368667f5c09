// Golden values of what has no file of its own, and functions without a gradient: masks and places.

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "autograd/functions.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

using Inputs = std::vector<Variable>;

struct Case {
  std::string function;
  std::vector<std::string> inputs;
  std::function<Variable(const Inputs&)> f;
};

#define CALL(call) []([[maybe_unused]] const Inputs& in) -> Variable { return call; }

Variable as_numbers(const Indices& indices) {
  Tensor numbers = Tensor::empty({static_cast<std::int64_t>(indices.size())});
  for (std::size_t i = 0; i < indices.size(); ++i)
    numbers.data()[i] = static_cast<real>(indices[i]);
  return numbers;
}

Variable branches(const Inputs& in) {
  return conv2d_relu_maxpool_branches(in[0], {{in[1], in[2]}, {in[3], in[4]}}, {2, 1});
}

Variable coefficients(const Inputs& in) {
  return routing_coefficients(in[0].value(), in[1].value(), {.iterations = 2});
}

const std::vector<Case> kDifferentiable = {
    {"add", {"a", "b"}, CALL(add(in[0], in[1]))},
    {"sub", {"a", "b"}, CALL(sub(in[0], in[1]))},
    {"mul", {"a", "b"}, CALL(mul(in[0], in[1]))},
    {"div", {"a", "b"}, CALL(div(in[0], in[1]))},
    {"neg", {"x"}, CALL(neg(in[0]))},
    {"affine", {"x"}, CALL(affine(in[0], real(-1.5), 2))},
    {"exp", {"x"}, CALL(exp(in[0]))},
    {"log", {"x"}, CALL(log(in[0]))},
    {"sigmoid", {"x"}, CALL(sigmoid(in[0]))},
    {"tanh", {"x"}, CALL(tanh(in[0]))},
    {"reshape", {"x"}, CALL(reshape(in[0], {4, -1}))},
    {"flatten", {"x"}, CALL(flatten(in[0], 1))},
    {"permute", {"x"}, CALL(permute(in[0], {2, 0, 1}))},
    {"transpose", {"x"}, CALL(transpose(in[0], 0, 2))},
    {"slice", {"x"}, CALL(slice(in[0], 2, 1, 2))},
    {"pad", {"x"}, CALL(pad(in[0], 1, 1, 2))},
    {"margin_loss", {"norms"}, CALL(margin_loss(in[0], {2, 0, 1, 3, 2}))},
    {"capsule_votes", {"u", "weight"}, CALL(capsule_votes(in[0], in[1]))},
    {"conv2d_relu_maxpool_branches", {"x", "weight_0", "bias_0", "weight_1", "bias_1"}, branches}};

// Steps: small changes of the inputs change nothing.
const std::vector<Case> kSteps = {{"lt", {"a", "b"}, CALL(lt(in[0], in[1]))},
                                  {"le", {"a", "b"}, CALL(le(in[0], in[1]))},
                                  {"gt", {"a", "b"}, CALL(gt(in[0], in[1]))},
                                  {"ge", {"a", "b"}, CALL(ge(in[0], in[1]))},
                                  {"eq", {"a", "b"}, CALL(eq(in[0], in[1]))},
                                  {"ne", {"a", "b"}, CALL(ne(in[0], in[1]))},
                                  {"argmax", {"x"}, CALL(as_numbers(argmax(in[0], 1)))},
                                  {"one_hot", {}, CALL(one_hot({2, 0, 3}, 4))},
                                  {"tril_mask", {}, CALL(tril_mask(3, 4, 1))},
                                  {"triu_mask", {}, CALL(triu_mask(3, 4, 1))}};

#undef CALL

}  // namespace

TEST_CASE("golden values of arithmetic, of what moves elements, of votes and branches") {
  for (const Case& one : kDifferentiable) {
    check_golden_op(one.function, "basics", one.inputs, one.f, one.function);
  }
}

TEST_CASE("masks and places: golden values, and no gradient") {
  for (const Case& one : kSteps) {
    check_golden_op(one.function, "basics", one.inputs, one.f, one.function);
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < one.inputs.size(); ++i) {
      inputs.push_back(random_tensor({2, 3, 4}, i));
    }
    check_op(one.function, inputs, one.f);
  }
}

TEST_CASE("routing coefficients, unused taps: constants of their inputs") {
  check_golden_op("routing_coefficients", "basics", {"u_hat", "bias"}, coefficients,
                  "routing_coefficients");
  check_op("routing_coefficients", {random_tensor({2, 5, 3, 4}, 1), random_tensor({3, 4}, 2)},
           coefficients, {.constant = true});
  check_op("unused_taps", {random_tensor({1, 1, 2, 3}, 1), random_tensor({1, 1, 3, 2}, 2)},
           [](const Inputs& in) {
             return Tensor::scalar(static_cast<real>(unused_taps({in[0], in[1]})));
           });
}
