#include "autograd/gradcheck.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "autograd/engine.h"
#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

namespace {

// sum(y * dy) in double, so that float outputs lose nothing more on the way.
double project(const Tensor& y, const Tensor& direction) {
  const Tensor dense = y.contiguous();
  double total = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    total += static_cast<double>(dense.data()[i]) * static_cast<double>(direction.data()[i]);
  }
  return total;
}

// The same as a node of the graph, without using any function that may be under test.
Variable projected(const Variable& y, const Tensor& direction) {
  Tensor value = Tensor::scalar(static_cast<real>(project(y.value(), direction)));
  return make_result("project", value, {y}, [direction](const Tensor& d_total, Gradients& d) {
    if (!d.wants(0)) return;
    const real factor = d_total.item();
    for (std::int64_t i = 0; i < direction.numel(); ++i) {
      d[0].data()[i] += factor * direction.data()[i];
    }
  });
}

void describe_error(GradcheckResult& result, std::size_t input, std::int64_t element, double got,
                    double expected, double tolerance) {
  std::ostringstream message;
  message.precision(10);
  message << "gradient of input " << input << ", element " << element << ": got " << got
          << ", expected " << expected << " by finite differences; error " << result.worst
          << ", tolerance " << tolerance;
  result.message = message.str();
}

}  // namespace

GradcheckResult gradcheck(const std::function<Variable()>& f, std::vector<Variable> variables,
                          const GradcheckOptions& options) {
  for (const Variable& variable : variables) {
    check(variable.requires_grad() && variable.value().is_contiguous(), "gradcheck",
          "every variable must be contiguous and require a gradient");
  }
  const Variable y = f();
  Tensor direction = Tensor::empty(y.shape());
  fill_normal_(direction, 0, 1, {options.seed, Purpose::test, 0});
  GradcheckResult result;
  // A result that depends on none of the variables has zero gradients everywhere.
  std::vector<Variable> gradients(variables.size());
  if (y.requires_grad()) gradients = grad(projected(y, direction), variables);
  for (std::size_t input = 0; input < variables.size(); ++input) {
    real* x = variables[input].value().data();
    for (std::int64_t i = 0; i < variables[input].numel(); ++i) {
      const real before = x[i];
      const double h = options.step * std::max(1.0, std::abs(static_cast<double>(before)));
      x[i] = static_cast<real>(before + h);
      const double width_up = static_cast<double>(x[i]);
      const double up = project(f().value(), direction);
      x[i] = static_cast<real>(before - h);
      const double width = width_up - static_cast<double>(x[i]);
      const double down = project(f().value(), direction);
      x[i] = before;
      const double expected = (up - down) / width;
      const double got = gradients[input].defined()
                             ? static_cast<double>(gradients[input].value().data()[i])
                             : 0.0;
      const double error = std::abs(got - expected) / std::max(1.0, std::abs(expected));
      if (error > result.worst || !(error <= result.worst || error > result.worst)) {
        result.worst = std::isnan(error) ? INFINITY : error;
        describe_error(result, input, i, got, expected, options.tolerance);
      }
    }
  }
  result.ok = result.worst <= options.tolerance;
  return result;
}

GradcheckResult gradcheck(const DifferentiableFunction& f, const std::vector<Tensor>& inputs,
                          const GradcheckOptions& options) {
  std::vector<Variable> variables;
  for (const Tensor& input : inputs) variables.emplace_back(input.clone(), true);
  return gradcheck([&] { return f(variables); }, variables, options);
}

}  // namespace serenade
