#pragma once
// Squash and the norm of capsules (Sabour, Frosst & Hinton 2017, Eq. 1). With n2 = |s|^2:
//
//   squash(s) = s f(n2)        f(n2) = n2 / ((1 + n2) sqrt(n2 + 1e-12))
//   norm(v) = sqrt(|v|^2 + 1e-12)
//
// The 1e-12 keeps values and gradients finite at the zero vector; both gradients are 0 there. A
// capsule is `size` neighbouring reals.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

inline constexpr double kSquashEpsilon = 1e-12;

/// v, s: [count, size].
DECLARE_KERNEL(void squash_forward(real* v, const real* s, std::int64_t count, std::int64_t size));

/// ds += f dv + 2 f'(n2) (s . dv) s. ds, dv, s: [count, size].
DECLARE_KERNEL(void squash_backward(real* ds, const real* dv, const real* s, std::int64_t count,
                                    std::int64_t size));

/// norms: [count]; v: [count, size].
DECLARE_KERNEL(void capsule_norm_forward(real* norms, const real* v, std::int64_t count,
                                         std::int64_t size));

/// dv += dnorms v / norm(v). dv, v: [count, size]; dnorms: [count].
DECLARE_KERNEL(void capsule_norm_backward(real* dv, const real* dnorms, const real* v,
                                          std::int64_t count, std::int64_t size));

/// Each row of capsules, values first, then norms. y: [rows, capsules * size + capsules];
/// v: [rows, capsules, size].
DECLARE_KERNEL(void append_norms_forward(real* y, const real* v, std::int64_t rows,
                                         std::int64_t capsules, std::int64_t size));
DECLARE_KERNEL(void append_norms_backward(real* dv, const real* dy, const real* v,
                                          std::int64_t rows, std::int64_t capsules,
                                          std::int64_t size));

}  // namespace serenade
