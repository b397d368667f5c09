#pragma once
// NVIDIA's matrix products as a yardstick for ours: loaded when first asked for, never linked, so a
// program does without the library.

#include <cstdint>
#include <string>

#include "kernels/runtime/real.h"

namespace serenade::cuda {

/// Whether cuBLAS and a device are there; if not, why not in *reason (may be null), as a sentence
/// without a full stop.
bool cublas_available(std::string* reason);

/// gemm of kernels/gemm/gemm.h by cuBLAS, in float32_math(). Throws std::runtime_error where it is
/// not available or fails.
void gemm_cublas(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 real alpha, const real* a, std::int64_t lda, const real* b, std::int64_t ldb,
                 real beta, real* c, std::int64_t ldc);

/// gemm_batched of kernels/gemm/gemm.h, the same way.
void gemm_batched_cublas(std::int64_t batch, bool transpose_a, bool transpose_b, std::int64_t m,
                         std::int64_t n, std::int64_t k, real alpha, const real* a,
                         std::int64_t stride_a, const real* b, std::int64_t stride_b, real beta,
                         real* c, std::int64_t stride_c);

}  // namespace serenade::cuda
