// The emulated device has neither cuBLAS nor cuDNN: the same functions, which say so.

#include <stdexcept>

#include "tests/yardsticks/cublas.h"
#include "tests/yardsticks/cudnn_gru.h"

namespace serenade::cuda {
namespace {

constexpr const char* kNoCublas = "cuBLAS does not run on the emulated device";
constexpr const char* kNoCudnn = "cuDNN does not run on the emulated device";

}  // namespace

bool cublas_available(std::string* reason) {
  if (reason != nullptr) *reason = kNoCublas;
  return false;
}

void gemm_cublas(bool, bool, std::int64_t, std::int64_t, std::int64_t, real, const real*,
                 std::int64_t, const real*, std::int64_t, real, real*, std::int64_t) {
  throw std::runtime_error(kNoCublas);
}

void gemm_batched_cublas(std::int64_t, bool, bool, std::int64_t, std::int64_t, std::int64_t, real,
                         const real*, std::int64_t, const real*, std::int64_t, real, real*,
                         std::int64_t) {
  throw std::runtime_error(kNoCublas);
}

struct CudnnGru::State {};

CudnnGru::CudnnGru(const GruParameters*, const std::int64_t*, const GruSizes&) {
  throw std::runtime_error(kNoCudnn);
}
CudnnGru::~CudnnGru() = default;
void CudnnGru::forward(real*, const real*, const real*) {}
void CudnnGru::backward(real*, const real*, real*) {}
void CudnnGru::add_gradients(const GruParameterGradients*) {}

}  // namespace serenade::cuda
