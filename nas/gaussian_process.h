#pragma once
// A Gaussian process over architectures (Rasmussen & Williams, Gaussian Processes for Machine
// Learning, 2006, chapter 2): what is known of a score that was measured at a few of them.
//
//   f ~ N(mean, k),  y = f(x) + noise,  k(x, x') = s2 exp(-sum_l theta_l [x_l != x'_l])
//
// x holds the index of a candidate per choice. The kernel is a product of one per choice, and so
// positive definite; it is a squared exponential on one-hot choices, of length sqrt(1 / theta_l).

#include <vector>

#include "nas/genotype.h"

namespace serenade {

struct HammingKernel {
  std::vector<double> theta;  ///< one per choice; 0: it does not matter
  double variance = 1;        ///< s2
  double noise = 0;           ///< variance of y around f

  /// k(x, x') without the noise.
  double operator()(const ChoiceIndices& a, const ChoiceIndices& b) const;
};

class GaussianProcess {
 public:
  /// Conditioned on y at x. Throws std::invalid_argument where sizes differ, there are no points,
  /// or the matrix of the kernel is not positive definite (points that are equal need noise).
  GaussianProcess(HammingKernel kernel, std::vector<ChoiceIndices> x, std::vector<double> y,
                  double mean);

  struct Posterior {
    double mean = 0;      ///< m + k*' K^-1 (y - m)            (2.25)
    double variance = 0;  ///< of f, s2 - k*' K^-1 k*          (2.26)
  };
  Posterior at(const ChoiceIndices& x) const;

  /// log p(y | x)                                             (2.30)
  double log_likelihood() const;
  /// (y - m)' K^-1 (y - m)
  double fit() const;
  const HammingKernel& kernel() const { return kernel_; }

 private:
  HammingKernel kernel_;
  std::vector<ChoiceIndices> x_;
  double mean_;
  std::vector<double> factor_;    // L of K + noise I = L L', row by row
  std::vector<double> whitened_;  // L^-1 (y - m)
  std::vector<double> weights_;   // K^-1 (y - m)
};

/// With the mean of y, and the kernel of the largest likelihood on a grid: choice by choice, twice,
/// theta_l of 0.01 .. 3, then the share of the noise, 0.1 % .. 100 % of s2; s2 by its closed form,
/// fit() / n. x must not be empty, y finite.
GaussianProcess fit_gaussian_process(const std::vector<ChoiceIndices>& x,
                                     const std::vector<double>& y);

/// E max(0, f - best) (Jones, Schonlau & Welch, J. Global Optimization 13, 1998, equation 15).
double expected_improvement(const GaussianProcess::Posterior& posterior, double best);

}  // namespace serenade
