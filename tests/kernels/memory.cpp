#include "kernels/runtime/memory.h"

#include <doctest/doctest.h>

#include <algorithm>
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

TEST_CASE("strided copies in every order of the axes, of tiles whole and cut off") {
  const std::vector<std::int64_t> sizes = {2, 37, 3, 70};
  const std::vector<std::int64_t> steps = {37 * 3 * 70, 3 * 70, 70, 1};
  const std::size_t count = 2 * 37 * 3 * 70;
  std::vector<real> source(count), dense(count), expected(count), back(count), sums(count, 1);
  for (std::size_t i = 0; i < count; ++i) source[i] = static_cast<real>(i);
  std::vector<std::size_t> order = {0, 1, 2, 3};
  do {
    std::int64_t shape[4], strides[4];
    for (std::size_t k = 0; k < 4; ++k) {
      shape[k] = sizes[order[k]];
      strides[k] = steps[order[k]];
    }
    std::size_t next = 0;
    for (std::int64_t a = 0; a < shape[0]; ++a)
      for (std::int64_t b = 0; b < shape[1]; ++b)
        for (std::int64_t c = 0; c < shape[2]; ++c)
          for (std::int64_t d = 0; d < shape[3]; ++d)
            expected[next++] = source[static_cast<std::size_t>(a * strides[0] + b * strides[1] +
                                                               c * strides[2] + d * strides[3])];
    cpu::gather_strided(dense.data(), source.data(), shape, strides, 4);
    CHECK(dense == expected);
    cpu::scatter_strided(back.data(), dense.data(), shape, strides, 4);
    CHECK(back == source);
    cpu::scatter_add_strided(sums.data(), dense.data(), shape, strides, 4);
  } while (std::next_permutation(order.begin(), order.end()));
  for (std::size_t i = 0; i < count; ++i) CHECK(sums[i] == 1 + 24 * source[i]);
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
