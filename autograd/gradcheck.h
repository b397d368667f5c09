#pragma once
// gradcheck: does a function's backward agree with finite differences?
//
// For outputs y = f(x_1 .. x_n) a fixed random direction dy turns y into one scalar sum(y * dy).
// The gradient that the engine finds is compared, for every element of every input, with the
// symmetric difference (f(x + h) - f(x - h)) / 2h. Meant for the double build: in float the
// difference itself is only good to about three digits, and the tolerance must say so.
//
//   const GradcheckResult result = gradcheck(
//       [](const std::vector<Variable>& in) { return mul(in[0], in[1]); }, {a, b});
//   if (!result.ok) std::cerr << result.message;

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

struct GradcheckOptions {
  double step = sizeof(real) == 8 ? 1e-5 : 1e-2;       ///< h, relative to max(1, |x|)
  double tolerance = sizeof(real) == 8 ? 1e-6 : 5e-2;  ///< of |difference| / max(1, |expected|)
  std::uint64_t seed = 1;                              ///< of the direction dy
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0;     ///< largest error met, in the unit of `tolerance`
  std::string message;  ///< the worst element: input, index, got, expected, tolerance
};

using DifferentiableFunction = std::function<Variable(const std::vector<Variable>&)>;

/// Checks f at `inputs`. f must be deterministic and must not change its inputs. It may take
/// gradients itself, grad(.., {.create_graph = true}): then those of gradients are checked.
GradcheckResult gradcheck(const DifferentiableFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options = {});

/// The same for a closure over variables that already exist, such as a module's parameters:
///   gradcheck([&] { return net.forward(x); }, net.parameters());
/// Every variable must be a leaf that requires a gradient; their values are restored, and their
/// .grad is left alone.
GradcheckResult gradcheck(const std::function<Variable()>& f, std::vector<Variable> variables,
                          const GradcheckOptions& options = {});

}  // namespace serenade
