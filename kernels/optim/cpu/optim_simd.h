#pragma once
// The inner loop of Adam, one table per instruction set (kernels/runtime/cpu/isa.h).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// What is the same for all elements of a parameter in one step (formula: kernels/optim/optim.h).
struct AdamFactors {
  real rate;        ///< learning rate / (1 - beta1^t)
  real root_scale;  ///< 1 / sqrt(1 - beta2^t)
  real epsilon, decay;
  real beta1, beta2;
  real rest1, rest2;  ///< 1 - beta, rounded once
};

struct OptimSimd {
  /// Arguments as of adam_step; any alignment.
  void (*adam)(real* parameter, real* m, real* v, const real* gradient, std::int64_t count,
               const AdamFactors& factors);
};

/// The table of the active instruction set.
const OptimSimd& optim_simd();

}  // namespace serenade::cpu
