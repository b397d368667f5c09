#pragma once
// What every kernel source includes. nvcc compiles the source for the device; g++ compiles the same
// source for the emulation (emulation.h), which runs it on the CPU and watches it. A kernel is
// plain CUDA, with these words in place of what g++ does not know:
//
//   SERENADE_SHARED(float, tile, [16][17]);       __shared__ float tile[16][17];
//   SERENADE_DYNAMIC_SHARED(float, pool);         extern __shared__ memory as float* pool
//   SERENADE_LAUNCH(kernel, grid, block, shared_bytes, stream, arguments...);
//                                                 kernel<<<...>>>(arguments...), errors thrown
//   GlobalPointer<const float> x                  const float* __restrict__ x
//   AliasedPointer<float> y                       float* y: other parameters may point there too
//   SharedPointer<float> row                      float* row, into shared memory
//   load_vector<float4>(p), store_vector(p, v)    16 bytes in one access
//   copy_async<16>(to, from), commit_copies(), wait_for_copies<N>()      cp.async
//   to_tf32(x), mma_m16n8k8(d, a, b)              TF32 tensor cores
//   reciprocal(x)                                 1 / x in one instruction, without a branch
//   to_half(x), from_half(bits)                   half precision in memory
//   SERENADE_UNROLL for (...)                     #pragma unroll
//   SERENADE_UNROLL_BY(n) for (...)               #pragma unroll n; n = 1: not at all
//
// All of it is in namespace serenade::cuda, where the kernels are. kernels/emulation/README.md
// tells how to write a kernel for both compilers, and what the emulation finds.

#include <cstddef>
#include <cstdint>

#ifdef __CUDACC__

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace serenade::cuda {

/// Global memory. Nothing else refers to what it points to while the kernel runs (`__restrict__`):
/// a kernel that works in place has one pointer for both.
template <class T>
using GlobalPointer = T* __restrict__;

/// Global memory that another parameter may refer to as well: y of an operation that may work in
/// place, and its x.
template <class T>
using AliasedPointer = T*;

template <class T>
using SharedPointer = T*;

template <class Vector, class T>
__device__ __forceinline__ Vector load_vector(const T* p) {
  return *reinterpret_cast<const Vector*>(p);
}
template <class Vector, class T>
__device__ __forceinline__ void store_vector(T* p, Vector v) {
  *reinterpret_cast<Vector*>(p) = v;
}

/// Begins a copy of 4, 8 or 16 bytes from global to shared memory. `inside` false writes zeros and
/// reads nothing, so an edge needs no branch. 16 bytes go past the first-level cache.
template <int Bytes>
__device__ __forceinline__ void copy_async(void* to, const void* from, bool inside = true) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  const auto address = static_cast<unsigned>(__cvta_generic_to_shared(to));
  const int bytes = inside ? Bytes : 0;
  if constexpr (Bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from),
                 "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(from),
                 "n"(Bytes), "r"(bytes)
                 : "memory");
  }
}

/// Closes a group: all copies that this thread began since the last group.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until all of this thread's groups but the newest `Newest` have arrived. Other threads also
/// need a barrier to see them.
template <int Newest>
__device__ __forceinline__ void wait_for_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

/// 1 / x within one unit of the last place; 0 from 2^126 on, infinite below 2^-126. Division, which
/// is right there too, is a branch and six more instructions, and nothing moves past a branch.
__device__ __forceinline__ float reciprocal(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ double reciprocal(double x) { return 1 / x; }

/// x rounded to TF32 (10 bits of mantissa, ties away from zero), as an operand of mma_m16n8k8.
__device__ __forceinline__ std::uint32_t to_tf32(float x) {
  std::uint32_t bits;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
  return bits;
}

/// D[16, 8] += A[16, 8] B[8, 8] by all lanes of a warp, which hold the matrices in pieces; with
/// group = lane / 4 and member = lane % 4:
///   a[0..3]: A at (group, member), (group + 8, member), (group, member + 4),
///            (group + 8, member + 4)
///   b[0..1]: B at (member, group), (member + 4, group)
///   d[0..3]: D at (group, 2 member), (group, 2 member + 1), and the same of row group + 8
__device__ __forceinline__ void mma_m16n8k8(float (&d)[4], const std::uint32_t (&a)[4],
                                            const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// The bits of x rounded to half precision (IEEE binary16, ties to even; any NaN becomes 0x7FFF),
/// and the value of such bits.
__device__ __forceinline__ std::uint16_t to_half(float x) {
  std::uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
__device__ __forceinline__ float from_half(std::uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}

/// Launches, asking for more than 48 KB of dynamic shared memory where that is needed. Throws
/// std::runtime_error if the device refuses; what goes wrong inside the kernel shows later.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, cudaStream_t stream, Arguments&&... arguments) {
  cudaError_t error = cudaSuccess;
  if (shared_bytes > 48 * 1024) {
    error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<grid, block, shared_bytes, stream>>>(static_cast<Parameters>(arguments)...);
    error = cudaGetLastError();
  }
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string(name) +
                             ": cannot be launched: " + cudaGetErrorString(error));
  }
}

}  // namespace serenade::cuda

#define SERENADE_PRAGMA(words) _Pragma(#words)
#define SERENADE_UNROLL SERENADE_PRAGMA(unroll)
#define SERENADE_UNROLL_BY(times) SERENADE_PRAGMA(unroll times)
#define SERENADE_SHARED(type, name, dimensions) __shared__ __align__(16) type name dimensions
#define SERENADE_DYNAMIC_SHARED(type, name)                                       \
  extern __shared__ __align__(16) unsigned char serenade_dynamic_shared_memory[]; \
  type* const name = reinterpret_cast<type*>(serenade_dynamic_shared_memory)
#define SERENADE_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) \
  ::serenade::cuda::launch(#kernel, kernel, grid, block, shared_bytes,  \
                           stream __VA_OPT__(, ) __VA_ARGS__)

#else

#include "kernels/emulation/emulation.h"

#endif
