#include "kernels/emulation/shared_memory.h"

#include <cstring>
#include <string>

namespace serenade::emulation {

void SharedMemory::begin_launch(std::size_t dynamic_bytes, const SourceLocation& where) {
  if (dynamic_bytes > kSharedLimit) {
    fail(Fault::shared_memory, where,
         "asks for " + std::to_string(dynamic_bytes) + " bytes of dynamic shared memory; a block " +
             "can have " + std::to_string(kSharedLimit));
  }
  arrays_.clear();
  static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  dynamic_.reset();
  if (dynamic_bytes > 0) {
    dynamic_ = std::make_unique<Region>(Region::Space::shared, "(dynamic)", dynamic_arena_->bytes,
                                        dynamic_bytes, 4, false);
  }
}

void SharedMemory::begin_block() {
  std::memset(static_arena_->bytes, 0xFF, static_bytes_);
  std::memset(dynamic_arena_->bytes, 0xFF, dynamic_bytes_);
}

Region& SharedMemory::array(const void* key, const char* name, std::size_t bytes,
                            std::size_t alignment, std::size_t element_bytes,
                            const SourceLocation& where) {
  for (const auto& array : arrays_) {
    if (array->key == key) return array->region;
  }
  // Arrays begin at multiples of 16, as nvcc does it for anything that may be read as a vector.
  const std::size_t unit = alignment < 16 ? 16 : alignment;
  const std::size_t offset = (static_bytes_ + unit - 1) / unit * unit;
  if (offset + bytes > kStaticSharedLimit) {
    fail(Fault::shared_memory, where,
         "declares " + std::to_string(offset + bytes) + " bytes of static shared memory with " +
             name + "; a block can have " + std::to_string(kStaticSharedLimit));
  }
  if (offset + bytes + dynamic_bytes_ > kSharedLimit) {
    fail(Fault::shared_memory, where,
         "has " + std::to_string(offset + bytes) + " bytes of static shared memory with " + name +
             " and " + std::to_string(dynamic_bytes_) + " dynamic ones; a block can have " +
             std::to_string(kSharedLimit));
  }
  static_bytes_ = offset + bytes;
  char* const begin = static_arena_->bytes + offset;
  std::memset(begin, 0xFF, bytes);
  arrays_.push_back(std::make_unique<Array>(
      Array{key, Region(Region::Space::shared, name, begin, bytes, element_bytes, false)}));
  return arrays_.back()->region;
}

Region& SharedMemory::dynamic(const SourceLocation& where) {
  if (dynamic_ == nullptr) {
    fail(Fault::shared_memory, where, "uses dynamic shared memory; the launch gives it none");
  }
  return *dynamic_;
}

}  // namespace serenade::emulation
