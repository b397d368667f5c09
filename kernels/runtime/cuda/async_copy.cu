// Asynchronous copies of a real device. Copies to the device have a stream of their own, so that
// the copy engine fetches the next batch while the kernels of this step run; two events per
// destination keep the order: no kernel reads before the bytes are there, no copy overwrites what
// is still read. Copies to the host are a few bytes and stay in the stream of the kernels, whose
// results they are.

#include "kernels/runtime/async_copy.h"

#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>
#include <vector>

#include "kernels/runtime/cuda/runtime.h"
#include "kernels/runtime/cuda/runtime_check.h"

namespace serenade::cuda {

namespace {

cudaEvent_t make_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
  return event;
}

cudaStream_t copy_stream() {
  static const cudaStream_t stream = [] {
    cudaStream_t made = nullptr;
    check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "making a stream");
    return made;
  }();
  return stream;
}

struct CopyEvents {
  cudaEvent_t copied = make_event();
  cudaEvent_t used = make_event();
  bool free_to_fill = false;
};

CopyEvents& state_of(AsyncCopyToDevice& copy) {
  if (copy.state == nullptr) copy.state = new CopyEvents;
  return *static_cast<CopyEvents*>(copy.state);
}

}  // namespace

void allocate_host(void** pointer, std::size_t bytes) {
  current_stream();  // says so if there is no device
  if (cudaHostAlloc(pointer, bytes, cudaHostAllocDefault) != cudaSuccess) {
    cudaGetLastError();
    throw std::bad_alloc();
  }
}
void release_host(void* pointer) { cudaFreeHost(pointer); }

void begin_copy_to_device(AsyncCopyToDevice& copy, void* destination, const void* source,
                          std::size_t bytes) {
  CopyEvents& events = state_of(copy);
  if (!events.free_to_fill) {
    throw std::logic_error("begin_copy_to_device: end_copy_use() must come before it");
  }
  events.free_to_fill = false;
  check(cudaStreamWaitEvent(copy_stream(), events.used), "ordering a copy");
  check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, copy_stream()),
        "copying to the device");
  check(cudaEventRecord(events.copied, copy_stream()), "ordering a copy");
}

void use_copy_to_device(AsyncCopyToDevice& copy) {
  check(cudaStreamWaitEvent(current_stream(), state_of(copy).copied), "ordering a copy");
}

void end_copy_use(AsyncCopyToDevice& copy) {
  CopyEvents& events = state_of(copy);
  check(cudaEventRecord(events.used, current_stream()), "ordering a copy");
  events.free_to_fill = true;
}

void finish_copy_to_device(AsyncCopyToDevice& copy) {
  check(cudaEventSynchronize(state_of(copy).copied), "copying to the device");
}

void release_copy_to_device(AsyncCopyToDevice& copy) {
  if (copy.state == nullptr) return;
  auto* events = static_cast<CopyEvents*>(copy.state);
  cudaEventSynchronize(events->copied);
  cudaEventDestroy(events->copied);
  cudaEventDestroy(events->used);
  delete events;
  copy.state = nullptr;
}

// Copies to the host -----------------------------------------------------------------------------

namespace {

/// Page-locked memory for one copy, and the event after which it is filled. Slots are kept for
/// later copies: making one costs more than a step's kernels take.
struct HostSlot {
  void* bytes = nullptr;
  cudaEvent_t arrived = nullptr;
};

std::mutex unused_mutex;
std::vector<HostSlot*>& unused() {
  static auto* list = new std::vector<HostSlot*>;  // never destroyed, as the driver may be gone
  return *list;
}

HostSlot* take_host_slot() {
  {
    const std::lock_guard<std::mutex> lock(unused_mutex);
    if (!unused().empty()) {
      HostSlot* slot = unused().back();
      unused().pop_back();
      return slot;
    }
  }
  auto* slot = new HostSlot;
  slot->arrived = make_event();
  allocate_host(&slot->bytes, AsyncCopyToHost::kMaxBytes);
  return slot;
}

}  // namespace

void begin_copy_to_host(AsyncCopyToHost& copy, const void* source, std::size_t bytes) {
  if (bytes > AsyncCopyToHost::kMaxBytes)
    throw std::logic_error("begin_copy_to_host: at most 64 bytes");
  HostSlot* slot = take_host_slot();
  copy.state = slot;
  check(cudaMemcpyAsync(slot->bytes, source, bytes, cudaMemcpyDeviceToHost, current_stream()),
        "copying from the device");
  check(cudaEventRecord(slot->arrived, current_stream()), "copying from the device");
}

void finish_copy_to_host(AsyncCopyToHost& copy, void* destination, std::size_t bytes) {
  const auto* slot = static_cast<HostSlot*>(copy.state);
  check(cudaEventSynchronize(slot->arrived), "running kernels");
  std::memcpy(destination, slot->bytes, bytes);
  abandon_copy_to_host(copy);
}

void abandon_copy_to_host(AsyncCopyToHost& copy) {
  if (copy.state == nullptr) return;
  auto* slot = static_cast<HostSlot*>(copy.state);
  cudaEventSynchronize(slot->arrived);  // before it is reused
  const std::lock_guard<std::mutex> lock(unused_mutex);
  unused().push_back(slot);
  copy.state = nullptr;
}

void free_memory(std::size_t* bytes) {
  current_stream();
  std::size_t total = 0;
  check(cudaMemGetInfo(bytes, &total), "asking for the free memory");
}

}  // namespace serenade::cuda
