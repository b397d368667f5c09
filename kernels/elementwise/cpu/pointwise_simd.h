#pragma once
// The formulas of formulas.h over stretches of memory, one table of functions per instruction set
// (source: cpu/simd/pointwise.cpp).

#include <cstdint>

#include "kernels/elementwise/pointwise.h"

namespace serenade::cpu {

/// y[i] = value(x[i]), dx[i] += gradient(dy[i], x[i]) (or =), i < count; y may be x.
template <class Formula>
struct UnaryLoops {
  void (*value)(real* y, const real* x, std::int64_t count, const Formula& formula);
  void (*gradient)(real* dx, const real* dy, const real* x, std::int64_t count, Write write,
                   const Formula& formula);
};

/// The same of numbers a and b, each a row or, if it does not move, the same number for all.
struct Operands {
  const real *a, *b;
  bool a_moves, b_moves;
};
template <class Formula>
struct ComparisonLoops {
  void (*value)(real* y, const Operands& from, std::int64_t count, const Formula& formula);
};
/// g[i] += the gradient of a or of b (or =).
template <class Formula>
struct BinaryLoops : ComparisonLoops<Formula> {
  void (*gradient)(real* g, const real* dy, const Operands& from, std::int64_t count, Write write,
                   const Formula& formula, Operand by);
};

/// The loops of a formula are the base class that is made of it.
#define SERENADE_UNARY_BASE(Formula) , UnaryLoops<formulas::Formula>
#define SERENADE_BINARY_BASE(Formula) , BinaryLoops<formulas::Formula>
#define SERENADE_COMPARISON_BASE(Formula) , ComparisonLoops<formulas::Formula>
struct NoLoops {};  // the list that follows begins with a comma
struct PointwiseSimd : NoLoops SERENADE_FORMULAS(SERENADE_UNARY_BASE, SERENADE_BINARY_BASE,
                                                 SERENADE_COMPARISON_BASE) {};
#undef SERENADE_UNARY_BASE
#undef SERENADE_BINARY_BASE
#undef SERENADE_COMPARISON_BASE

/// The table of the active instruction set.
const PointwiseSimd& pointwise_simd();

}  // namespace serenade::cpu
