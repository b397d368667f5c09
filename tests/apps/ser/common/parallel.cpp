#include "apps/ser/common/parallel.h"

#include <doctest/doctest.h>

#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "kernels/runtime/threads.h"

using namespace serenade;

TEST_CASE("a loop of the program takes as many threads as the kernels have, unless told") {
  const int before = cpu::thread_count();
  for (const int threads : {1, 3}) {
    cpu::set_threads(threads);
    std::mutex mutex;
    std::set<std::thread::id> seen;
    ser::parallel_for(50, 0, [&](std::int64_t) {
      std::this_thread::yield();
      const std::lock_guard lock(mutex);
      seen.insert(std::this_thread::get_id());
    });
    CHECK(static_cast<int>(seen.size()) <= threads);
    if (threads == 1) CHECK(seen == std::set{std::this_thread::get_id()});
  }
  cpu::set_threads(before);
}

TEST_CASE("of several pieces that fail the first is told, whatever the threads") {
  for (const int threads : {1, 2, 5}) {
    CHECK_THROWS_WITH_AS(
        ser::parallel_for(40, threads,
                          [](std::int64_t i) {
                            if (i % 7 == 6) throw std::runtime_error("piece " + std::to_string(i));
                          }),
        "piece 6", std::runtime_error);
  }
}
