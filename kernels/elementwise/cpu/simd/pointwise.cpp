// The formulas of formulas.h, a vector of elements at a time (what the loops compute:
// kernels/elementwise/cpu/pointwise_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/elementwise/cpu/pointwise_simd.h"
#include "kernels/simd/elements.h"

namespace serenade::cpu::SERENADE_ISA {

extern const PointwiseSimd pointwise_simd;

namespace {

// The arithmetic of vectors (formulas.h).
struct Wide {
  using Number = Vector;

  // A choice may be between a vector and a number.
  template <class Mask, class Yes, class No>
  [[gnu::always_inline]] static Vector select(Mask condition, Yes yes, No no) {
    return condition ? all(yes) : all(no);
  }
  [[gnu::always_inline]] static Vector all(real x) { return x - Vector{}; }
  [[gnu::always_inline]] static Vector all(Vector x) { return x; }
  [[gnu::always_inline]] static Vector abs(Vector x) { return abs_of(x); }
  [[gnu::always_inline]] static Vector exp(Vector x) { return exp_of(x); }
  [[gnu::always_inline]] static Vector expm1(Vector x) { return expm1_of(x); }
  [[gnu::always_inline]] static Vector log(Vector x) { return log_of(x); }
  [[gnu::always_inline]] static Vector log1p(Vector x) { return log1p_of(x); }
  [[gnu::always_inline]] static Vector tanh(Vector x) { return tanh_of(x); }
  [[gnu::always_inline]] static Vector erf(Vector x) { return erf_of(x); }
  [[gnu::always_inline]] static Vector bell(Vector x) { return exp_of_square(x, real(-0.5)); }
  [[gnu::always_inline]] static Vector phi(Vector x) { return phi_of(x); }

  [[gnu::always_inline]] static Vector sqrt(Vector x) {
    real lanes[kLanes];
    store(lanes, x);
    for (real& lane : lanes)
      lane = sizeof(real) == 8 ? __builtin_sqrt(lane) : __builtin_sqrtf(lane);
    return load(lanes);
  }
  // The C++ library's: a logarithm of float's digits would lose those that a large exponent needs.
  [[gnu::always_inline]] static Vector pow(Vector x, Vector y) {
    real bases[kLanes], exponents[kLanes];
    store(bases, x);
    store(exponents, y);
    for (int i = 0; i < kLanes; ++i) {
      bases[i] = sizeof(real) == 8 ? __builtin_pow(bases[i], exponents[i])
                                   : __builtin_powf(bases[i], exponents[i]);
    }
    return load(bases);
  }
};

template <class Formula>
void unary_value(real* y, const real* x, std::int64_t count, const Formula& formula) {
  const Formula local = formula;  // writing a result changes nothing of it
  for_elements(count, [=](auto at) { at.put(y, local.template value<Wide>(at[x])); });
}

template <class At>
[[gnu::always_inline]] inline void leave(At at, real* dx, Vector gradient, Write write) {
  at.put(dx, write == Write::set ? gradient : at[dx] + gradient);
}

template <class Formula>
void unary_gradient(real* dx, const real* dy, const real* x, std::int64_t count, Write write,
                    const Formula& formula) {
  const Formula local = formula;
  for_elements(
      count, [=](auto at) { leave(at, dx, local.template gradient<Wide>(at[dy], at[x]), write); });
}

// Calls body(at, a, b) for all elements, with vectors of both operands.
template <class Body>
[[gnu::always_inline]] inline void for_pairs(const Operands& from, std::int64_t count,
                                             const Body& body) {
  const real *a = from.a, *b = from.b;
  if (from.a_moves && from.b_moves) {
    for_elements(count, [=](auto at) { body(at, at[a], at[b]); });
  } else if (from.a_moves) {
    const Vector same = Wide::all(*b);
    for_elements(count, [=](auto at) { body(at, at[a], same); });
  } else if (from.b_moves) {
    const Vector same = Wide::all(*a);
    for_elements(count, [=](auto at) { body(at, same, at[b]); });
  } else {
    const Vector same_a = Wide::all(*a), same_b = Wide::all(*b);
    for_elements(count, [=](auto at) { body(at, same_a, same_b); });
  }
}

template <class Formula>
void binary_value(real* y, const Operands& from, std::int64_t count, const Formula& formula) {
  const Formula local = formula;
  for_pairs(from, count,
            [=](auto at, Vector a, Vector b) { at.put(y, local.template value<Wide>(a, b)); });
}

template <class Formula>
void binary_gradient(real* g, const real* dy, const Operands& from, std::int64_t count, Write write,
                     const Formula& formula, Operand by) {
  const Formula local = formula;
  if (by == Operand::a) {
    for_pairs(from, count, [=](auto at, Vector a, Vector b) {
      leave(at, g, local.template gradient_a<Wide>(at[dy], a, b), write);
    });
  } else {
    for_pairs(from, count, [=](auto at, Vector a, Vector b) {
      leave(at, g, local.template gradient_b<Wide>(at[dy], a, b), write);
    });
  }
}

}  // namespace

#define UNARY(Formula) \
  , { unary_value<formulas::Formula>, unary_gradient<formulas::Formula> }
#define BINARY(Formula) \
  , { {binary_value<formulas::Formula>}, binary_gradient<formulas::Formula> }
#define COMPARISON(Formula) \
  , { binary_value<formulas::Formula> }
const PointwiseSimd pointwise_simd = {NoLoops{} SERENADE_FORMULAS(UNARY, BINARY, COMPARISON)};

}  // namespace serenade::cpu::SERENADE_ISA
