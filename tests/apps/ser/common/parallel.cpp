// Loops over independent pieces: one setting says how many threads they have.

#include "apps/ser/common/parallel.h"

#include <doctest/doctest.h>

#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
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

TEST_CASE("parallel: of several pieces that fail the first is told, whatever the threads") {
  for (const int threads : {1, 2, 5}) {
    CHECK_THROWS_WITH_AS(parallel_for(40, threads,
                                      [](std::int64_t i) {
                                        if (i % 7 == 6)
                                          throw std::runtime_error("piece " + std::to_string(i));
                                      }),
                         "piece 6", std::runtime_error);
  }
}

}  // namespace serenade::ser
