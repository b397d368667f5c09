// Votes u_hat_ij = u_i W_ij and their gradients (shapes: kernels/capsule/capsule.h): one thread per
// number of the result (the weights' gradient, a sum over samples: eight). Neighbouring threads
// have neighbouring o, so votes and weights are read in whole lines; an element of u is the same
// for all of them.
//
// The paper's window capsules (N 144, I 1280, D, J, O 8), counted for an H200: 189 MFLOP forward
// and 377 backward are no less than 3 and 6 us at 67 TFLOP/s; the votes, 47 MB, no less than 11 us
// to write and 11 to read at 4.3 TB/s. Memory is the cost, so the layer in use stores no votes.

#include "kernels/capsule/capsule.h"
#include "kernels/capsule/cuda/steps.cuh"

namespace serenade::cuda {
namespace {

__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_votes(GlobalPointer<real> u_hat, GlobalPointer<const real> u,
                  GlobalPointer<const real> weight, CapsuleSizes p) {
  const std::int64_t index = capsule_thread(), JO = p.J * p.O;
  if (index >= p.N * p.I * JO) return;
  const std::int64_t ni = index / JO, k = index % JO, j = k / p.O, o = k % p.O;
  const std::int64_t i = p.shared_weight ? 0 : ni % p.I;
  const std::int64_t matrix = (i * p.J + j) * p.D * p.O + o;
  real sum = 0;
  for (std::int64_t d = 0; d < p.D; ++d) {
    const real x = u[ni * p.D + d], w = weight[matrix + d * p.O];
    sum += x * w;
  }
  u_hat[index] = sum;
}

__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_votes_input_gradient(GlobalPointer<real> du, GlobalPointer<const real> du_hat,
                                 GlobalPointer<const real> weight, CapsuleSizes p) {
  const std::int64_t index = capsule_thread();
  if (index >= p.N * p.I * p.D) return;
  const std::int64_t ni = index / p.D, d = index % p.D, i = p.shared_weight ? 0 : ni % p.I;
  real sum = 0;
  for (std::int64_t j = 0; j < p.J; ++j) {
    for (std::int64_t o = 0; o < p.O; ++o) {
      const real dvote = du_hat[(ni * p.J + j) * p.O + o];
      const real w = weight[((i * p.J + j) * p.D + d) * p.O + o];
      sum += dvote * w;
    }
  }
  du[index] += sum;
}

// A weight of its own is used by N votes, a shared one by N I: they are shared out among the warps
// of a block. The lanes are neighbouring weights.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_votes_weight_gradient(GlobalPointer<real> dweight, GlobalPointer<const real> du_hat,
                                  GlobalPointer<const real> u, std::int64_t count, CapsuleSizes p) {
  constexpr int kWarps = kCapsuleThreads / 32;
  SERENADE_SHARED(real, sums, [kWarps][32]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t index = static_cast<std::int64_t>(blockIdx.x) * 32 + lane;
  const std::int64_t o = index % p.O, jd = index / p.O, d = jd % p.D, ij = jd / p.D;
  const std::int64_t j = ij % p.J, i = ij / p.J;
  const std::int64_t step = p.shared_weight ? 1 : p.I;
  real sum = 0;
  for (std::int64_t ni = i + warp * step; ni < p.N * p.I && index < count; ni += kWarps * step) {
    const real x = u[ni * p.D + d], dvote = du_hat[(ni * p.J + j) * p.O + o];
    sum += x * dvote;
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || index >= count) return;
  for (int other = 1; other < kWarps; ++other) sum += sums[other][lane];
  dweight[index] += sum;
}

}  // namespace

void capsule_votes_forward(real* u_hat, const real* u, const real* weight, const CapsuleShape& p) {
  LAUNCH_CAPSULE_ITEMS(capsule_votes, p.N * p.I * p.J * p.O, u_hat, u, weight, CapsuleSizes(p));
}

void capsule_votes_backward(real* du, real* dweight, const real* du_hat, const real* u,
                            const real* weight, const CapsuleShape& p) {
  if (du != nullptr) {
    LAUNCH_CAPSULE_ITEMS(capsule_votes_input_gradient, p.N * p.I * p.D, du, du_hat, weight,
                         CapsuleSizes(p));
  }
  if (dweight != nullptr && p.weights() > 0) {
    SERENADE_LAUNCH(capsule_votes_weight_gradient, dim3(blocks_for(p.weights(), 32)),
                    dim3(kCapsuleThreads), 0, current_stream(), dweight, du_hat, u, p.weights(),
                    CapsuleSizes(p));
  }
}

}  // namespace serenade::cuda
