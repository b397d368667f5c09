#include "tests/op_case.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "tensor/random.h"

namespace serenade {

namespace {

std::set<std::string>& covered() {
  static std::set<std::string> names;
  return names;
}

struct Outcome {
  std::vector<real> y;
  std::vector<std::vector<real>> gradients;
  bool operator==(const Outcome&) const = default;
};

Outcome run(const std::vector<Tensor>& inputs,
            const std::function<Variable(const std::vector<Variable>&)>& f) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input.clone(), true);
  const Variable y = f(variables);
  Outcome outcome{y.value().to_vector(), {}};
  if (!y.requires_grad()) return outcome;
  Tensor direction = random_tensor(y.shape(), 17);
  for (const Tensor& gradient : grad(sum(mul(y, Variable(direction))), variables)) {
    outcome.gradients.push_back(gradient.defined() ? gradient.to_vector() : std::vector<real>());
  }
  return outcome;
}

bool all_finite(const std::vector<real>& values) {
  for (const real value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

}  // namespace

void check_op(const std::string& function, const std::vector<Tensor>& inputs,
              const std::function<Variable(const std::vector<Variable>&)>& f,
              const OpCaseOptions& options) {
  INFO("function ", function);
  covered().insert(function);
  const Outcome first = run(inputs, f), second = run(inputs, f);
  CHECK(first == second);
  CHECK(all_finite(first.y));
  for (const auto& gradient : first.gradients) CHECK(all_finite(gradient));
  if (sizeof(real) == 8) {
    const GradcheckResult result =
        gradcheck(f, inputs, {.step = options.step, .tolerance = options.tolerance});
    INFO(result.message);
    CHECK(result.ok);
  }
}

Tensor random_tensor(Shape shape, std::uint64_t seed, real scale) {
  Tensor tensor = Tensor::empty(std::move(shape));
  fill_normal_(tensor, 0, scale, {seed, Purpose::test, 1});
  return tensor;
}

std::vector<std::string> covered_functions() { return {covered().begin(), covered().end()}; }

}  // namespace serenade
