#pragma once
// Loops over many independent elements.

#include <algorithm>
#include <cstdint>

namespace serenade::cpu {

inline constexpr std::int64_t kParallelFrom = 1 << 15;  // below, starting threads costs more
inline constexpr std::int64_t kLoopBlock = 1 << 13;

/// Calls block(begin, end) for consecutive ranges that cover 0 .. count-1, in parallel where that
/// pays. The ranges do not depend on the number of threads.
template <class Block>
void parallel_blocks(std::int64_t count, Block block) {
  const std::int64_t blocks = (count + kLoopBlock - 1) / kLoopBlock;
#pragma omp parallel for schedule(static) if (count >= kParallelFrom)
  for (std::int64_t i = 0; i < blocks; ++i) {
    block(i * kLoopBlock, std::min(count, (i + 1) * kLoopBlock));
  }
}

/// Calls item(i) for i < items, each about `work` elements, in parallel where that pays.
template <class Item>
void parallel_items(std::int64_t items, std::int64_t work, Item item) {
#pragma omp parallel for schedule(static) if (items > 1 && items * work >= kParallelFrom)
  for (std::int64_t i = 0; i < items; ++i) item(i);
}

}  // namespace serenade::cpu
