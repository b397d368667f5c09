#pragma once
// The threads that share the loops of kernels (kernels/runtime/cpu/parallel.h).
//
// A loop is a number of pieces. Each thread of the team, the caller and its workers, has a share of
// neighbouring ones and takes them one after another; then it helps the others with theirs. So a
// piece is done by the same thread from loop to loop, which has the data in its caches, where all
// keep up. The caller returns when every piece is done. It waits for pieces, not for threads: where
// the system gives a worker no processor in time, the others do its share, so that a busy machine
// costs what it takes and no more. Whoever has nothing to do looks out for work a moment and then
// sleeps (spin in thread_pool.cpp).

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
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
  // The loop's number in the upper half, the next piece of a thread's share in the lower one.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> next;
  };

  void work(int index);
  void take(int share);
  std::uint32_t share_begin(int share, std::uint32_t pieces) const;
  void worker(int index);
  void finish(std::uint32_t pieces);

  // What a loop is stands beside the shares and changes only while the lower half of all of them is
  // kClosed; so whoever takes a piece by an exchange that finds a share as it was has read what
  // belongs to it.
  const int shares_;
  const std::unique_ptr<Share[]> share_;
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
