// cuBLAS by dlopen. The handful of its types that we need is declared here, so that building asks
// for no header of it; values and signatures: NVIDIA, cuBLAS Library, "cuBLAS Datatypes Reference",
// "cublas<t>gemm()" and "cublas<t>gemmStridedBatched()".

#include "tests/yardsticks/cublas.h"

#include <dlfcn.h>

#include <stdexcept>

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::cuda {
namespace {

using Handle = void*;                                     // cublasHandle_t
using Status = int;                                       // cublasStatus_t; 0: success
enum Operation : int { kAsStored = 0, kTransposed = 1 };  // CUBLAS_OP_N, CUBLAS_OP_T
// CUBLAS_DEFAULT_MATH: full float32 for a product of floats; CUBLAS_PEDANTIC_MATH would be that as
// well, but is not meant to be fast, and so no fair yardstick. CUBLAS_TF32_TENSOR_OP_MATH.
enum MathMode : int { kDefaultMath = 0, kTf32Math = 3 };

#ifdef SERENADE_DOUBLE
constexpr const char* kGemmName = "cublasDgemm_v2";
constexpr const char* kBatchedName = "cublasDgemmStridedBatched";
#else
constexpr const char* kGemmName = "cublasSgemm_v2";
constexpr const char* kBatchedName = "cublasSgemmStridedBatched";
#endif

struct Cublas {
  std::string reason;  // why it cannot be used; empty if it can
  Handle handle = nullptr;
  Status (*create)(Handle*) = nullptr;
  Status (*set_stream)(Handle, cudaStream_t) = nullptr;
  Status (*set_math_mode)(Handle, int) = nullptr;
  Status (*gemm)(Handle, int, int, int, int, int, const real*, const real*, int, const real*, int,
                 const real*, real*, int) = nullptr;
  Status (*gemm_batched)(Handle, int, int, int, int, int, const real*, const real*, int, long long,
                         const real*, int, long long, const real*, real*, int, long long,
                         int) = nullptr;
};

template <class Function>
bool find(Function& function, void* library, const char* name) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

Cublas load() {
  Cublas found;
  if (!device().usable) {
    found.reason = device().reason;
    return found;
  }
  void* library = nullptr;
  for (const char* name : {"libcublas.so.13", "libcublas.so.12", "libcublas.so"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) {
    found.reason =
        "neither libcublas.so.13 nor libcublas.so.12 can be loaded; install cuBLAS or put its "
        "folder into LD_LIBRARY_PATH";
    return found;
  }
  const bool complete = find(found.create, library, "cublasCreate_v2") &&
                        find(found.set_stream, library, "cublasSetStream_v2") &&
                        find(found.set_math_mode, library, "cublasSetMathMode") &&
                        find(found.gemm, library, kGemmName) &&
                        find(found.gemm_batched, library, kBatchedName);
  if (!complete) {
    found.reason = "libcublas lacks a function that this program needs";
    return found;
  }
  const Status status = found.create(&found.handle);
  if (status != 0) found.reason = "cublasCreate failed with status " + std::to_string(status);
  return found;
}

const Cublas& cublas() {
  static const Cublas loaded = load();
  return loaded;
}

void check(Status status, const char* what) {
  if (status == 0) return;
  throw std::runtime_error(std::string("cuBLAS: ") + what + " failed with status " +
                           std::to_string(status));
}

/// The library, ready for a product in the stream and the arithmetic of all kernels.
const Cublas& prepare() {
  const Cublas& library = cublas();
  if (!library.reason.empty()) throw std::runtime_error("cuBLAS: " + library.reason);
  check(library.set_stream(library.handle, current_stream()), "cublasSetStream");
  const bool tf32 = float32_math() == Float32Math::tf32;
  check(library.set_math_mode(library.handle, tf32 ? kTf32Math : kDefaultMath),
        "cublasSetMathMode");
  return library;
}

int operation(bool transpose) { return transpose ? kTransposed : kAsStored; }

}  // namespace

bool cublas_available(std::string* reason) {
  if (reason != nullptr) *reason = cublas().reason;
  return cublas().reason.empty();
}

// cuBLAS counts columns first: to it our matrices are transposed, so it is asked for C^T = B^T A^T.

void gemm_cublas(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                 real alpha, const real* a, std::int64_t lda, const real* b, std::int64_t ldb,
                 real beta, real* c, std::int64_t ldc) {
  const Cublas& library = prepare();
  if (m == 0 || n == 0) return;
  check(library.gemm(library.handle, operation(transpose_b), operation(transpose_a),
                     static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), &alpha, b,
                     static_cast<int>(ldb), a, static_cast<int>(lda), &beta, c,
                     static_cast<int>(ldc)),
        kGemmName);
}

void gemm_batched_cublas(std::int64_t batch, bool transpose_a, bool transpose_b, std::int64_t m,
                         std::int64_t n, std::int64_t k, real alpha, const real* a,
                         std::int64_t stride_a, const real* b, std::int64_t stride_b, real beta,
                         real* c, std::int64_t stride_c) {
  const Cublas& library = prepare();
  if (batch == 0 || m == 0 || n == 0) return;
  const std::int64_t lda = transpose_a ? m : k, ldb = transpose_b ? k : n;
  check(library.gemm_batched(library.handle, operation(transpose_b), operation(transpose_a),
                             static_cast<int>(n), static_cast<int>(m), static_cast<int>(k), &alpha,
                             b, static_cast<int>(ldb), stride_b, a, static_cast<int>(lda), stride_a,
                             &beta, c, static_cast<int>(n), stride_c, static_cast<int>(batch)),
        kBatchedName);
}

}  // namespace serenade::cuda
