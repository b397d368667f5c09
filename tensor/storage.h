#pragma once
// A block of memory on a device, shared by all the tensors that view it.

#include <cstddef>
#include <cstdint>

#include "kernels/runtime/device.h"

namespace serenade {

/// Owns raw bytes on a device. Held by std::shared_ptr; never copied.
class Storage {
 public:
  enum class Contents { anything, zeros };

  Storage(std::size_t bytes, Device device, Contents contents = Contents::anything);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  /// How often its numbers have been changed since they were first used: whoever saves them for
  /// later sees by this whether they are still the same.
  std::uint64_t version() const { return version_; }
  void mark_changed() { ++version_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
  Device device_;
  std::uint64_t version_ = 0;
};

}  // namespace serenade
