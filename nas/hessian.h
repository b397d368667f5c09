#pragma once
// The curvature of a loss in alpha: where it is large, the architecture that is taken in the end
// may be far worse than the mixture it was taken from (Zela et al., ICLR 2020).

#include <vector>

#include "autograd/variable.h"
#include "nas/strategy.h"

namespace serenade {

/// d2 loss / dalpha2, all alphas as one vector, row by row; by central differences of the gradient,
/// two for each alpha, made symmetric. The alphas are left as found, bit for bit.
std::vector<std::vector<double>> alpha_hessian(const LossFunction& loss,
                                               const std::vector<Variable>& alphas);

/// All eigenvalues of a symmetric matrix, rising (the cyclic Jacobi method; Golub & Van Loan,
/// Matrix Computations, section 8.5), of finite numbers. Throws std::invalid_argument where it is
/// not square.
std::vector<double> symmetric_eigenvalues(std::vector<std::vector<double>> matrix);

}  // namespace serenade
