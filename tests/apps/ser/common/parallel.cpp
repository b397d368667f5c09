// Loops over independent pieces: one setting says how many threads they have.

#include "apps/ser/common/parallel.h"

#include <doctest/doctest.h>

#include <mutex>
#include <set>
#include <thread>

#include "kernels/runtime/threads.h"

namespace serenade::ser {

TEST_CASE("parallel: without a number of its own, a loop has the threads of the kernels") {
  const int before = cpu::thread_count();
  std::mutex mutex;
  for (const int threads : {1, 3}) {
    cpu::set_threads(threads);
    std::set<std::thread::id> seen;
    std::set<std::int64_t> pieces;
    parallel_for(200, 0, [&](std::int64_t i) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
      pieces.insert(i);
    });
    CHECK(pieces.size() == 200);
    CHECK(static_cast<int>(seen.size()) <= threads);
    CHECK(seen.contains(std::this_thread::get_id()));
  }
  cpu::set_threads(before);
}

}  // namespace serenade::ser
