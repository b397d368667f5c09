#include "nas/cholesky.h"

#include <cmath>
#include <numeric>

namespace serenade {

bool cholesky(std::vector<double>& a, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    double* row = &a[i * n];
    for (std::size_t j = 0; j <= i; ++j) {
      const double* other = &a[j * n];
      const double rest = row[j] - std::inner_product(row, row + j, other, 0.0);
      if (i == j && !(rest > 0)) return false;
      row[j] = i == j ? std::sqrt(rest) : rest / other[j];
    }
  }
  return true;
}

void solve_lower(const std::vector<double>& l, std::vector<double>& b) {
  const std::size_t n = b.size();
  for (std::size_t i = 0; i < n; ++i) {
    const double* row = &l[i * n];
    b[i] = (b[i] - std::inner_product(row, row + i, b.data(), 0.0)) / row[i];
  }
}

void solve_upper(const std::vector<double>& l, std::vector<double>& b) {
  const std::size_t n = b.size();
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t j = i + 1; j < n; ++j) b[i] -= l[j * n + i] * b[j];
    b[i] /= l[i * n + i];
  }
}

}  // namespace serenade
