#include "nas/hessian.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "nas/perturb.h"
#include "tensor/check.h"

namespace serenade {

namespace {

// Balances the error of the difference (its square) and that of rounding (its inverse).
constexpr real kStep = sizeof(real) == 8 ? real(1e-5) : real(1e-2);

std::vector<double> gradient_of(const LossFunction& loss, const std::vector<Variable>& alphas) {
  const std::vector<Variable> gradients = grad(loss(), alphas);
  std::vector<double> all;
  for (std::size_t i = 0; i < alphas.size(); ++i) {
    if (!gradients[i].defined()) {
      all.resize(all.size() + static_cast<std::size_t>(alphas[i].numel()), 0);
      continue;
    }
    const std::vector<real> own = gradients[i].value().to(Device::cpu).to_vector();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

}  // namespace

std::vector<std::vector<double>> alpha_hessian(const LossFunction& loss,
                                               const std::vector<Variable>& alphas) {
  std::vector<std::vector<double>> rows;
  for (std::size_t k = 0; k < alphas.size(); ++k) {
    Moved here(alphas);
    for (std::int64_t i = 0; i < alphas[k].numel(); ++i) {
      std::vector<Variable> unit(alphas.size());
      std::vector<real> values(static_cast<std::size_t>(alphas[k].numel()), 0);
      values[static_cast<std::size_t>(i)] = 1;
      unit[k] = Tensor::from(values, alphas[k].shape()).to(alphas[k].device());
      here.to(unit, kStep);
      std::vector<double> row = gradient_of(loss, alphas);
      here.to(unit, -kStep);
      const std::vector<double> behind = gradient_of(loss, alphas);
      for (std::size_t j = 0; j < row.size(); ++j) {
        row[j] = (row[j] - behind[j]) / (2 * static_cast<double>(kStep));
      }
      rows.push_back(std::move(row));
    }
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      rows[i][j] = rows[j][i] = (rows[i][j] + rows[j][i]) / 2;
    }
  }
  return rows;
}

std::vector<double> symmetric_eigenvalues(std::vector<std::vector<double>> a) {
  const std::size_t n = a.size();
  for (const std::vector<double>& row : a) {
    check(row.size() == n, "symmetric_eigenvalues", "the matrix must be square; got a row of ",
          row.size(), " in one of ", n);
  }
  const auto rest = [&] {  // of the squares beside the diagonal
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < i; ++j) sum += a[i][j] * a[i][j];
    }
    return sum;
  };
  double whole = 0;
  for (const std::vector<double>& row : a) {
    for (const double x : row) whole += x * x;
  }
  // Converges quadratically: few sweeps are ever needed. Each rotation makes one entry 0.
  for (int sweep = 0; sweep < 50 && rest() > 1e-30 * whole; ++sweep) {
    for (std::size_t p = 0; p < n; ++p) {
      for (std::size_t q = p + 1; q < n; ++q) {
        if (a[p][q] == 0) continue;
        const double theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const double t = std::copysign(1 / (std::abs(theta) + std::hypot(theta, 1.0)), theta);
        const double c = 1 / std::hypot(t, 1.0), s = t * c;
        for (std::size_t k = 0; k < n; ++k) {
          const double kp = a[k][p], kq = a[k][q];
          a[k][p] = c * kp - s * kq;
          a[k][q] = s * kp + c * kq;
        }
        for (std::size_t k = 0; k < n; ++k) {
          const double pk = a[p][k], qk = a[q][k];
          a[p][k] = c * pk - s * qk;
          a[q][k] = s * pk + c * qk;
        }
      }
    }
  }
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i) values.push_back(a[i][i]);
  std::sort(values.begin(), values.end());
  return values;
}

}  // namespace serenade
