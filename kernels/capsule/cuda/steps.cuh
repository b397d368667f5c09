#pragma once
// What the versions of routing share: sizes, squash of one capsule, and what is done between two
// passes over the votes.

#include "kernels/capsule/capsule.h"
#include "kernels/capsule/squash.h"
#include "kernels/runtime/cuda/device_code.h"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

inline constexpr int kCapsuleThreads = 256;

/// The sizes of kernels/capsule/capsule.h as a kernel takes them.
struct CapsuleSizes {
  std::int64_t N, I, D, J, O, R;
  bool shared_weight;

  explicit CapsuleSizes(const CapsuleShape& p)
      : N(p.N), I(p.I), D(p.D), J(p.J), O(p.O), R(p.iterations), shared_weight(p.shared_weight) {}

  __device__ __forceinline__ std::int64_t valid(GlobalPointer<const std::int64_t> lengths,
                                                std::int64_t n) const {
    return lengths ? static_cast<std::int64_t>(lengths[n]) : I;
  }
};

/// The index of this thread in the grid.
__device__ __forceinline__ std::int64_t capsule_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// f(n2) of squash(s) = s f(n2).
__device__ __forceinline__ real squash_factor(real n2) {
  return n2 / ((1 + n2) * sqrt(n2 + static_cast<real>(kSquashEpsilon)));
}

/// f'(n2), written so that n2 = 0 divides nothing.
__device__ __forceinline__ real squash_slope(real n2) {
  const real padded = n2 + static_cast<real>(kSquashEpsilon);
  return (1 / (1 + n2) - real(0.5) * n2 / padded) / ((1 + n2) * sqrt(padded));
}

// Between two passes over the votes (steps.cu).

/// The sums of earlier v that make up the logits of every iteration. earlier, s: [N, R, J, O].
void add_up_earlier(real* earlier, const real* s, const CapsuleSizes& p);

/// ds of iteration t from dv: [N, J, O]. ds, s: [N, R, J, O].
void squash_gradient(real* ds, const real* dv, const real* s, std::int64_t t,
                     const CapsuleSizes& p);

/// dbias [J, O] += ds [N, R, J, O], over samples and iterations.
void bias_gradient(real* dbias, const real* ds, const CapsuleSizes& p);

}  // namespace serenade::cuda

/// Launches a kernel of one thread per item; nothing where there are none.
#define LAUNCH_CAPSULE_ITEMS(kernel, items, ...)                                                  \
  do {                                                                                            \
    if ((items) > 0) {                                                                            \
      SERENADE_LAUNCH(kernel, dim3(blocks_for(items, kCapsuleThreads)), dim3(kCapsuleThreads), 0, \
                      current_stream(), __VA_ARGS__);                                             \
    }                                                                                             \
  } while (false)
