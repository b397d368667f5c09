#pragma once
// check_op: what every function of autograd/functions.h must pass.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

struct OpCaseOptions {
  double step = 1e-5;       ///< of the finite difference, double build
  double tolerance = 1e-6;  ///< double build
  bool constant = false;    ///< the result has no gradient, though the inputs change it
};

/// Double build: gradcheck of every element of every input. Float build: forward and backward run
/// and give finite numbers. Either build: running twice gives the same bits, and `function` is
/// noted as covered, with the file that calls (a test compares the notes with
/// autograd/functions.h and autograd/functions.md).
///
/// And the gradient of the gradient, of a function that has one: with create_graph the gradients
/// are what they are without, and a random sum of them is checked as the result is, by every input
/// and by the gradient of the result. A function without is noted.
///
/// In the programs that test a device (SERENADE_TEST_DEVICE), inputs are moved there, and result
/// and gradients must be those of the CPU up to rounding instead.
void check_op(const std::string& function, const std::vector<Tensor>& inputs,
              const std::function<Variable(const std::vector<Variable>&)>& f,
              const OpCaseOptions& options = {}, const char* file = __builtin_FILE());

/// A tensor of standard normal numbers from a fixed seed, for tests.
Tensor random_tensor(Shape shape, std::uint64_t seed = 0, real scale = 1);

/// What ran where a function was called with inputs on a device.
enum class DeviceWork {
  host,       ///< nothing: the result lies in host memory
  no_kernel,  ///< the result is there, of memory that it shares
  kernels     ///< kernels were launched; counted under the emulation
};

/// What check_op has seen of a function so far.
struct CheckedFunction {
  std::set<std::string> files;  ///< names of the test's sources
  bool has_gradient = false;
  bool first_order = false;  ///< the gradient has no gradient
  DeviceWork device = DeviceWork::host;
};
const std::map<std::string, CheckedFunction>& checked_functions();

}  // namespace serenade
