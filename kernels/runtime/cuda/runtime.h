#pragma once
// What the host side of every kernel source needs: the stream of all launches, working memory that
// ends with the call, and small host arrays copied to the device. There are two implementations:
// runtime.cu for a device, kernels/emulation/runtime.cpp for tests.
//
// Everything a kernel function starts goes to current_stream() and runs in order, so working memory
// may be freed as soon as its last kernel has been launched: whoever gets it next also comes later
// in the stream. No kernel function waits for the device.

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/runtime/cuda/device_code.h"
#include "kernels/runtime/memory.h"
#include "kernels/runtime/real.h"

namespace serenade::cuda {

/// The stream of all launches and copies.
cudaStream_t current_stream();

/// Multiprocessors of the device; the emulation says 4.
int multiprocessors();

/// Begins a copy of `bytes` bytes of host memory, which may change as soon as this returns.
void copy_to_device(void* destination, const void* source, std::size_t bytes);

/// While the stream captures: the device address at which a copy of the bytes will be whenever the
/// graph runs. All constants of a step go there in one copy before its launch, where each by itself
/// would be a node of the graph: a supernet's step has some thirty. Null when nothing is captured.
const void* captured_constant(const void* source, std::size_t bytes);

/// `destination` [bytes] = 0, in the stream.
void clear(void* destination, std::size_t bytes);

// For memory.cu: blocks of the device's own allocator (null when it has no more), and notices of
// blocks that are allocated and freed.
void* system_allocate(std::size_t bytes);
void system_free(void* block);
void on_block_allocated(void* block, std::size_t bytes);
void on_zeroed_block_allocated(void* block, std::size_t bytes);  ///< its bytes are 0
void on_block_freed(void* block);

/// Zeroed memory from now on comes from blocks cleared from now on: what a captured step uses must
/// be cleared by that step, each time at the same addresses.
void clear_zeroed_blocks_anew();

/// Working memory on the device for the kernels of one call, not initialised.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::int64_t count) {
    void* memory = nullptr;
    allocate(&memory, static_cast<std::size_t>(count) * sizeof(T));
    data_ = static_cast<T*>(memory);
  }
  ~DeviceArray() { release(data_); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }

 private:
  T* data_;
};

/// A copy on the device of a small array in host memory (labels, lengths, tables of pointers), for
/// the kernels of one call. A null array stays null.
template <class T>
class OnDevice {
 public:
  OnDevice(const T* host, std::int64_t count) {
    if (host == nullptr) return;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    data_ = static_cast<const T*>(captured_constant(host, bytes));
    if (data_ != nullptr) return;
    array_.emplace(count);
    copy_to_device(array_->data(), host, bytes);
    data_ = array_->data();
  }

  const T* data() const { return data_; }

 private:
  std::optional<DeviceArray<T>> array_;
  const T* data_ = nullptr;
};

/// Blocks of `threads` threads that cover `count` elements with one thread each.
inline unsigned blocks_for(std::int64_t count, int threads) {
  return static_cast<unsigned>((count + threads - 1) / threads);
}

}  // namespace serenade::cuda
