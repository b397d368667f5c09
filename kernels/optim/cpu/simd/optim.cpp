// The inner loops of Adam and RMSprop (formulas: kernels/optim/optim.h).
//
// Compiled once per instruction set (vector.h). No explicit vectors: GCC has no square root for
// them, and it makes the same of this loop.

#include "kernels/optim/cpu/optim_simd.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const OptimSimd optim_simd;

namespace {

[[gnu::always_inline]] inline real square_root(real x) {
  return sizeof(real) == sizeof(float) ? __builtin_sqrtf(x) : __builtin_sqrt(x);
}

void adam(real* parameter, real* m, real* v, const real* gradient, std::int64_t count,
          const AdamFactors& factors) {
  const AdamFactors f = factors;  // a copy: the arrays might hold the original, for all GCC knows
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const real g = gradient[i] + f.decay * parameter[i];
    const real m_i = f.beta1 * m[i] + f.rest1 * g;
    const real v_i = f.beta2 * v[i] + f.rest2 * g * g;
    m[i] = m_i;
    v[i] = v_i;
    const real change = f.rate * m_i / (square_root(v_i) * f.root_scale + f.epsilon);
    parameter[i] = f.kept * parameter[i] - change;
  }
}

// What is not there takes no part in the loop: four of them are compiled.
template <bool centred, bool moves>
void rmsprop_loop(real* parameter, real* square, real* mean, real* velocity, const real* gradient,
                  std::int64_t count, const RmspropFactors& factors) {
  const RmspropFactors f = factors;
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) {
    const real g = gradient[i] + f.decay * parameter[i];
    real variance = f.alpha * square[i] + f.rest * g * g;
    square[i] = variance;
    if constexpr (centred) {
      const real mean_i = f.alpha * mean[i] + f.rest * g;
      mean[i] = mean_i;
      // Rounding may leave less than nothing of a gradient that does not change.
      variance -= mean_i * mean_i;
      variance = variance > 0 ? variance : 0;
    }
    real change = g / (square_root(variance) + f.epsilon);
    if constexpr (moves) {
      change += f.momentum * velocity[i];
      velocity[i] = change;
    }
    parameter[i] -= f.rate * change;
  }
}

void rmsprop(real* parameter, real* square, real* mean, real* velocity, const real* gradient,
             std::int64_t count, const RmspropFactors& factors) {
  const bool moves = factors.momentum != 0;
  const auto loop = mean == nullptr
                        ? (moves ? rmsprop_loop<false, true> : rmsprop_loop<false, false>)
                        : (moves ? rmsprop_loop<true, true> : rmsprop_loop<true, false>);
  loop(parameter, square, mean, velocity, gradient, count, factors);
}

}  // namespace

const OptimSimd optim_simd = {adam, rmsprop};

}  // namespace serenade::cpu::SERENADE_ISA
