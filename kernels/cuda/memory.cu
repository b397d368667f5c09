// Memory of the device. Blocks are kept and lent again (block_cache.h): everything runs in one
// stream, so a block may change hands as soon as its last kernel has been launched.

#include "kernels/memory.h"

#include "kernels/block_cache.h"
#include "kernels/cuda/runtime.h"

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
BlockCache<DeviceBlocks>& block_cache() {
  static auto* cache = new BlockCache<DeviceBlocks>;
  return *cache;
}

}  // namespace

void allocate(void** pointer, std::size_t bytes) { *pointer = block_cache().take(bytes); }
void release(void* pointer) { block_cache().give_back(pointer); }
AllocationCounts allocation_counts() { return block_cache().counts(); }
void reset_allocation_peak() { block_cache().reset_peak(); }

}  // namespace serenade::cuda
