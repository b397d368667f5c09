#pragma once
// Matrix products by our own packed kernel, many of them in one parallel region. The public
// functions are in kernels/gemm/gemm.h; kernels with several products at once save thread starts
// here.

#include <cstdint>
#include <span>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// C = alpha op(A) op(B) + beta C, as in kernels/gemm/gemm.h.
struct GemmProduct {
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  real alpha = 1;
  const real* a = nullptr;
  std::int64_t lda = 0;
  const real* b = nullptr;
  std::int64_t ldb = 0;
  real beta = 0;
  real* c = nullptr;
  std::int64_t ldc = 0;
};

/// As if one product after the other, but for rounding: a later one may add to the result of an
/// earlier one, but not read it as an operand. Two neighbours of equal sizes share the work on an
/// operand that they have in common. The bits depend on the products and their order, not on
/// threads or on how C is cut. k >= 1; may be called from inside a parallel region, and then uses
/// one thread.
void gemm_in_order(std::span<const GemmProduct> products);

}  // namespace serenade::cpu
