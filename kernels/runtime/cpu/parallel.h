#pragma once
// Loops over many independent elements.
//
// Where threads do not pay, or run already, OpenMP is not entered at all: even a region of one
// thread costs it a microsecond, as much as a thousand additions.

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace serenade::cpu {

inline constexpr std::int64_t kParallelFrom = 1 << 15;  // below, starting threads costs more
inline constexpr std::int64_t kLoopBlock = 1 << 13;

/// True if a loop over this many elements should be shared among threads.
inline bool pays_in_parallel(std::int64_t elements) {
  return elements >= kParallelFrom && !omp_in_parallel() && omp_get_max_threads() > 1;
}

/// Calls item(i) for i < items, each about `work` elements, in parallel where that pays.
template <class Item>
void parallel_items(std::int64_t items, std::int64_t work, Item item) {
  if (items <= 1 || !pays_in_parallel(items * work)) {
    for (std::int64_t i = 0; i < items; ++i) item(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < items; ++i) item(i);
}

/// Calls block(begin, end) for consecutive ranges that cover 0 .. count-1, in parallel where that
/// pays. The ranges do not depend on the number of threads.
template <class Block>
void parallel_blocks(std::int64_t count, Block block) {
  parallel_items((count + kLoopBlock - 1) / kLoopBlock, kLoopBlock, [&](std::int64_t i) {
    block(i * kLoopBlock, std::min(count, (i + 1) * kLoopBlock));
  });
}

}  // namespace serenade::cpu
