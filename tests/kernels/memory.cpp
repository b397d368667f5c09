#include "kernels/runtime/memory.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include "kernels/runtime/cpu/scratch.h"

using namespace serenade;

TEST_CASE("blocks are aligned, distinct while in use, and writable to their last byte") {
  std::set<void*> blocks;
  for (const std::size_t bytes : {0, 1, 63, 64, 65, 1000, 4097, 1 << 20}) {
    void* block = nullptr;
    cpu::allocate(&block, bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(block) % 64 == 0);
    CHECK(blocks.insert(block).second);
    for (std::size_t i = 0; i < bytes; ++i) static_cast<char*>(block)[i] = 1;
  }
  for (void* block : blocks) cpu::release(block);
}

TEST_CASE("a freed block serves the next request of its size") {
  void *first = nullptr, *second = nullptr;
  cpu::allocate(&first, 12345);
  cpu::release(first);
  cpu::allocate(&second, 12345);
#ifndef __SANITIZE_ADDRESS__
  CHECK(second == first);
#endif
  cpu::release(second);
}

TEST_CASE("a request that no memory can meet is refused, and leaves things as they were") {
  void* block = nullptr;
  CHECK_THROWS_AS(cpu::allocate(&block, std::size_t{1} << 60), std::bad_alloc);
  cpu::allocate(&block, 100);
  cpu::release(block);
}

TEST_CASE("allocations are counted, the working memory of kernels included") {
  constexpr std::int64_t kBytes = 7 << 20;  // a size class of its own
  void *first = nullptr, *second = nullptr;
  cpu::allocate(&first, kBytes);
  cpu::reset_allocation_peak();
  const AllocationCounts before = cpu::allocation_counts();
  CHECK(before.peak_bytes == before.used_bytes);
  CHECK(before.used_bytes >= kBytes);
  CHECK(before.held_bytes >= before.used_bytes);

  cpu::allocate(&second, kBytes);
  cpu::release(second);
  const AllocationCounts after = cpu::allocation_counts();
  CHECK(after.system_blocks == before.system_blocks + 1);
  CHECK(after.used_bytes == before.used_bytes);
  CHECK(after.peak_bytes == before.used_bytes + kBytes);

  // A thread's working memory lives as long as the thread.
  std::thread([&] {
    cpu::scratch(kBytes / static_cast<std::int64_t>(sizeof(real)));
    CHECK(cpu::allocation_counts().used_bytes == before.used_bytes + kBytes);
  }).join();
  CHECK(cpu::allocation_counts().used_bytes == before.used_bytes);
#ifndef __SANITIZE_ADDRESS__
  CHECK(cpu::allocation_counts().system_blocks == after.system_blocks);  // the freed block serves
#endif
  cpu::release(first);
}

TEST_CASE("strided copies read and write what they should") {
  std::vector<real> source(24), gathered(12), back(24, -1);
  for (std::size_t i = 0; i < 24; ++i) source[i] = static_cast<real>(i);
  // The transpose of rows 0, 2, 4 of a [6, 4] array: shape [4, 3].
  const std::int64_t shape[] = {4, 3}, strides[] = {1, 8};
  cpu::gather_strided(gathered.data(), source.data(), shape, strides, 2);
  CHECK(gathered == std::vector<real>{0, 8, 16, 1, 9, 17, 2, 10, 18, 3, 11, 19});
  cpu::scatter_strided(back.data(), gathered.data(), shape, strides, 2);
  for (std::size_t i = 0; i < 24; ++i) CHECK(back[i] == (i / 4 % 2 == 0 ? source[i] : -1));
  cpu::scatter_add_strided(back.data(), gathered.data(), shape, strides, 2);
  CHECK(back[19] == 38);
  CHECK(back[23] == -1);
}
