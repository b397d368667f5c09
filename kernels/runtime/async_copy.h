#pragma once
// Copies between the host and a device that run beside the kernels: the next batch comes in and the
// loss of the last step goes out without either waiting for the other. On the CPU a copy is done
// when its call returns.

#include <cstddef>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// Host memory that a device can read by itself (page-locked). Throws std::bad_alloc.
DECLARE_KERNEL(void allocate_host(void** pointer, std::size_t bytes));
DECLARE_KERNEL(void release_host(void* pointer));

/// A copy to the device. Belongs to one destination, which it may fill again and again.
struct AsyncCopyToDevice {
  void* state = nullptr;
};

/// Begins to copy `bytes` bytes of memory from allocate_host() to the device, beside whatever runs
/// there; the source must not change until finish_copy_to_device(). May be called by any one
/// thread.
DECLARE_KERNEL(void begin_copy_to_device(AsyncCopyToDevice& copy, void* destination,
                                         const void* source, std::size_t bytes));
/// Kernels launched from now on find the bytes at the destination. Does not wait. Not inside
/// run_captured(), as the next.
DECLARE_KERNEL(void use_copy_to_device(AsyncCopyToDevice& copy));
/// The next begin_copy_to_device() comes after all kernels launched so far: they may read the
/// destination. Also needed before the first one, since its memory may have served other kernels.
DECLARE_KERNEL(void end_copy_use(AsyncCopyToDevice& copy));
/// Waits until the source has been read.
DECLARE_KERNEL(void finish_copy_to_device(AsyncCopyToDevice& copy));
DECLARE_KERNEL(void release_copy_to_device(AsyncCopyToDevice& copy));

/// A few bytes from the device, fetched as soon as everything asked of it so far has been done.
struct AsyncCopyToHost {
  static constexpr std::size_t kMaxBytes = 64;
  void* state = nullptr;
};

DECLARE_KERNEL(void begin_copy_to_host(AsyncCopyToHost& copy, const void* source,
                                       std::size_t bytes));
/// Waits for the bytes and copies them to host memory. Once per begin_copy_to_host().
DECLARE_KERNEL(void finish_copy_to_host(AsyncCopyToHost& copy, void* destination,
                                        std::size_t bytes));
/// Abandons what was not finished; nothing to do after finish_copy_to_host().
DECLARE_KERNEL(void abandon_copy_to_host(AsyncCopyToHost& copy));

/// *bytes: what allocate() could still take from the device; on the CPU, and under the emulation, a
/// number too large to matter.
DECLARE_KERNEL(void free_memory(std::size_t* bytes));

}  // namespace serenade
