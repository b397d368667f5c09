#pragma once
// exp, the logistic function, tanh and the logarithm of arrays, one table of functions per
// instruction set (source: kernels/simd/math.h and math.cpp, where the errors are stated).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// y[i] = f(x[i]), i < count; y may be x.
struct MathSimd {
  void (*exp)(real* y, const real* x, std::int64_t count);
  void (*sigmoid)(real* y, const real* x, std::int64_t count);  ///< 1 / (1 + e^-x)
  void (*tanh)(real* y, const real* x, std::int64_t count);
  void (*log)(real* y, const real* x, std::int64_t count);
};

/// The table of the active instruction set.
const MathSimd& math_simd();

}  // namespace serenade::cpu
