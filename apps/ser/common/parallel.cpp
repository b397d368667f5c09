// A loop over independent pieces of work on several threads.

#include "apps/ser/common/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/runtime/threads.h"

namespace serenade::ser {

void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work) {
  if (threads <= 0) threads = cpu::thread_count();
  const auto workers = std::min<std::int64_t>(threads, count);
  std::atomic<std::int64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::int64_t failed_piece = count;
  std::exception_ptr failure;
  const auto run = [&] {
    while (!failed) {
      const std::int64_t i = next++;
      if (i >= count) return;
      try {
        work(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        failed = true;
        if (i < failed_piece) {
          failed_piece = i;
          failure = std::current_exception();
        }
      }
    }
  };
  std::vector<std::thread> team;
  team.reserve(static_cast<std::size_t>(std::max<std::int64_t>(0, workers)));
  try {
    for (std::int64_t t = 1; t < workers; ++t) team.emplace_back(run);
  } catch (const std::exception&) {
    // No more threads than these (or no memory for one): they do all the work.
  }
  run();
  for (std::thread& member : team) member.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace serenade::ser
