// What is done between two passes over the votes (steps.cuh): 9,216 values per iteration
// for the paper's 144 windows, so the launch is the cost.

#include "kernels/capsule/cuda/steps.cuh"

namespace serenade::cuda {
namespace {

/// The sums of earlier v that make up the logits of every iteration. earlier: [N, R, J, O];
/// one thread per output capsule.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_add_up_earlier(GlobalPointer<real> earlier, GlobalPointer<const real> s,
                           CapsuleSizes p) {
  const std::int64_t nj = capsule_thread();
  if (nj >= p.N * p.J) return;
  const std::int64_t n = nj / p.J, first = (n * p.R * p.J + nj % p.J) * p.O;
  for (std::int64_t o = 0; o < p.O; ++o) earlier[first + o] = 0;
  for (std::int64_t t = 1; t < p.R; ++t) {
    const std::int64_t to = first + t * p.J * p.O, from = to - p.J * p.O;
    real n2 = 0;
    for (std::int64_t o = 0; o < p.O; ++o) {
      const real x = s[from + o];
      n2 += x * x;
    }
    const real f = squash_factor(n2);
    for (std::int64_t o = 0; o < p.O; ++o) {
      const real before = earlier[from + o], x = s[from + o];
      earlier[to + o] = before + f * x;
    }
  }
}

/// ds of iteration t from dv: [N, J, O]. ds, s: [N, R, J, O]; one thread per output capsule.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_squash_gradient(GlobalPointer<real> ds, GlobalPointer<const real> dv,
                            GlobalPointer<const real> s, std::int64_t t, CapsuleSizes p) {
  const std::int64_t nj = capsule_thread();
  if (nj >= p.N * p.J) return;
  const std::int64_t at = ((nj / p.J * p.R + t) * p.J + nj % p.J) * p.O;
  real n2 = 0, dot = 0;
  for (std::int64_t o = 0; o < p.O; ++o) {
    const real x = s[at + o], d = dv[nj * p.O + o];
    n2 += x * x;
    dot += x * d;
  }
  const real factor = squash_factor(n2), along = 2 * squash_slope(n2) * dot;
  for (std::int64_t o = 0; o < p.O; ++o) {
    const real x = s[at + o], d = dv[nj * p.O + o];
    ds[at + o] = factor * d + along * x;
  }
}

/// dbias [J, O] += ds, over samples and iterations: a warp's lanes are consecutive values of
/// dbias, the rows of ds are shared out among the warps of a block.
__global__ void __launch_bounds__(1024)
    capsule_bias_gradient(GlobalPointer<real> dbias, GlobalPointer<const real> ds,
                          std::int64_t rows, std::int64_t JO) {
  SERENADE_SHARED(real, sums, [32][32]);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.x) * 32 + lane;
  real sum = 0;
  for (std::int64_t row = warp; row < rows && k < JO; row += 32) sum += ds[row * JO + k];
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || k >= JO) return;
  for (int other = 1; other < 32; ++other) sum += sums[other][lane];
  dbias[k] += sum;
}

}  // namespace

void add_up_earlier(real* earlier, const real* s, const CapsuleSizes& p) {
  LAUNCH_CAPSULE_ITEMS(capsule_add_up_earlier, p.N * p.J, earlier, s, p);
}

void squash_gradient(real* ds, const real* dv, const real* s, std::int64_t t,
                     const CapsuleSizes& p) {
  LAUNCH_CAPSULE_ITEMS(capsule_squash_gradient, p.N * p.J, ds, dv, s, t, p);
}

void bias_gradient(real* dbias, const real* ds, const CapsuleSizes& p) {
  const std::int64_t JO = p.J * p.O;
  if (JO == 0) return;
  SERENADE_LAUNCH(capsule_bias_gradient, dim3(blocks_for(JO, 32)), dim3(1024), 0, current_stream(),
                  dbias, ds, p.N * p.R, JO);
}

}  // namespace serenade::cuda
