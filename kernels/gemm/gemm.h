#pragma once
// Matrix products. On the CPU: OpenBLAS, called with one thread per block of a fixed partition that
// our own threads share, so the bits do not depend on the thread count and the two never fight.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// C = alpha op(A) op(B) + beta C, all row-major; op transposes where asked.
/// op(A): [m, k], op(B): [k, n], C: [m, n]; lda, ldb, ldc: elements between rows as stored.
/// beta = 0 overwrites C, whatever it held. May be called from inside a parallel region.
DECLARE_KERNEL(void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
                         std::int64_t k, real alpha, const real* a, std::int64_t lda, const real* b,
                         std::int64_t ldb, real beta, real* c, std::int64_t ldc));

/// `batch` products of packed matrices: matrix i of A starts at a + i * stride_a, and so on.
DECLARE_KERNEL(void gemm_batched(std::int64_t batch, bool transpose_a, bool transpose_b,
                                 std::int64_t m, std::int64_t n, std::int64_t k, real alpha,
                                 const real* a, std::int64_t stride_a, const real* b,
                                 std::int64_t stride_b, real beta, real* c, std::int64_t stride_c));

namespace cpu {
/// Which of OpenBLAS's kernels this processor gets: "Haswell", "SkylakeX". Products of the same
/// numbers differ between them in their last bits.
const char* openblas_core();
}  // namespace cpu

}  // namespace serenade
