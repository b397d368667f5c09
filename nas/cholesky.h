#pragma once
// Cholesky's factor of a small symmetric matrix, for Gaussian processes and determinants.

#include <cstddef>
#include <vector>

namespace serenade {

/// a: n x n, row by row; read and overwritten on and below the diagonal by L of A = L L'. False
/// where A is not positive definite; then `a` holds no factor.
bool cholesky(std::vector<double>& a, std::size_t n);

}  // namespace serenade
