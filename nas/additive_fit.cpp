#include "nas/additive_fit.h"

#include <cmath>
#include <utility>

#include "nas/cholesky.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr double kSingular = 1e-9;  // of a column's square, what must be its own

}  // namespace

AdditiveFit::AdditiveFit(const SearchSpace& space, std::vector<ChoiceIndices> x,
                         const std::vector<double>& ridge)
    : space_(space), x_(std::move(x)) {
  check(!x_.empty() && ridge.size() == space.choices.size(), "additive_fit",
        "needs architectures, and a ridge per choice; got ", x_.size(), " and ", ridge.size());
  std::vector<double> penalty = {0};
  for (std::size_t l = 0; l < ridge.size(); ++l) {
    column_.emplace_back(space.choices[l].candidates.size(), 0);
    if (ridge[l] == kNoEffect) continue;
    std::vector<bool> occurs(column_[l].size(), false);
    for (const ChoiceIndices& one : x_) occurs[static_cast<std::size_t>(one.at(l))] = true;
    bool first = ridge[l] == 0;
    for (std::size_t j = 0; j < occurs.size(); ++j) {
      if (!occurs[j] || std::exchange(first, false)) continue;
      column_[l][j] = columns_++;
      penalty.push_back(ridge[l]);
    }
  }
  product_.assign(columns_ * columns_, 0);
  for (const ChoiceIndices& one : x_) {
    std::vector<std::size_t> in = {0};
    for (std::size_t l = 0; l < one.size(); ++l) {
      const std::size_t column = column_[l][static_cast<std::size_t>(one[l])];
      if (column != 0) in.push_back(column);
    }
    for (const std::size_t a : in) {
      for (const std::size_t b : in) product_[a * columns_ + b] += 1;
    }
  }
  factor_ = product_;
  for (std::size_t c = 0; c < columns_; ++c) factor_[c * columns_ + c] += penalty[c];
  const std::vector<double> whole = factor_;
  bool determined = cholesky(factor_, columns_);
  for (std::size_t c = 0; determined && c < columns_; ++c) {
    const std::size_t at = c * columns_ + c;
    determined = factor_[at] * factor_[at] > kSingular * whole[at];
  }
  check(determined, "additive_fit", x_.size(), " architectures do not tell the effects of ",
        columns_ - 1, " candidates apart");
}

// (Z' Z + ridges)^-1 right
std::vector<double> AdditiveFit::solve(std::vector<double> right) const {
  solve_lower(factor_, right);
  solve_upper(factor_, right);
  return right;
}

AdditiveFit::Effects AdditiveFit::effects(const std::vector<double>& y) const {
  check(y.size() == x_.size(), "additive_fit", "needs a value per architecture; got ", y.size(),
        " for ", x_.size());
  std::vector<double> right(columns_, 0);
  for (std::size_t i = 0; i < y.size(); ++i) {
    right[0] += y[i];
    for (std::size_t l = 0; l < column_.size(); ++l) {
      const std::size_t column = column_[l][static_cast<std::size_t>(x_[i][l])];
      if (column != 0) right[column] += y[i];
    }
  }
  const std::vector<double> solution = solve(std::move(right));
  Effects effects{.mean = solution[0], .of = {}};
  for (const std::vector<std::size_t>& columns : column_) {
    effects.of.emplace_back();
    for (const std::size_t column : columns) {
      effects.of.back().push_back(column == 0 ? 0 : solution[column]);
    }
  }
  return effects;
}

double AdditiveFit::residual_square(const std::vector<double>& y) const {
  const Effects fitted = effects(y);
  double sum = 0;
  for (std::size_t i = 0; i < y.size(); ++i) sum += std::pow(y[i] - fitted.at(x_[i]), 2);
  return sum;
}

double AdditiveFit::parameters() const {
  double trace = 0;
  for (std::size_t c = 0; c < columns_; ++c) {
    const auto column = product_.begin() + static_cast<std::ptrdiff_t>(c * columns_);
    trace += solve({column, column + static_cast<std::ptrdiff_t>(columns_)})[c];
  }
  return trace;
}

double AdditiveFit::Effects::at(const ChoiceIndices& architecture) const {
  double sum = mean;
  for (std::size_t l = 0; l < of.size(); ++l) {
    sum += of[l][static_cast<std::size_t>(architecture.at(l))];
  }
  return sum;
}

}  // namespace serenade
