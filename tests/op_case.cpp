#include "tests/op_case.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/gradcheck.h"
#include "tensor/random.h"

#ifdef SERENADE_EMULATED
#include "kernels/emulation/block.h"
#endif

namespace serenade {

namespace {

std::map<std::string, CheckedFunction>& checked() {
  static std::map<std::string, CheckedFunction> functions;
  return functions;
}

std::int64_t launches() {
#ifdef SERENADE_EMULATED
  return emulation::launch_count();
#else
  return 0;
#endif
}

using OpFunction = std::function<Variable(const std::vector<Variable>&)>;

// The gradients of sum(y * dy) by the inputs, where dy is the last of `in`.
std::vector<Variable> gradients_of(const OpFunction& f, const std::vector<Variable>& in,
                                   bool create_graph) {
  const std::vector<Variable> inputs(in.begin(), in.end() - 1);
  return grad(sum(f(inputs) * in.back()), inputs, {.create_graph = create_graph});
}

// A random sum of the gradients.
Variable sum_of_gradients(const OpFunction& f, const std::vector<Variable>& in) {
  Variable total = Tensor::scalar(0, in.back().device());
  std::uint64_t seed = 40;
  for (const Variable& gradient : gradients_of(f, in, true)) {
    if (!gradient.defined()) continue;
    total += sum(gradient * random_tensor(gradient.shape(), ++seed).to(gradient.device()));
  }
  return total;
}

// False for a function that has no gradient of its gradient, and says so.
bool has_second_order(const OpFunction& f, const std::vector<Variable>& in) {
  try {
    gradients_of(f, in, true);
    return true;
  } catch (const std::invalid_argument& error) {
    const std::string said = error.what();
    CHECK(said.rfind("grad: '", 0) == 0);
    CHECK(said.find("' has no gradient of its gradient (create_graph)") != std::string::npos);
    return false;
  }
}

struct Outcome {
  std::vector<real> y;
  std::vector<std::vector<real>> gradients;
  bool second_order = false;
  std::vector<std::vector<real>> second_gradients;  // of sum_of_gradients(), the last by dy
  DeviceWork device = DeviceWork::host;
  bool operator==(const Outcome&) const = default;
};

std::vector<std::vector<real>> numbers_of(const std::vector<Variable>& gradients) {
  std::vector<std::vector<real>> numbers;
  for (const Variable& gradient : gradients) {
    numbers.push_back(gradient.defined() ? gradient.value().to_vector() : std::vector<real>());
  }
  return numbers;
}

// Leaves NaN in freed memory of these sizes, which the next tensors of such sizes get: a gradient
// that is not written whole shows.
void spoil_free_memory(const std::vector<Variable>& like) {
  std::vector<Tensor> spoilt;
  for (const Variable& one : like) {
    for (int i = 0; i < 3; ++i) {
      spoilt.push_back(Tensor::full(one.shape(), std::nan(""), one.device()));
    }
  }
}

Outcome run(const std::vector<Tensor>& inputs, const OpFunction& f, Device device) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input.clone().to(device), true);
  const std::int64_t before = launches();
  const Variable y = f(variables);
  Outcome outcome;
  if (y.device() == Device::cuda) outcome.device = DeviceWork::no_kernel;
  if (launches() > before) outcome.device = DeviceWork::kernels;
  outcome.y = y.value().to_vector();
  if (!y.requires_grad()) return outcome;
  variables.emplace_back(random_tensor(y.shape(), 17).to(device), true);
  spoil_free_memory(variables);
  outcome.gradients = numbers_of(gradients_of(f, variables, false));
  outcome.second_order = has_second_order(f, variables);
  if (!outcome.second_order) return outcome;
  const Variable total = sum_of_gradients(f, variables);
  if (total.requires_grad()) outcome.second_gradients = numbers_of(grad(total, variables));
  return outcome;
}

#ifdef SERENADE_TEST_DEVICE
// Relative to the largest number of the array: a sum that cancels has no small error of its own.
// Gradients of gradients may cancel altogether: relative to `least` at least.
void check_close(const std::vector<real>& actual, const std::vector<real>& expected,
                 double tolerance, double least = 0) {
  REQUIRE(actual.size() == expected.size());
  double largest = least, error = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    error = std::max(error, std::abs(static_cast<double>(actual[i] - expected[i])));
  }
  CHECK(error <= tolerance * largest);
}

Outcome check_same_on_device(const std::vector<Tensor>& inputs, const OpFunction& f) {
  const Outcome cpu = run(inputs, f, Device::cpu);
  const Outcome device = run(inputs, f, Device::cuda);
  check_close(device.y, cpu.y, sizeof(real) == 8 ? 1e-12 : 1e-5);
  REQUIRE(device.gradients.size() == cpu.gradients.size());
  for (std::size_t i = 0; i < cpu.gradients.size(); ++i) {
    CAPTURE(i);
    check_close(device.gradients[i], cpu.gradients[i], sizeof(real) == 8 ? 1e-11 : 1e-4);
  }
  REQUIRE(device.second_gradients.size() == cpu.second_gradients.size());
  for (std::size_t i = 0; i < cpu.second_gradients.size(); ++i) {
    INFO("of the gradient, ", i);
    check_close(device.second_gradients[i], cpu.second_gradients[i],
                sizeof(real) == 8 ? 1e-10 : 1e-3, 1e-3);
  }
  return device;
}
#endif

bool all_finite(const std::vector<real>& values) {
  for (const real value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

std::vector<Tensor> with_direction(std::vector<Tensor> inputs, const OpFunction& f) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input, true);
  inputs.push_back(random_tensor(f(variables).shape(), 17));
  return inputs;
}

// The gradients are the same, whether they have gradients or not.
void check_same_with_graph(const std::vector<Tensor>& inputs, const OpFunction& f) {
  std::vector<Variable> in;
  for (const Tensor& input : with_direction(inputs, f)) in.emplace_back(input, true);
  const std::vector<Variable> plain = gradients_of(f, in, false),
                              recorded = gradients_of(f, in, true);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CAPTURE(i);
    REQUIRE(plain[i].defined() == recorded[i].defined());
    if (!plain[i].defined()) continue;
    const double tolerance = sizeof(real) == 8 ? 1e-10 : 1e-4;
    CHECK(all_close(recorded[i].value(), plain[i].value(), tolerance, tolerance));
  }
}

void check_gradients(const std::vector<Tensor>& inputs, const OpFunction& f,
                     const OpCaseOptions& options) {
  const GradcheckResult result =
      gradcheck(f, inputs, {.step = options.step, .tolerance = options.tolerance});
  INFO(result.message);
  CHECK(result.ok);
}

}  // namespace

void check_op(const std::string& function, const std::vector<Tensor>& inputs, const OpFunction& f,
              const OpCaseOptions& options, const char* file) {
  INFO("function ", function);
  CheckedFunction& note = checked()[function];
  note.files.insert(std::filesystem::path(file).filename().string());
  const auto see = [&](const Outcome& outcome) {
    note.has_gradient |= !outcome.gradients.empty();
    note.first_order |= !outcome.gradients.empty() && !outcome.second_order;
    note.device = std::max(note.device, outcome.device);
  };
#ifdef SERENADE_TEST_DEVICE
  see(check_same_on_device(inputs, f));
  return;
#endif
  const Outcome first = run(inputs, f, Device::cpu), second = run(inputs, f, Device::cpu);
  CHECK(first == second);
  CHECK(all_finite(first.y));
  for (const auto& gradient : first.gradients) CHECK(all_finite(gradient));
  for (const auto& gradient : first.second_gradients) CHECK(all_finite(gradient));
  see(first);
  if (first.second_order) check_same_with_graph(inputs, f);
  if (options.constant) CHECK(first.gradients.empty());
  if (sizeof(real) == 8 && !options.constant) {
    check_gradients(inputs, f, options);
    if (first.second_order) {
      INFO("of the gradient");
      check_gradients(with_direction(inputs, f),
                      [&](const std::vector<Variable>& in) { return sum_of_gradients(f, in); },
                      {.step = options.step, .tolerance = 10 * options.tolerance});
    }
  }
}

Tensor random_tensor(Shape shape, std::uint64_t seed, real scale) {
  Tensor tensor = Tensor::empty(std::move(shape));
  fill_normal_(tensor, 0, scale, {seed, Purpose::test, 1});
  return tensor;
}

const std::map<std::string, CheckedFunction>& checked_functions() { return checked(); }

}  // namespace serenade
