#pragma once
// check_op: what every function of autograd/functions.h must pass.

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

struct OpCaseOptions {
  double step = 1e-5;       ///< of the finite difference, double build
  double tolerance = 1e-6;  ///< double build
};

/// Double build: gradcheck of every element of every input. Float build: forward and backward run
/// and give finite numbers. Either build: running twice gives the same bits, and `function` is
/// noted as covered (a test compares the notes with autograd/functions.h).
///
/// And the gradient of the gradient, of a function that has one: with create_graph the gradients
/// are what they are without, and a random sum of them is checked as the result is, by every input
/// and by the gradient of the result. A function without is noted.
///
/// In the programs that test a device (SERENADE_TEST_DEVICE), inputs are moved there, and result
/// and gradients must be those of the CPU up to rounding instead.
void check_op(const std::string& function, const std::vector<Tensor>& inputs,
              const std::function<Variable(const std::vector<Variable>&)>& f,
              const OpCaseOptions& options = {});

/// A tensor of standard normal numbers from a fixed seed, for tests.
Tensor random_tensor(Shape shape, std::uint64_t seed = 0, real scale = 1);

/// The functions that check_op has been called with so far.
std::vector<std::string> covered_functions();

/// Those of them that have no gradient of their gradient.
std::vector<std::string> functions_of_first_order();

}  // namespace serenade
