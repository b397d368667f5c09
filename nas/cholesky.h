#pragma once
// Cholesky's factor of a small symmetric matrix, for Gaussian processes, least squares and
// determinants.

#include <cstddef>
#include <vector>

namespace serenade {

/// a: n x n, row by row; read and overwritten on and below the diagonal by L of A = L L'. False
/// where A is not positive definite; then `a` holds no factor.
bool cholesky(std::vector<double>& a, std::size_t n);

/// L^-1 b and L'^-1 b in place, with such a factor: one after the other, they solve A x = b.
void solve_lower(const std::vector<double>& l, std::vector<double>& b);
void solve_upper(const std::vector<double>& l, std::vector<double>& b);

}  // namespace serenade
