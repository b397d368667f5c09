#pragma once
// Raw memory on a device: the only way the layers above get, fill and move it.

#include <cstddef>
#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

inline constexpr int kMaxDims = 8;

/// Points *pointer to `bytes` bytes, aligned to 64; throws std::bad_alloc. Zero bytes are fine.
DECLARE_KERNEL(void allocate(void** pointer, std::size_t bytes));
/// The same, filled with zero bytes. A backward pass asks for many gradients of zeros; on a
/// device, small ones are cleared together.
DECLARE_KERNEL(void allocate_zeroed(void** pointer, std::size_t bytes));
DECLARE_KERNEL(void release(void* pointer));

/// What allocate() has done so far on a device. The working memory of kernels counts as well.
struct AllocationCounts {
  std::int64_t system_blocks = 0;  ///< blocks taken from the system since the program began
  std::int64_t held_bytes = 0;     ///< taken from it and not given back: in use or kept for later
  std::int64_t used_bytes = 0;     ///< in use now
  std::int64_t peak_bytes = 0;     ///< the most that was in use since reset_allocation_peak()
};

/// A training step takes no block from the system once all its sizes have been seen: tests hold
/// `system_blocks` to that, and `peak_bytes` is the memory that a step needs.
DECLARE_KERNEL(AllocationCounts allocation_counts());
DECLARE_KERNEL(void reset_allocation_peak());

/// Gives the system back what the host's heap keeps of memory that was freed, where the C library
/// can. To be called after work that took much for a moment, such as the copy of a whole state.
void return_freed_memory();

/// destination[i] = value for i < count.
DECLARE_KERNEL(void fill(real* destination, real value, std::int64_t count));

/// destination[i] += source[i] for i < count.
DECLARE_KERNEL(void accumulate(real* destination, const real* source, std::int64_t count));

/// Copies `count` reals within the device; the ranges do not overlap.
DECLARE_KERNEL(void copy(real* destination, const real* source, std::int64_t count));

/// Copies `bytes` bytes from or to host memory, and returns when the host's side may be used again:
/// copy_to_host waits for everything the device was asked to do before.
DECLARE_KERNEL(void copy_from_host(void* destination, const void* source, std::size_t bytes));
DECLARE_KERNEL(void copy_to_host(void* destination, const void* source, std::size_t bytes));

/// Reads a strided view into contiguous memory, row-major.
/// destination: [shape]; source: element (i0, i1, ..) at sum(i_k * strides[k]); strides in
/// elements, may be 0 (broadcast). dims <= kMaxDims.
DECLARE_KERNEL(void gather_strided(real* destination, const real* source, const std::int64_t* shape,
                                   const std::int64_t* strides, int dims));

/// The opposite: destination (strided) = source (contiguous). Strides must not overlap.
DECLARE_KERNEL(void scatter_strided(real* destination, const real* source,
                                    const std::int64_t* shape, const std::int64_t* strides,
                                    int dims));

/// The same, adding: destination (strided) += source (contiguous).
DECLARE_KERNEL(void scatter_add_strided(real* destination, const real* source,
                                        const std::int64_t* shape, const std::int64_t* strides,
                                        int dims));

}  // namespace serenade
