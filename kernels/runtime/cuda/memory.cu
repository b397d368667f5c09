// Memory of the device. Blocks are kept and lent again (block_cache.h): everything runs in one
// stream, so a block may change hands as soon as its last kernel has been launched.

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
  void* allocate(std::size_t bytes) { return block_from_system(bytes); }
  void free(void* block) { block_to_system(block); }
  void lent(void* block, std::size_t bytes) { block_lent(block, bytes); }
  void returned(void* block) { block_returned(block); }
};

// Never destroyed: tensors in static variables may outlive every other static.
CachingAllocator<DeviceBlocks>& block_cache() {
  static auto* cache = new CachingAllocator<DeviceBlocks>;
  return *cache;
}

// Small zeroed blocks are cut from large ones that are cleared as a whole: the gradients of a
// supernet are some 150 arrays, and a launch to clear each of them took more launches than anything
// else in its step. A large block goes back when the last of its pieces has.
class ZeroedBlocks {
 public:
  static constexpr std::size_t kLargestPiece = std::size_t{256} << 10;

  void* take(std::size_t bytes) {
    const std::size_t size =
        (std::max<std::size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (open_ == nullptr || size > kBytes - used_) open_another();
    void* const piece = open_ + used_;
    used_ += size;
    ++pieces_[open_];
    owners_.emplace(piece, open_);
    block_lent_zeroed(piece, bytes);
    return piece;
  }

  /// False if the pointer is not one of these.
  bool give_back(void* piece) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto owner = owners_.find(piece);
    if (owner == owners_.end()) return false;
    block_returned(piece);
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
    open_ = static_cast<char*>(block_cache().take(kBytes));
    block_returned(open_);  // its pieces are what kernels may use
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
    block_lent(block, kBytes);
    block_cache().give_back(block);
  }

  std::mutex mutex_;
  char* open_ = nullptr;                            // pieces are cut from here ..
  std::size_t used_ = 0;                            // .. from this byte on
  std::unordered_map<char*, std::int64_t> pieces_;  // lent out, of each block
  std::unordered_map<void*, char*> owners_;         // of each piece that is lent out
};

ZeroedBlocks& zeroed_blocks() {
  static auto* blocks = new ZeroedBlocks;  // never destroyed, as above
  return *blocks;
}

}  // namespace

void allocate(void** pointer, std::size_t bytes) { *pointer = block_cache().take(bytes); }

void allocate_zeroed(void** pointer, std::size_t bytes) {
  if (bytes <= ZeroedBlocks::kLargestPiece) {
    *pointer = zeroed_blocks().take(bytes);
  } else {
    allocate(pointer, bytes);
    clear(*pointer, bytes);
  }
}

void release(void* pointer) {
  if (!zeroed_blocks().give_back(pointer)) block_cache().give_back(pointer);
}

void clear_zeroed_blocks_anew() { zeroed_blocks().close(); }

AllocationCounts allocation_counts() { return block_cache().counts(); }
void reset_allocation_peak() { block_cache().reset_peak(); }

}  // namespace serenade::cuda
