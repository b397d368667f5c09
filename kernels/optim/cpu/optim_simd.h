#pragma once
// The inner loops of Adam and RMSprop, one table per instruction set (kernels/runtime/cpu/isa.h).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// What is the same for all elements of a parameter in one step (formula: kernels/optim/optim.h).
struct AdamFactors {
  real rate;        ///< learning rate / (1 - beta1^t)
  real root_scale;  ///< 1 / sqrt(1 - beta2^t)
  real epsilon, decay;
  real kept;  ///< of the parameter: 1 - learning rate * decoupled decay
  real beta1, beta2;
  real rest1, rest2;  ///< 1 - beta, rounded once
};

/// The same for RMSprop.
struct RmspropFactors {
  real rate, epsilon, decay, momentum;
  real alpha;
  real rest;  ///< 1 - alpha, rounded once
};

struct OptimSimd {
  /// Arguments as of adam_step; any alignment.
  void (*adam)(real* parameter, real* m, real* v, const real* gradient, std::int64_t count,
               const AdamFactors& factors);
  /// Arguments as of rmsprop_step; any alignment.
  void (*rmsprop)(real* parameter, real* square, real* mean, real* velocity, const real* gradient,
                  std::int64_t count, const RmspropFactors& factors);
};

/// The table of the active instruction set.
const OptimSimd& optim_simd();

}  // namespace serenade::cpu
