// Functions of whole arrays (what they compute: kernels/elementwise/cpu/math_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/simd/math.h"

#include "kernels/elementwise/cpu/math_simd.h"

namespace serenade::cpu::SERENADE_ISA {

extern const MathSimd math_simd;

namespace {

template <class Function>
[[gnu::always_inline]] inline void apply(real* y, const real* x, std::int64_t count,
                                         const Function& function) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, function(load(x + i)));
  if (i < count) store_part(y + i, function(load_part(x + i, count - i)), count - i);
}

void exp_all(real* y, const real* x, std::int64_t count) {
  apply(y, x, count, [](Vector v) { return exp_of(v); });
}

// Not sigmoid_of, whose bound leaves 1e-38 where the limit is 0: an overflow to infinity does not.
void sigmoid_all(real* y, const real* x, std::int64_t count) {
  apply(y, x, count, [](Vector v) { return 1 / (1 + exp_of(-v)); });
}

void tanh_all(real* y, const real* x, std::int64_t count) {
  apply(y, x, count, [](Vector v) { return tanh_of(v); });
}

void log_all(real* y, const real* x, std::int64_t count) {
  apply(y, x, count, [](Vector v) { return log_of(v); });
}

}  // namespace

const MathSimd math_simd = {exp_all, sigmoid_all, tanh_all, log_all};

}  // namespace serenade::cpu::SERENADE_ISA
