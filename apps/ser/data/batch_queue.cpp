// Batches made where they are wanted, or packed and sent ahead by a thread.

#include "apps/ser/data/batch_queue.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "kernels/runtime/async_copy.h"
#include "kernels/runtime/threads.h"
#include "tensor/storage.h"

namespace serenade::ser {

namespace {

// Two batches are under way while a third is in use.
constexpr std::size_t kSlots = 3;

// A thread copies some GB/s: from here on, one would be slower than the device takes for a step.
constexpr std::size_t kBytesPerThread = std::size_t{4} << 20;

constexpr int kMostPackingThreads = 8;

int packing_threads(std::size_t bytes, int most) {
  return static_cast<int>(
      std::clamp<std::size_t>(bytes / kBytesPerThread, 1, static_cast<std::size_t>(most)));
}

// A batch's way to the device. What is shared with the thread changes hands under the mutex, by
// `step`: an ordered slot is the thread's, all others the caller's.
struct Slot {
  enum class Step { idle, ordered, sent };

  Step step = Step::idle;
  BatchPlan plan;
  void* packed = nullptr;  // page-locked
  std::size_t capacity = 0;
  std::unique_ptr<Storage> arrived;  // on the device, of the same capacity
  AsyncCopyToDevice upload;
  bool uploaded = false;  // at least once
  std::exception_ptr failure;
};

}  // namespace

class BatchQueue::Prefetcher {
 public:
  Prefetcher(const Dataset& data, Device device)
      : data_(data),
        device_(device),
        statistics_(data.statistics().to(device)),
        most_threads_(std::clamp(cpu::thread_count() / 2, 1, kMostPackingThreads)) {
    thread_ = std::thread([this] { work(); });
  }

  ~Prefetcher() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (Slot& slot : slots_) {
      KERNEL(device_, release_copy_to_device, slot.upload);
      if (slot.packed) KERNEL(device_, release_host, slot.packed);
    }
  }

  bool full() const { return ordered_ == kSlots; }
  bool empty() const { return ordered_ == 0; }

  void order(BatchPlan plan) {
    Slot& slot = slots_[(first_ + ordered_) % kSlots];
    reserve(slot, data_.packed_bytes(plan));
    KERNEL(device_, end_copy_use, slot.upload);
    {
      const std::lock_guard lock(mutex_);
      slot.plan = std::move(plan);
      slot.step = Slot::Step::ordered;
    }
    ++ordered_;
    changed_.notify_all();
  }

  Batch take() {
    Slot& slot = wait_for_first();
    const std::exception_ptr failure = std::exchange(slot.failure, nullptr);
    if (failure) std::rethrow_exception(failure);
    KERNEL(device_, use_copy_to_device, slot.upload);
    return data_.gather_packed(slot.plan, slot.arrived->data(), statistics_);
  }

  void drop_all() {
    while (!empty()) {
      Slot& slot = wait_for_first();
      if (!std::exchange(slot.failure, nullptr)) KERNEL(device_, use_copy_to_device, slot.upload);
    }
  }

 private:
  // The first slot, once it is the caller's again; it is then free for a later batch.
  Slot& wait_for_first() {
    Slot& slot = slots_[first_];
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return slot.step == Slot::Step::sent; });
      slot.step = Slot::Step::idle;
    }
    first_ = (first_ + 1) % kSlots;
    --ordered_;
    return slot;
  }

  // Grows by more than asked, because whole recordings come with the short ones first.
  void reserve(Slot& slot, std::size_t bytes) {
    if (slot.arrived && bytes <= slot.capacity) return;
    if (slot.packed) {
      if (slot.uploaded) KERNEL(device_, finish_copy_to_device, slot.upload);
      KERNEL(device_, release_host, slot.packed);
      slot.packed = nullptr;
    }
    slot.arrived.reset();
    slot.capacity = std::max<std::size_t>(1, slot.capacity == 0 ? bytes : bytes + bytes / 2);
    KERNEL(device_, allocate_host, &slot.packed, slot.capacity);
    slot.arrived = std::make_unique<Storage>(slot.capacity, device_);
  }

  void send(Slot& slot) {
    if (slot.uploaded) KERNEL(device_, finish_copy_to_device, slot.upload);
    const std::size_t bytes = data_.packed_bytes(slot.plan);
    data_.pack(slot.plan, slot.packed, packing_threads(bytes, most_threads_));
    KERNEL(device_, begin_copy_to_device, slot.upload, slot.arrived->data(), slot.packed, bytes);
    slot.uploaded = true;
  }

  // The thread.
  void work() {
    for (std::size_t i = 0;; i = (i + 1) % kSlots) {
      Slot& slot = slots_[i];
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return stopped_ || slot.step == Slot::Step::ordered; });
        if (stopped_) return;
      }
      try {
        send(slot);
      } catch (...) {
        slot.failure = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        slot.step = Slot::Step::sent;
      }
      changed_.notify_all();
    }
  }

  const Dataset& data_;
  Device device_;
  Tensor statistics_;
  int most_threads_;  // of the kernels' threads, which work at the same time, as many as half
  std::array<Slot, kSlots> slots_;
  std::size_t first_ = 0;    // slot of the batch that is returned next
  std::size_t ordered_ = 0;  // slots from there on that hold one
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;
};

BatchQueue::BatchQueue(const Dataset& data, Device device)
    : BatchQueue(data, device, in_host_memory(data.device()) && !in_host_memory(device)) {}

BatchQueue::BatchQueue(const Dataset& data, Device device, bool prefetch)
    : data_(data),
      device_(device),
      prefetcher_(prefetch ? std::make_unique<Prefetcher>(data, device) : nullptr) {}

BatchQueue::~BatchQueue() = default;

void BatchQueue::start(Source source) {
  if (prefetcher_) prefetcher_->drop_all();
  source_ = std::move(source);
  prefetch();
}

void BatchQueue::prefetch() {
  if (!prefetcher_) return;
  while (source_ && !prefetcher_->full()) {
    std::optional<BatchPlan> plan = source_();
    if (plan) {
      prefetcher_->order(std::move(*plan));
    } else {
      source_ = nullptr;
    }
  }
}

std::optional<Batch> BatchQueue::next() {
  if (prefetcher_) {
    if (prefetcher_->empty()) return std::nullopt;
    Batch batch = prefetcher_->take();
    prefetch();
    return batch;
  }
  const std::optional<BatchPlan> plan = source_ ? source_() : std::nullopt;
  if (!plan) return std::nullopt;
  Batch batch = data_.gather(*plan);
  batch.input = batch.input.to(device_);
  return batch;
}

}  // namespace serenade::ser
