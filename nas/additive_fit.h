#pragma once
// Additive models of architectures: y = mean + the effect of each choice's candidate, by least
// squares, with a ridge per choice that draws its effects towards 0.
//
//   minimise  sum_i (y_i - m - sum_l e_l[x_il])^2 + sum_l ridge_l sum_j e_l[j]^2

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "nas/genotype.h"
#include "nas/search_space.h"

namespace serenade {

/// As a ridge: the choice has no effect, and no column.
inline constexpr double kNoEffect = std::numeric_limits<double>::infinity();

class AdditiveFit {
 public:
  /// x: candidates of the architectures that were measured. ridge: one per choice; where it is 0,
  /// the first candidate that occurs is the one that the others are compared with, and its effect
  /// is 0. Throws std::invalid_argument where the architectures do not tell the effects apart:
  /// there are too few of them, or two choices always change together.
  AdditiveFit(const SearchSpace& space, std::vector<ChoiceIndices> x,
              const std::vector<double>& ridge);

  struct Effects {
    double mean = 0;
    std::vector<std::vector<double>> of;  ///< per choice and candidate; 0 where none was measured

    double at(const ChoiceIndices& architecture) const;
  };
  Effects effects(const std::vector<double>& y) const;
  /// sum_i (y_i - what the effects say)^2.
  double residual_square(const std::vector<double>& y) const;

  /// Columns of the fit with the mean; with ridges the effective number, the trace of what maps y
  /// to the fitted y.
  double parameters() const;

 private:
  std::vector<double> solve(std::vector<double> right) const;

  const SearchSpace space_;
  const std::vector<ChoiceIndices> x_;
  // Column of a candidate in the matrix of the normal equations, 0 for none: column 0 is the mean.
  std::vector<std::vector<std::size_t>> column_;
  std::size_t columns_ = 1;
  std::vector<double> product_;  // Z' Z, row by row
  std::vector<double> factor_;   // L of Z' Z + ridges = L L'
};

}  // namespace serenade
