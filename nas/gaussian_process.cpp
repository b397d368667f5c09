#include "nas/gaussian_process.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "nas/cholesky.h"
#include "tensor/check.h"

namespace serenade {

double HammingKernel::operator()(const ChoiceIndices& a, const ChoiceIndices& b) const {
  double distance = 0;
  for (std::size_t l = 0; l < theta.size(); ++l) distance += a[l] == b[l] ? 0 : theta[l];
  return variance * std::exp(-distance);
}

GaussianProcess::GaussianProcess(HammingKernel kernel, std::vector<ChoiceIndices> x,
                                 std::vector<double> y, double mean)
    : kernel_(std::move(kernel)), x_(std::move(x)), mean_(mean), whitened_(std::move(y)) {
  const std::size_t n = x_.size();
  check(n > 0 && whitened_.size() == n, "gaussian_process", "must be given as many y as x; got ",
        whitened_.size(), " and ", n);
  for (const ChoiceIndices& point : x_) {
    check(point.size() == kernel_.theta.size(), "gaussian_process", "a point must have ",
          kernel_.theta.size(), " choices, as the kernel; got ", point.size());
  }
  factor_.resize(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) factor_[i * n + j] = kernel_(x_[i], x_[j]);
    factor_[i * n + i] += kernel_.noise;
  }
  check(cholesky(factor_, n), "gaussian_process",
        "the kernel's matrix must be positive definite: points that are equal need noise");
  for (double& value : whitened_) value -= mean;
  solve_lower(factor_, whitened_);
  weights_ = whitened_;
  solve_upper(factor_, weights_);
}

GaussianProcess::Posterior GaussianProcess::at(const ChoiceIndices& x) const {
  std::vector<double> k;
  for (const ChoiceIndices& known : x_) k.push_back(kernel_(x, known));
  Posterior posterior;
  posterior.mean = mean_ + std::inner_product(k.begin(), k.end(), weights_.begin(), 0.0);
  solve_lower(factor_, k);
  const double explained = std::inner_product(k.begin(), k.end(), k.begin(), 0.0);
  posterior.variance = std::max(0.0, kernel_.variance - explained);
  return posterior;
}

double GaussianProcess::fit() const {
  return std::inner_product(whitened_.begin(), whitened_.end(), whitened_.begin(), 0.0);
}

double GaussianProcess::log_likelihood() const {
  const std::size_t n = x_.size();
  double log_determinant = 0;  // of L, half of that of K
  for (std::size_t i = 0; i < n; ++i) log_determinant += std::log(factor_[i * n + i]);
  return -0.5 * fit() - log_determinant -
         0.5 * static_cast<double>(n) * std::log(2 * std::numbers::pi);
}

GaussianProcess fit_gaussian_process(const std::vector<ChoiceIndices>& x,
                                     const std::vector<double>& y) {
  check(!x.empty() && x.size() == y.size(), "gaussian_process",
        "must be given as many y as x; got ", y.size(), " and ", x.size());
  const auto n = static_cast<double>(x.size());
  const double mean = std::accumulate(y.begin(), y.end(), 0.0) / n;
  // With variance 1 first: s2 scales the matrix, and its best value is fit() / n, where the
  // likelihood is that of log_determinant + n / 2 log s2.
  HammingKernel best{.theta = std::vector<double>(x.front().size(), 0.3), .noise = 0.1};
  const auto scaled = [&](HammingKernel kernel) {
    const double fit = GaussianProcess(kernel, x, y, mean).fit();
    kernel.variance = std::max(fit / n, 1e-12);  // scores that are all equal leave nothing
    kernel.noise *= kernel.variance;
    return GaussianProcess(kernel, x, y, mean);
  };
  double highest = scaled(best).log_likelihood();
  const auto try_values = [&](double& value, const std::vector<double>& grid) {
    double chosen = value;
    for (const double candidate : grid) {
      value = candidate;
      const double likelihood = scaled(best).log_likelihood();
      if (likelihood > highest) {
        highest = likelihood;
        chosen = candidate;
      }
    }
    value = chosen;
  };
  for (int sweep = 0; sweep < 2; ++sweep) {
    for (double& theta : best.theta) try_values(theta, {0.01, 0.03, 0.1, 0.3, 1, 3});
    try_values(best.noise, {1e-3, 1e-2, 0.1, 0.3, 1});
  }
  return scaled(best);
}

double expected_improvement(const GaussianProcess::Posterior& posterior, double best) {
  const double gain = posterior.mean - best;
  const double deviation = std::sqrt(posterior.variance);
  if (deviation == 0) return std::max(0.0, gain);
  const double z = gain / deviation;
  const double density = std::exp(-0.5 * z * z) / std::sqrt(2 * std::numbers::pi);
  const double probability = 0.5 * std::erfc(-z / std::numbers::sqrt2);
  return std::max(0.0, gain * probability + deviation * density);
}

}  // namespace serenade
