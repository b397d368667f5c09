#pragma once
// The threads that share the loops of kernels (kernels/runtime/cpu/parallel.h).
//
// A loop is a number of pieces. The caller and its workers take them one after another from one
// counter, and the caller returns when every piece is done. It waits for pieces, not for threads:
// where the system gives a worker no processor in time, the others do its share, so that a busy
// machine costs what it takes and no more. Whoever has nothing to do looks out for work a moment
// and then sleeps (spin in thread_pool.cpp).

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace serenade::cpu {

class ThreadPool {
 public:
  using Piece = void (*)(const void* context, std::int64_t piece);

  /// A team of `threads`, of which the caller is one. Where the system refuses a thread, the team
  /// is smaller.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// Calls piece(context, i) for every i < pieces < 2^32 - 1, each once. When one throws, those
  /// that have not begun are left out, and the exception is thrown here. Only the thread that made
  /// the pool may call it, and no piece may.
  void run(std::uint32_t pieces, Piece piece, const void* context);

  /// The caller and its workers.
  int size() const { return static_cast<int>(workers_.size()) + 1; }

 private:
  void work();
  void worker(int index);
  void finish(std::uint32_t pieces);

  // The loop's number in the upper half, its next piece in the lower one. What a loop is stands
  // beside it and changes only while the lower half is kClosed; so whoever takes a piece by an
  // exchange that finds `next_` as it was has read what belongs to it.
  alignas(64) std::atomic<std::uint64_t> next_;
  std::atomic<std::uint32_t> pieces_{0};
  std::atomic<Piece> piece_{nullptr};
  std::atomic<const void*> context_{nullptr};
  alignas(64) std::atomic<std::uint32_t> done_{0};
  alignas(64) std::atomic<std::uint32_t> loops_{0};  // workers wait for a change
  std::atomic<bool> stopped_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

}  // namespace serenade::cpu
