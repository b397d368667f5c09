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

}  // namespace serenade
