#pragma once
// What the kernels share that do little more than move memory: a loop over elements by the whole
// grid, accesses of 16 bytes, offsets into views, sums over the lanes of a warp or a block.
//
// An H200 moves 4.3 TB/s and adds 67 TFLOP/s: 60 operations for every float that is read. So these
// kernels are limited by bandwidth, as long as enough bytes are in flight (about 20 KB per
// multiprocessor: 4.3 TB/s times 600 ns, over 132). Hence many threads, and 16 bytes to each.

#include <algorithm>
#include <cstdint>

#include "kernels/runtime/cuda/device_code.h"
#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/real.h"

namespace serenade::cuda {

// Loops over elements -----------------------------------------------------------------------------

inline constexpr int kLoopThreads = 256;

/// Blocks for a loop over `items` (at least 1), each thread of which begins at loop_begin() and
/// goes on in steps of grid_stride(): no more than fit the device at once.
inline dim3 loop_grid(std::int64_t items) {
  const std::int64_t all = (items + kLoopThreads - 1) / kLoopThreads;
  const std::int64_t resident = 8 * static_cast<std::int64_t>(multiprocessors());
  return dim3(static_cast<unsigned>(std::min(all, resident)));
}

__device__ __forceinline__ std::int64_t loop_begin() {
  return static_cast<std::int64_t>(blockIdx.x) * kLoopThreads + threadIdx.x;
}
__device__ __forceinline__ std::int64_t grid_stride() {
  return static_cast<std::int64_t>(gridDim.x) * kLoopThreads;
}

/// Four consecutive values: one access of 16 bytes (two in double).
struct alignas(16) Vec4 {
  real value[4];
};

/// True if Vec4s may begin at p.
inline bool is_vec4_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(Vec4) == 0;
}

/// Four values from p on, or four times *p.
template <class Pointer>
__device__ __forceinline__ Vec4 load_vec4(Pointer p, bool moves) {
  if (moves) return load_vector<Vec4>(p);
  const real v = p[0];
  return Vec4{{v, v, v, v}};
}

// Views -------------------------------------------------------------------------------------------

/// Axes of a view, row-major, with the steps of two arrays along each. The outermost axis costs no
/// division, so the single axis of contiguous memory costs none.
struct Axes {
  int dims = 0;
  std::int64_t count = 1;
  std::int64_t shape[kMaxDims] = {};
  std::int64_t step_x[kMaxDims] = {};
  std::int64_t step_y[kMaxDims] = {};

  void append(std::int64_t size, std::int64_t x, std::int64_t y) {
    shape[dims] = size;
    step_x[dims] = x;
    step_y[dims] = y;
    ++dims;
    count *= size;
  }

  /// The last axis in steps of four elements.
  void group_by_four() {
    shape[dims - 1] /= 4;
    step_x[dims - 1] *= 4;
    step_y[dims - 1] *= 4;
    count /= 4;
  }

  /// Adds the offsets of element `index` to x and y. (The compiler divides in 32 bits where both
  /// operands turn out to fit.)
  __device__ __forceinline__ void add_offsets(std::int64_t index, std::int64_t& x,
                                              std::int64_t& y) const {
    for (int axis = dims - 1; axis > 0; --axis) {
      const std::int64_t rest = index / shape[axis], position = index - rest * shape[axis];
      x += position * step_x[axis];
      y += position * step_y[axis];
      index = rest;
    }
    x += index * step_x[0];
    y += index * step_y[0];
  }
};

/// True if rows of `length` elements that begin at multiples of the other strides are whole Vec4s,
/// or a single element (last stride 0).
inline bool rows_are_vec4_aligned(const void* p, const std::int64_t* strides, int dims) {
  if (strides[dims - 1] == 0) return true;
  bool whole = strides[dims - 1] == 1 && is_vec4_aligned(p);
  for (int axis = 0; axis < dims - 1; ++axis) whole = whole && strides[axis] % 4 == 0;
  return whole;
}

// Sums over threads, in a fixed order -------------------------------------------------------------

/// The smallest power of two that is at least min(n, most).
inline int power_of_two_for(std::int64_t n, int most) {
  int power = 1;
  while (power < n && power < most) power *= 2;
  return power;
}

/// op over the values of `lanes` consecutive lanes (a power of two up to 32); every lane gets the
/// result. The whole warp takes part.
template <class T, class Op>
__device__ __forceinline__ T warp_reduce(T value, int lanes, Op op) {
  for (int step = lanes / 2; step > 0; step /= 2) {
    value = op(value, __shfl_xor_sync(0xFFFFFFFFu, value, step));
  }
  return value;
}

/// op over the values of all threads of a block of whole warps; every thread gets the result.
/// `scratch` is shared memory for 32 values. Ends with a barrier, so scratch may be used again at
/// once.
template <class T, class Op>
__device__ __forceinline__ T block_reduce(T value, SharedPointer<T> scratch, Op op) {
  const int warp = static_cast<int>(threadIdx.x / 32), warps = static_cast<int>(blockDim.x / 32);
  value = warp_reduce(value, 32, op);
  if (threadIdx.x % 32 == 0) scratch[warp] = value;
  __syncthreads();
  T total = scratch[0];
  for (int other = 1; other < warps; ++other) total = op(total, T(scratch[other]));
  __syncthreads();
  return total;
}

struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};

/// The larger one; NaN if either is, since comparisons with NaN are false.
struct LargerOrNan {
  __device__ real operator()(real a, real b) const { return b > a || b != b ? b : a; }
};

/// The larger one; the first where either is NaN.
struct Larger {
  __device__ real operator()(real a, real b) const { return b > a ? b : a; }
};

struct Smaller {
  __device__ std::int64_t operator()(std::int64_t a, std::int64_t b) const { return b < a ? b : a; }
};

}  // namespace serenade::cuda
