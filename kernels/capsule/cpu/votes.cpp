// Votes u_hat_ij = u_i W_ij (shapes: kernels/capsule/capsule.h). Shared weights: every input
// capsule of every sample is a row of one matrix, so each output capsule is one matrix product.
// Weights of their own: a product per input capsule, too small for a library call, so plain loops
// in which the lanes of a vector run over o.

#include "kernels/capsule/capsule.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

void own_votes_forward(real* u_hat, const real* u, const real* weight, const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O;
  parallel_items(p.I, p.N * p.D * JO, [&](std::int64_t i) {
    for (std::int64_t nj = 0; nj < p.N * p.J; ++nj) {
      const std::int64_t n = nj / p.J, j = nj % p.J;
      const real* u_i = u + (n * p.I + i) * p.D;
      const real* w = weight + (i * p.J + j) * p.D * p.O;
      real* vote = u_hat + (n * p.I + i) * JO + j * p.O;
      for (std::int64_t o = 0; o < p.O; ++o) vote[o] = 0;
      for (std::int64_t d = 0; d < p.D; ++d) {
        for (std::int64_t o = 0; o < p.O; ++o) vote[o] += u_i[d] * w[d * p.O + o];
      }
    }
  });
}

// One thread per input capsule: it alone adds to dW_i, over the samples in order.
void own_votes_backward(real* du, real* dweight, const real* du_hat, const real* u,
                        const real* weight, const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O;
  parallel_items(p.I, p.N * p.D * JO, [&](std::int64_t i) {
    for (std::int64_t nj = 0; nj < p.N * p.J; ++nj) {
      const std::int64_t n = nj / p.J, j = nj % p.J;
      const std::int64_t from = (n * p.I + i) * p.D, matrix = (i * p.J + j) * p.D * p.O;
      const real* dvote = du_hat + (n * p.I + i) * JO + j * p.O;
      for (std::int64_t d = 0; d < p.D; ++d) {
        if (dweight != nullptr) {
          real* dw = dweight + matrix + d * p.O;
          for (std::int64_t o = 0; o < p.O; ++o) dw[o] += u[from + d] * dvote[o];
        }
        if (du != nullptr) {
          const real* w = weight + matrix + d * p.O;
          real sum = 0;
          for (std::int64_t o = 0; o < p.O; ++o) sum += w[o] * dvote[o];
          du[from + d] += sum;
        }
      }
    }
  });
}

}  // namespace

void capsule_votes_forward(real* u_hat, const real* u, const real* weight, const CapsuleShape& p) {
  if (!p.shared_weight) return own_votes_forward(u_hat, u, weight, p);
  for (std::int64_t j = 0; j < p.J; ++j) {
    gemm(false, false, p.N * p.I, p.O, p.D, 1, u, p.D, weight + j * p.D * p.O, p.O, 0,
         u_hat + j * p.O, p.J * p.O);
  }
}

void capsule_votes_backward(real* du, real* dweight, const real* du_hat, const real* u,
                            const real* weight, const CapsuleShape& p) {
  if (!p.shared_weight) return own_votes_backward(du, dweight, du_hat, u, weight, p);
  const std::int64_t rows = p.N * p.I, JO = p.J * p.O;
  for (std::int64_t j = 0; j < p.J; ++j) {
    const std::int64_t matrix = j * p.D * p.O;
    if (dweight != nullptr) {
      gemm(true, false, p.D, p.O, rows, 1, u, p.D, du_hat + j * p.O, JO, 1, dweight + matrix, p.O);
    }
    if (du != nullptr) {
      gemm(false, true, rows, p.D, p.O, 1, du_hat + j * p.O, JO, weight + matrix, p.O, 1, du, p.D);
    }
  }
}

}  // namespace serenade::cpu
