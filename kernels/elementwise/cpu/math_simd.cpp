// Which copy of the vectorised functions is in use.

#include "kernels/elementwise/cpu/math_simd.h"

#include "kernels/runtime/cpu/isa.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(MathSimd, math_simd);

}  // namespace serenade::cpu
