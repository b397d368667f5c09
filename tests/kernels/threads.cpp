#include "kernels/runtime/threads.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/processors.h"
#include "kernels/runtime/cpu/thread_pool.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

struct Threads {
  explicit Threads(int count) { cpu::set_threads(count); }
  ~Threads() { cpu::set_threads(before); }
  int before = cpu::thread_count();
};

// A made-up file system of control groups.
class Groups {
 public:
  Groups& write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return *this;
  }
  double quota(const std::string& membership) const {
    return cpu::processor_quota(membership, root_.path());
  }

 private:
  TemporaryFolder root_;
};

}  // namespace

TEST_CASE("every piece of a loop is done once, for any number of threads") {
  for (const int threads : {1, 2, 3, 8}) {
    const Threads of_loop(threads);
    for (const std::int64_t items : {0, 1, 2, 3, 7, 1000}) {
      std::vector<std::atomic<int>> shared(static_cast<std::size_t>(items)), each(shared.size());
      cpu::parallel_for(items, [&](std::int64_t i) { ++shared[i]; });
      cpu::parallel_each(items, [&](std::int64_t i) {
        ++each[i];
        CHECK(cpu::thread_index() < threads);
        CHECK(cpu::in_parallel() == (threads > 1 && items > 1));
      });
      for (std::size_t i = 0; i < shared.size(); ++i) {
        CHECK(shared[i] == 1);
        CHECK(each[i] == 1);
      }
    }
    CHECK_FALSE(cpu::in_parallel());
  }
}

TEST_CASE("the environment asks for threads, but not for more than can be of use") {
  CHECK(cpu::threads_of_environment("3") == 3);
  CHECK(cpu::threads_of_environment("4,2") == 4);
  CHECK(cpu::threads_of_environment("4096") == 4096);
  CHECK(cpu::threads_of_environment("4097") == 4096);
  CHECK(cpu::threads_of_environment("1000000") == 4096);
  CHECK(cpu::threads_of_environment(nullptr) == cpu::available_processors());
  for (const char* no_number : {"", "many", "0", "-2", "99999999999999999999"}) {
    CHECK(cpu::threads_of_environment(no_number) == cpu::available_processors());
  }
}

TEST_CASE("many short loops in a row, with pauses in which the threads fall asleep") {
  const Threads threads(3);
  std::int64_t total = 0;
  for (int loop = 0; loop < 20'000; ++loop) {
    std::vector<std::int64_t> part(5);
    cpu::parallel_each(5, [&](std::int64_t i) { part[i] = loop + i; });
    total += std::accumulate(part.begin(), part.end(), std::int64_t{0});
    if (loop % 5000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(total == 5LL * 20'000 * 19'999 / 2 + 10LL * 20'000);
}

TEST_CASE("a loop within a loop runs on the thread that comes to it") {
  const Threads threads(2);
  std::atomic<int> done{0};
  cpu::parallel_each(4, [&](std::int64_t) {
    const std::thread::id outer = std::this_thread::get_id();
    cpu::parallel_each(3, [&](std::int64_t) {
      CHECK(std::this_thread::get_id() == outer);
      CHECK(cpu::thread_index() == 0);
      ++done;
    });
  });
  CHECK(done == 12);
}

TEST_CASE(
    "an exception of a piece ends the loop and is thrown to the caller; the next loop works") {
  for (const int threads : {1, 2, 4}) {
    const Threads of_loop(threads);
    for (const std::int64_t bad : {0, 3, 99}) {
      std::atomic<int> done{0};
      CHECK_THROWS_WITH_AS(cpu::parallel_each(100,
                                              [&](std::int64_t i) {
                                                if (i >= bad) throw std::length_error("piece");
                                                ++done;
                                              }),
                           "piece", std::length_error);
      CHECK(done <= bad);
      CHECK_FALSE(cpu::in_parallel());
    }
    std::atomic<int> done{0};
    cpu::parallel_each(100, [&](std::int64_t) { ++done; });
    CHECK(done == 100);
  }
}

TEST_CASE("each thread that runs loops has a team and a number of threads of its own") {
  const Threads threads(2);
  std::vector<std::thread> callers;
  std::atomic<int> done{0};
  for (int caller = 0; caller < 3; ++caller) {
    callers.emplace_back([&, caller] {
      cpu::set_threads(caller + 1);
      CHECK(cpu::thread_count() == caller + 1);
      for (int loop = 0; loop < 100; ++loop) cpu::parallel_each(7, [&](std::int64_t) { ++done; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(done == 2100);
  CHECK(cpu::thread_count() == 2);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // which need address space
TEST_CASE("where the system gives no thread, the caller does the work alone") {
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_AS, &before) == 0);
  std::atomic<int> done{0};
  {
    // The stack of a new thread does not fit; root is not bound by the number of processes.
    const rlimit none{.rlim_cur = 1, .rlim_max = before.rlim_max};
    REQUIRE(setrlimit(RLIMIT_AS, &none) == 0);
    cpu::ThreadPool pool(200);
    REQUIRE(setrlimit(RLIMIT_AS, &before) == 0);
    CHECK(pool.size() < 200);
    pool.run(
        10,
        [](const void* count, std::int64_t) {
          ++*static_cast<std::atomic<int>*>(const_cast<void*>(count));
        },
        &done);
  }
  CHECK(done == 10);
}
#endif

TEST_CASE("quotas of control groups, version 2") {
  Groups groups;
  groups.write("cpu.max", "max 100000\n")
      .write("pod/cpu.max", "150000 100000\n")
      .write("pod/tight/cpu.max", "50000 100000\n")
      .write("pod/loose/cpu.max", "800000 100000\n")
      .write("odd/cpu.max", "");
  CHECK(groups.quota("0::/\n") == 0);
  CHECK(groups.quota("0::/pod\n") == 1.5);
  CHECK(groups.quota("0::/pod/tight\n") == 0.5);
  CHECK(groups.quota("0::/pod/loose\n") == 1.5);  // of the group around it
  CHECK(groups.quota("0::/odd\n") == 0);
  CHECK(groups.quota("0::/../../not/there\n") == 0);
  groups.write("cpu.max", "200000 100000\n");
  CHECK(groups.quota("0::/docker/of/the/host\n") == 2);  // in a container only the root is there
}

TEST_CASE("quotas of control groups, version 1") {
  Groups groups;
  groups.write("cpu,cpuacct/job/cpu.cfs_quota_us", "250000\n")
      .write("cpu,cpuacct/job/cpu.cfs_period_us", "100000\n")
      .write("cpu/cpu.cfs_quota_us", "-1\n")
      .write("cpu/cpu.cfs_period_us", "100000\n");
  CHECK(groups.quota("3:cpuset:/job\n4:cpu,cpuacct:/job\n0::/\n") == 2.5);
  CHECK(groups.quota("4:cpuacct,cpu:/job\n1:cpu:/\n") == 0);
  CHECK(groups.quota("3:cpuset:/job\n") == 0);
  CHECK(groups.quota("") == 0);
  CHECK(groups.quota("no colons\n:\n") == 0);
}

TEST_CASE("at least one processor, and no more than there are") {
  CHECK(cpu::available_processors() >= 1);
  CHECK(cpu::available_processors() <= static_cast<int>(std::thread::hardware_concurrency()));
  const Threads threads(0);
  CHECK(cpu::thread_count() >= 1);
}
