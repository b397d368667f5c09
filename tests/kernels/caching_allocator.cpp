// The cache of freed blocks: how much it keeps, and what a failure leaves behind.

#include "kernels/runtime/caching_allocator.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <set>

using namespace serenade;

namespace {

// Blocks that are never touched, from a system that can be made to have no more.
struct FakeSystem {
  static constexpr bool kKeepsBlocks = true;
  static constexpr bool kTrims = true;
  static inline bool exhausted = false;
  static inline std::set<void*> blocks;

  void* allocate(std::size_t bytes) {
    if (exhausted) return nullptr;
    return *blocks.insert(std::malloc(bytes)).first;
  }
  void free(void* block) {
    blocks.erase(block);
    std::free(block);
  }
  void on_allocate(void*, std::size_t) {}
  void on_deallocate(void*) {}
};

// The cache of a process lives as long as it does; those of tests leave their blocks to this.
struct Cleanup {
  ~Cleanup() {
    for (void* block : FakeSystem::blocks) std::free(block);
    FakeSystem::blocks.clear();
  }
};

constexpr std::size_t kMegabyte = std::size_t{1} << 20;

}  // namespace

TEST_CASE("files of forty lengths leave at most twice what the longest needs, and a little") {
  const Cleanup cleanup;
  CachingAllocator<FakeSystem> cache;
  for (std::size_t seconds = 1; seconds <= 40; ++seconds) {
    void* features = cache.allocate(seconds * 8 * kMegabyte);
    void* map = cache.allocate(seconds * 16 * kMegabyte);
    cache.deallocate(features);
    cache.deallocate(map);
  }
  const AllocationCounts counts = cache.counts();
  CHECK(counts.used_bytes == 0);
  CHECK(counts.peak_bytes >= static_cast<std::int64_t>(40 * 24 * kMegabyte));
  CHECK(counts.held_bytes <= 2 * counts.peak_bytes + static_cast<std::int64_t>(64 * kMegabyte));
}

TEST_CASE("what a step asks for again and again stays, and the sizes of long ago go first") {
  const Cleanup cleanup;
  CachingAllocator<FakeSystem> cache;
  void* old = cache.allocate(100 * kMegabyte);
  cache.deallocate(old);
  for (int step = 0; step < 3; ++step) {
    void* a = cache.allocate(60 * kMegabyte);
    cache.deallocate(a);
    void* b = cache.allocate(90 * kMegabyte);
    cache.deallocate(b);
  }
  CHECK(cache.counts().system_blocks == 3);
  void* next = cache.allocate(70 * kMegabyte);  // 2 x 100 + 64 MB hold no fourth size
  CHECK(cache.counts().held_bytes <= static_cast<std::int64_t>(264 * kMegabyte));
  cache.deallocate(next);
  cache.deallocate(cache.allocate(60 * kMegabyte));
  cache.deallocate(cache.allocate(90 * kMegabyte));
  CHECK(cache.counts().system_blocks == 4);
}

TEST_CASE("when the system has no more, free blocks go back and the rest is as it was") {
  const Cleanup cleanup;
  CachingAllocator<FakeSystem> cache;
  void* kept = cache.allocate(100);
  cache.deallocate(cache.allocate(5000));
  const std::int64_t used = cache.counts().used_bytes;
  FakeSystem::exhausted = true;
  CHECK_THROWS_AS(cache.allocate(9000), std::bad_alloc);
  FakeSystem::exhausted = false;
  CHECK(cache.counts().used_bytes == used);
  CHECK(cache.counts().held_bytes == used);
  cache.deallocate(cache.allocate(9000));
  cache.deallocate(kept);
  CHECK(cache.counts().used_bytes == 0);
}
