#pragma once
// Loops over independent work, shared among threads (kernels/runtime/cpu/thread_pool.h).
//
// Working memory for each thread is taken before the loop, thread_count() times, and found by
// thread_index(). A loop within a loop runs on the thread that comes to it.

#include <algorithm>
#include <cstdint>

#include "kernels/runtime/threads.h"

namespace serenade::cpu {

inline constexpr std::int64_t kParallelFrom = 1 << 15;  // below, starting threads costs more
inline constexpr std::int64_t kLoopBlock = 1 << 13;

/// Which thread of its team runs the current piece of a loop: less than the thread_count() of who
/// began the loop. 0 outside of loops.
int thread_index();

/// True within a piece of a loop that several threads share.
bool in_parallel();

/// Calls piece(context, i) for every i < pieces, each once, in any order, on the threads of the
/// caller; returns when all are done. An exception of a piece ends the loop and is thrown here.
void run_pieces(std::int64_t pieces, void (*piece)(const void* context, std::int64_t i),
                const void* context);

/// Calls range(begin, end) for `pieces` ranges of nearly equal size that cover 0 .. items-1.
template <class Range>
void parallel_ranges(std::int64_t items, std::int64_t pieces, const Range& range) {
  struct Cut {
    const Range& range;
    std::int64_t items, pieces;
  };
  const Cut cut{range, items, std::min(items, pieces)};
  const auto piece = [](const void* context, std::int64_t i) {
    const Cut& c = *static_cast<const Cut*>(context);
    c.range(c.items * i / c.pieces, c.items * (i + 1) / c.pieces);
  };
  run_pieces(cut.pieces, piece, &cut);
}

/// Calls item(i) for i < items, for items that take about equally long: every thread gets
/// neighbouring ones.
template <class Item>
void parallel_for(std::int64_t items, const Item& item) {
  parallel_ranges(items, thread_count(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) item(i);
  });
}

/// Calls item(i) for i < items, for few and large items: each goes to the next free thread.
template <class Item>
void parallel_each(std::int64_t items, const Item& item) {
  constexpr std::int64_t kMostPieces = 1 << 20;
  parallel_ranges(items, kMostPieces, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) item(i);
  });
}

/// True if a loop over this many elements should be shared among threads.
inline bool pays_in_parallel(std::int64_t elements) {
  return elements >= kParallelFrom && !in_parallel() && thread_count() > 1;
}

/// Calls item(i) for i < items, in parallel where it pays, which the caller knows.
template <class Item>
void parallel_if(bool pays, std::int64_t items, const Item& item) {
  if (pays) return parallel_for(items, item);
  for (std::int64_t i = 0; i < items; ++i) item(i);
}

/// Calls item(i) for i < items, each about `work` elements, in parallel where that pays.
template <class Item>
void parallel_items(std::int64_t items, std::int64_t work, const Item& item) {
  parallel_if(items > 1 && pays_in_parallel(items * work), items, item);
}

/// Calls block(begin, end) for consecutive ranges that cover 0 .. count-1, in parallel where that
/// pays. The ranges do not depend on the number of threads.
template <class Block>
void parallel_blocks(std::int64_t count, const Block& block) {
  parallel_items((count + kLoopBlock - 1) / kLoopBlock, kLoopBlock, [&](std::int64_t i) {
    block(i * kLoopBlock, std::min(count, (i + 1) * kLoopBlock));
  });
}

}  // namespace serenade::cpu
