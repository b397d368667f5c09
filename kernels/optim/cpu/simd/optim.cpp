// The inner loop of Adam (formula: kernels/optim/optim.h).
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
    parameter[i] -= f.rate * m_i / (square_root(v_i) * f.root_scale + f.epsilon);
  }
}

}  // namespace

const OptimSimd optim_simd = {adam};

}  // namespace serenade::cpu::SERENADE_ISA
