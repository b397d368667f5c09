#include "nas/zero_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/cholesky.h"
#include "tensor/check.h"

namespace serenade {

std::int64_t macs(const LinearForm& layer, const Variable& x) {
  const NoGrad no_grad;
  const Shape y = layer(x).shape();
  const Shape& weight = layer.weight.shape();
  // Every output is a product over all that one row of the weight holds.
  const std::int64_t per_output = layer.weight.numel() / weight.at(0);
  return element_count(y, "macs") / y.at(0) * per_output;
}

double gradient_norm(const Module& network, const LossFunction& loss) {
  double sum = 0;
  for (const Variable& gradient : grad(loss(), network.parameters())) {
    if (!gradient.defined()) continue;
    double square = 0;
    for (const real value : gradient.value().to_vector()) {
      square += static_cast<double>(value) * static_cast<double>(value);
    }
    sum += std::sqrt(square);
  }
  return sum;
}

double naswot(const std::vector<Tensor>& activations) {
  check(!activations.empty() && activations.front().dim() > 0, "naswot",
        "needs activations of a batch");
  const auto n = static_cast<std::size_t>(activations.front().size(0));
  std::vector<double> alike(n * n, 0);
  for (const Tensor& activation : activations) {
    check(activation.dim() > 0 && activation.size(0) == static_cast<std::int64_t>(n), "naswot",
          "activations must be of one batch; got ", activation.shape(), " beside ",
          activations.front().shape());
    const std::vector<real> values = activation.to_vector();
    const std::size_t units = n == 0 ? 0 : values.size() / n;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        for (std::size_t u = 0; u < units; ++u) {
          alike[i * n + j] += (values[i * units + u] > 0) == (values[j * units + u] > 0) ? 1 : 0;
        }
      }
    }
  }
  constexpr double kSingular = -std::numeric_limits<double>::infinity();
  const double units = n == 0 ? 0 : alike[0];
  if (!cholesky(alike, n)) return kSingular;
  double log_determinant = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double pivot = alike[i * n + i] * alike[i * n + i];
    if (pivot < 1e-12 * units) return kSingular;  // what rounding leaves of zero
    log_determinant += std::log(pivot);
  }
  return log_determinant;
}

// Synaptic flow -----------------------------------------------------------------------------------

namespace {

// Puts the parameters back, whatever happens.
class Restored {
 public:
  explicit Restored(NamedParameters parameters) : parameters_(std::move(parameters)) {
    for (const auto& [name, parameter] : parameters_) values_.push_back(parameter.value().clone());
  }
  ~Restored() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      parameters_[i].second.value().copy_(values_[i]);
    }
  }
  Restored(const Restored&) = delete;
  Restored& operator=(const Restored&) = delete;

 private:
  NamedParameters parameters_;
  std::vector<Tensor> values_;
};

// |w| divided by the largest sum of a row, which is returned; 1 for a weight of zeros.
double make_positive(std::vector<real>& w, std::int64_t rows) {
  const std::size_t length = w.size() / static_cast<std::size_t>(rows);
  double largest = 0;
  for (std::size_t begin = 0; begin < w.size(); begin += length) {
    double sum = 0;
    for (std::size_t i = begin; i < begin + length; ++i) sum += std::abs(static_cast<double>(w[i]));
    largest = std::max(largest, sum);
  }
  const double divisor = largest > 0 ? largest : 1;
  for (real& value : w) value = static_cast<real>(std::abs(static_cast<double>(value)) / divisor);
  return divisor;
}

}  // namespace

Synflow synflow(const Module& network, const std::function<Variable()>& forward) {
  const Restored restored(network.named_parameters());
  std::vector<Variable> weights;
  std::vector<double> divisors;
  for (auto [name, parameter] : network.named_parameters()) {
    std::vector<real> values = parameter.value().to_vector();
    if (name.find("bias") != std::string::npos || parameter.dim() == 0) {
      std::fill(values.begin(), values.end(), real(0));
      divisors.push_back(1);
    } else {
      divisors.push_back(make_positive(values, parameter.size(0)));
    }
    parameter.value().copy_(Tensor::from(values, parameter.shape()));
    weights.push_back(parameter);
  }
  const std::vector<Variable> gradients = grad(sum(forward()), weights);
  Synflow result;
  double total = 0, log_divisors = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    double flow = 0;
    if (gradients[i].defined()) {
      const std::vector<real> w = weights[i].value().to_vector();
      const std::vector<real> g = gradients[i].value().to_vector();
      for (std::size_t k = 0; k < w.size(); ++k) {
        flow += static_cast<double>(w[k]) * static_cast<double>(g[k]);
      }
      log_divisors += std::log(divisors[i]);
    }
    result.flows.push_back(flow);
    total += flow;
  }
  result.log_score = std::log(total) + log_divisors;
  return result;
}

}  // namespace serenade
