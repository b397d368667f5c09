#pragma once
// The loops round the formulas of formulas.h: a new function of one or two numbers is a struct
// there and its name in the list at the end of this file.

#include <cstdint>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/formulas.h"

namespace serenade {

/// y = formula.value(x); y may be x. count elements each.
DECLARE_KERNEL(template <class Formula> void unary_forward(real* y, const real* x,
                                                           std::int64_t count,
                                                           const Formula& formula));
/// dx += formula.gradient(dy, x), or = with Write::set.
DECLARE_KERNEL(template <class Formula> void unary_backward(real* dx, const real* dy, const real* x,
                                                            std::int64_t count, Write write,
                                                            const Formula& formula));

/// y = formula.value(a, b). y: [shape], contiguous; a, b: as `broadcast` says (elementwise.h).
DECLARE_KERNEL(template <class Formula> void binary_forward(real* y, const real* a, const real* b,
                                                            const Broadcast& broadcast,
                                                            const Formula& formula));

enum class Operand { a, b };

/// g += formula.gradient_a(dy, a, b), or gradient_b; with Write::set, =. g, dy: [shape],
/// contiguous. Where the operand was repeated, add_backward (elementwise.h) then sums g over the
/// repetitions.
DECLARE_KERNEL(template <class Formula>
               void binary_backward(real* g, const real* dy, const real* a, const real* b,
                                    const Broadcast& broadcast, Write write, const Formula& formula,
                                    Operand by));

/// y = a where mask is not 0, else b. y, mask: [shape], contiguous; a, b: as `broadcast` says.
DECLARE_KERNEL(void select_forward(real* y, const real* mask, const real* a, const real* b,
                                   const Broadcast& broadcast));

}  // namespace serenade

// For what formulas the templates exist: each device's source ends with this list.
#define SERENADE_FORMULAS(U, B, C) \
  U(Sqrt)                          \
  U(Rsqrt)                         \
  U(Abs)                           \
  U(Sign)                          \
  U(Clamp)                         \
  U(PowerOf)                       \
  U(Erf)                           \
  U(LeakyRelu)                     \
  U(Elu)                           \
  U(Gelu)                          \
  U(GeluTanh)                      \
  U(Silu)                          \
  U(Softplus)                      \
  U(Masked)                        \
  B(Power)                         \
  B(Maximum)                       \
  B(Minimum)                       \
  B(SquaredDifference)             \
  B(AbsoluteDifference)            \
  B(HuberDifference)               \
  B(BinaryCrossEntropy)            \
  B(Divergence)                    \
  B(LogDivergence)                 \
  C(Less)                          \
  C(LessEqual)                     \
  C(Equal)                         \
  C(NotEqual)

#define SERENADE_UNARY(Formula)                                                            \
  template void unary_forward(real*, const real*, std::int64_t, const formulas::Formula&); \
  template void unary_backward(real*, const real*, const real*, std::int64_t, Write,       \
                               const formulas::Formula&);
#define SERENADE_COMPARISON(Formula)                                              \
  template void binary_forward(real*, const real*, const real*, const Broadcast&, \
                               const formulas::Formula&);
#define SERENADE_BINARY(Formula)                                                                \
  SERENADE_COMPARISON(Formula)                                                                  \
  template void binary_backward(real*, const real*, const real*, const real*, const Broadcast&, \
                                Write, const formulas::Formula&, Operand);
