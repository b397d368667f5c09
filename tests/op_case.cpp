#include "tests/op_case.h"

#include <doctest/doctest.h>

#include <algorithm>
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
            const std::function<Variable(const std::vector<Variable>&)>& f, Device device) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input.clone().to(device), true);
  const Variable y = f(variables);
  Outcome outcome{y.value().to_vector(), {}};
  if (!y.requires_grad()) return outcome;
  const Tensor direction = random_tensor(y.shape(), 17).to(device);
  for (const Tensor& gradient : grad(sum(mul(y, Variable(direction))), variables)) {
    outcome.gradients.push_back(gradient.defined() ? gradient.to_vector() : std::vector<real>());
  }
  return outcome;
}

#ifdef SERENADE_TEST_DEVICE
// Relative to the largest number of the array: a sum that cancels has no small error of its own.
void check_close(const std::vector<real>& actual, const std::vector<real>& expected,
                 double tolerance) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0, error = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    error = std::max(error, std::abs(static_cast<double>(actual[i] - expected[i])));
  }
  CHECK(error <= tolerance * largest);
}

void check_same_on_device(const std::vector<Tensor>& inputs,
                          const std::function<Variable(const std::vector<Variable>&)>& f) {
  const Outcome cpu = run(inputs, f, Device::cpu), device = run(inputs, f, Device::cuda);
  check_close(device.y, cpu.y, sizeof(real) == 8 ? 1e-12 : 1e-5);
  REQUIRE(device.gradients.size() == cpu.gradients.size());
  for (std::size_t i = 0; i < cpu.gradients.size(); ++i) {
    CAPTURE(i);
    check_close(device.gradients[i], cpu.gradients[i], sizeof(real) == 8 ? 1e-11 : 1e-4);
  }
}
#endif

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
#ifdef SERENADE_TEST_DEVICE
  check_same_on_device(inputs, f);
  return;
#endif
  const Outcome first = run(inputs, f, Device::cpu), second = run(inputs, f, Device::cpu);
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
