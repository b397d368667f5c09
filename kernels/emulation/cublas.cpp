// The emulated device has no cuBLAS.

#include "kernels/gemm/cuda/cublas.h"

#include <stdexcept>

namespace serenade::cuda {
namespace {

constexpr const char* kReason = "cuBLAS does not run on the emulated device";

}  // namespace

bool cublas_available(std::string* reason) {
  if (reason != nullptr) *reason = kReason;
  return false;
}

void gemm_cublas(bool, bool, std::int64_t, std::int64_t, std::int64_t, real, const real*,
                 std::int64_t, const real*, std::int64_t, real, real*, std::int64_t) {
  throw std::runtime_error(kReason);
}

void gemm_batched_cublas(std::int64_t, bool, bool, std::int64_t, std::int64_t, std::int64_t, real,
                         const real*, std::int64_t, const real*, std::int64_t, real, real*,
                         std::int64_t) {
  throw std::runtime_error(kReason);
}

}  // namespace serenade::cuda
