// The threads that share the loops of kernels (kernels/runtime/cpu/thread_pool.h), and their number
// (kernels/runtime/threads.h).

#include "kernels/runtime/cpu/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <utility>

#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/processors.h"
#include "kernels/runtime/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace serenade::cpu {

namespace {

constexpr std::uint32_t kClosed = 0xffffffff;

// Between two loops of a training step lie microseconds, and to wake a thread costs tens of them.
// So a thread looks out for a few microseconds at full speed; then it lets others have the
// processor between two looks, which on an idle machine is a short system call and on a busy one
// gives its turn away; and after kLookOut it sleeps.
constexpr int kPauses = 200;
constexpr auto kLookOut = std::chrono::microseconds(200);

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

template <class Ready>
bool spin(const Ready& ready) {
  for (int i = 0; i < kPauses; ++i) {
    if (ready()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + kLookOut;
  do {
    sched_yield();
    if (ready()) return true;
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

int default_threads() {
  static const int threads = threads_of_environment(std::getenv("OMP_NUM_THREADS"));
  return threads;
}

struct Place {
  int threads = 0;  // 0: default_threads()
  int index = 0;
  bool in_loop = false;
};

constinit thread_local Place place;

// The team of a thread that runs loops, made at its first and ended with it.
thread_local std::unique_ptr<ThreadPool> team;

// Puts what a thread is for the length of a scope.
class Enter {
 public:
  Enter(int index, bool in_loop) : before_(place) {
    place.index = index;
    place.in_loop = in_loop;
  }
  ~Enter() { place = before_; }
  Enter(const Enter&) = delete;
  Enter& operator=(const Enter&) = delete;

 private:
  Place before_;
};

}  // namespace

ThreadPool::ThreadPool(int threads)
    : shares_(std::max(1, threads)), share_(std::make_unique<Share[]>(shares_)) {
  for (int i = 0; i < shares_; ++i) share_[i].next = kClosed;
  workers_.reserve(static_cast<std::size_t>(threads));
  try {
    for (int index = 1; index < threads; ++index) {
      workers_.emplace_back([this, index] { worker(index); });
    }
  } catch (const std::exception&) {
    // No more threads than these (or no memory for one); pieces do not ask who does them.
  }
}

ThreadPool::~ThreadPool() {
  stopped_ = true;
  ++loops_;
  loops_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::worker(int index) {
  place = {.threads = 1, .index = index, .in_loop = true};
  for (std::uint32_t seen = 0;;) {
    if (!spin([&] { return loops_.load(std::memory_order_acquire) != seen; })) loops_.wait(seen);
    seen = loops_.load(std::memory_order_acquire);
    if (stopped_) return;
    work(index);
  }
}

std::uint32_t ThreadPool::share_begin(int share, std::uint32_t pieces) const {
  return static_cast<std::uint32_t>(std::uint64_t(pieces) * share / shares_);
}

// The own share, then what is left of the others.
void ThreadPool::work(int index) {
  for (int i = 0; i < shares_; ++i) take((index + i) % shares_);
}

void ThreadPool::take(int share) {
  std::atomic<std::uint64_t>& next_piece = share_[share].next;
  std::uint64_t next = next_piece.load(std::memory_order_acquire);
  for (;;) {
    const auto piece = static_cast<std::uint32_t>(next);
    const std::uint32_t pieces = pieces_.load(std::memory_order_acquire);
    const Piece call = piece_.load(std::memory_order_acquire);
    const void* const context = context_.load(std::memory_order_acquire);
    if (piece >= share_begin(share + 1, pieces)) return;  // kClosed too
    if (!next_piece.compare_exchange_weak(next, next + 1, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
      continue;
    }
    std::uint32_t done = 1;
    try {
      call(context, piece);
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (!failure_) failure_ = std::current_exception();
      // The pieces that nobody has begun count as done.
      for (int i = 0; i < shares_; ++i) {
        const std::uint32_t end = share_begin(i + 1, pieces);
        std::uint64_t rest = share_[i].next.load(std::memory_order_acquire);
        while (!share_[i].next.compare_exchange_weak(
            rest, rest - static_cast<std::uint32_t>(rest) + std::max(end, std::uint32_t(rest)))) {
        }
        done += end - std::min(end, static_cast<std::uint32_t>(rest));
      }
    }
    finish(done);
    next = next_piece.load(std::memory_order_acquire);
  }
}

void ThreadPool::finish(std::uint32_t pieces) {
  const std::uint32_t all = pieces_.load(std::memory_order_relaxed);
  if (done_.fetch_add(pieces, std::memory_order_acq_rel) + pieces == all) done_.notify_one();
}

void ThreadPool::run(std::uint32_t pieces, Piece piece, const void* context) {
  const Enter enter(0, true);
  const std::uint64_t loop = (share_[0].next.load(std::memory_order_relaxed) >> 32) + 1;
  for (int i = 0; i < shares_; ++i) share_[i].next.store(loop << 32 | kClosed);
  pieces_.store(pieces, std::memory_order_release);
  piece_.store(piece, std::memory_order_release);
  context_.store(context, std::memory_order_release);
  done_.store(0, std::memory_order_release);
  for (int i = 0; i < shares_; ++i) {
    share_[i].next.store(loop << 32 | share_begin(i, pieces), std::memory_order_release);
  }
  loops_.fetch_add(1, std::memory_order_release);
  loops_.notify_all();
  work(0);
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == pieces; };
  if (!spin(all_done)) {
    for (std::uint32_t done; (done = done_.load(std::memory_order_acquire)) != pieces;) {
      done_.wait(done);
    }
  }
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void set_threads(int count) {
  place.threads = std::max(0, count);
  if (team != nullptr && team->size() != thread_count()) team.reset();
}

int thread_count() { return place.threads > 0 ? place.threads : default_threads(); }

int thread_index() { return place.index; }

bool in_parallel() { return place.in_loop; }

void run_pieces(std::int64_t pieces, ThreadPool::Piece piece, const void* context) {
  if (pieces > 1 && !place.in_loop && thread_count() > 1) {
    if (team == nullptr) team = std::make_unique<ThreadPool>(thread_count());
    return team->run(static_cast<std::uint32_t>(pieces), piece, context);
  }
  const Enter enter(0, place.in_loop);
  for (std::int64_t i = 0; i < pieces; ++i) piece(context, i);
}

}  // namespace serenade::cpu
