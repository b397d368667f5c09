// Memory of the device. Freed blocks are kept and reused (caching_allocator.h): everything runs in
// one stream, so a block may be reused as soon as its last kernel has been launched.

#include "kernels/runtime/memory.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "kernels/runtime/caching_allocator.h"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {
namespace {

struct DeviceBlocks {
  static constexpr bool kKeepsBlocks = true;
  static constexpr bool kTrims = false;  // freeing waits for the device, and a capture forbids it
  void* allocate(std::size_t bytes) { return system_allocate(bytes); }
  void free(void* block) { system_free(block); }
  void on_allocate(void* block, std::size_t bytes) { on_block_allocated(block, bytes); }
  void on_deallocate(void* block) { on_block_freed(block); }
};

// Never destroyed: tensors in static variables may outlive every other static.
CachingAllocator<DeviceBlocks>& allocator() {
  static auto* cache = new CachingAllocator<DeviceBlocks>;
  return *cache;
}

// Small zeroed blocks are cut from large ones that are cleared as a whole: the gradients of a
// supernet are some 150 arrays, and a launch to clear each of them took more launches than anything
// else in its step. A large block goes back when the last of its pieces has.
class ZeroedBlocks {
 public:
  static constexpr std::size_t kLargestPiece = std::size_t{256} << 10;

  void* allocate(std::size_t bytes) {
    const std::size_t size =
        (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (open_ == nullptr || size > kBytes - used_) open_another();
    void* const piece = open_ + used_;
    used_ += size;
    ++pieces_[open_];
    owners_.emplace(piece, open_);
    on_zeroed_block_allocated(piece, bytes);
    return piece;
  }

  /// False if the pointer is not one of these.
  bool deallocate(void* piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto owner = owners_.find(piece);
    if (owner == owners_.end()) return false;
    on_block_freed(piece);
    char* const block = owner->second;
    owners_.erase(owner);
    if (--pieces_[block] == 0 && block != open_) release_block(block);
    return true;
  }

  void close() {
    const std::lock_guard<std::mutex> lock(mutex_);
    close_locked();
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{4} << 20;
  static constexpr std::size_t kAlignment = 256;

  void open_another() {
    close_locked();
    open_ = static_cast<char*>(allocator().allocate(kBytes));
    on_block_freed(open_);  // its pieces are what kernels may use
    clear(open_, kBytes);
    used_ = 0;
  }

  void close_locked() {
    char* const closed = open_;
    open_ = nullptr;
    if (closed != nullptr && pieces_[closed] == 0) release_block(closed);
  }

  void release_block(char* block) {
    pieces_.erase(block);
    on_block_allocated(block, kBytes);
    allocator().deallocate(block);
  }

  std::mutex mutex_;
  char* open_ = nullptr;                            // pieces are cut from here ..
  std::size_t used_ = 0;                            // .. from this byte on
  std::unordered_map<char*, std::int64_t> pieces_;  // in use, of each block
  std::unordered_map<void*, char*> owners_;         // of each piece in use
};

ZeroedBlocks& zeroed_blocks() {
  static auto* blocks = new ZeroedBlocks;  // never destroyed, as above
  return *blocks;
}

}  // namespace

void allocate(void** pointer, std::size_t bytes) { *pointer = allocator().allocate(bytes); }

void allocate_zeroed(void** pointer, std::size_t bytes) {
  if (bytes <= ZeroedBlocks::kLargestPiece) {
    *pointer = zeroed_blocks().allocate(bytes);
  } else {
    allocate(pointer, bytes);
    clear(*pointer, bytes);
  }
}

void release(void* pointer) {
  if (!zeroed_blocks().deallocate(pointer)) allocator().deallocate(pointer);
}

void clear_zeroed_blocks_anew() { zeroed_blocks().close(); }

AllocationCounts allocation_counts() { return allocator().counts(); }
void reset_allocation_peak() { allocator().reset_peak(); }

}  // namespace serenade::cuda
