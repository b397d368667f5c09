// Functions of whole arrays (what they compute: kernels/elementwise/cpu/math_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/elementwise/cpu/math_simd.h"
#include "kernels/simd/elements.h"

namespace serenade::cpu::SERENADE_ISA {

extern const MathSimd math_simd;

namespace {

void exp_all(real* y, const real* x, std::int64_t count) {
  for_elements(count, [=](auto at) { at.put(y, exp_of(at[x])); });
}

// Not sigmoid_of, whose bound leaves 1e-38 where the limit is 0: an overflow to infinity does not.
void sigmoid_all(real* y, const real* x, std::int64_t count) {
  for_elements(count, [=](auto at) { at.put(y, 1 / (1 + exp_of(-at[x]))); });
}

void tanh_all(real* y, const real* x, std::int64_t count) {
  for_elements(count, [=](auto at) { at.put(y, tanh_of(at[x])); });
}

void log_all(real* y, const real* x, std::int64_t count) {
  for_elements(count, [=](auto at) { at.put(y, log_of(at[x])); });
}

}  // namespace

const MathSimd math_simd = {exp_all, sigmoid_all, tanh_all, log_all};

}  // namespace serenade::cpu::SERENADE_ISA
