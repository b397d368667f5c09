// Transfers of a real device. Uploads have a stream of their own, so that the copy engine brings
// the next batch while the kernels of this step run; two events per destination keep the order:
// nobody reads before the bytes are there, nobody overwrites what is still read. Downloads are a
// few bytes and stay in the stream of the kernels, whose results they are.

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

CopyEvents& state_of(AsyncCopyToDevice& upload) {
  if (upload.state == nullptr) upload.state = new CopyEvents;
  return *static_cast<CopyEvents*>(upload.state);
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

void begin_copy_to_device(AsyncCopyToDevice& upload, void* destination, const void* source,
                          std::size_t bytes) {
  CopyEvents& events = state_of(upload);
  if (!events.free_to_fill) {
    throw std::logic_error("begin_copy_to_device: end_copy_use() must come before it");
  }
  events.free_to_fill = false;
  check(cudaStreamWaitEvent(copy_stream(), events.used), "ordering a copy");
  check(cudaMemcpyAsync(destination, source, bytes, cudaMemcpyHostToDevice, copy_stream()),
        "copying to the device");
  check(cudaEventRecord(events.copied, copy_stream()), "ordering a copy");
}

void use_copy_to_device(AsyncCopyToDevice& upload) {
  check(cudaStreamWaitEvent(current_stream(), state_of(upload).copied), "ordering a copy");
}

void end_copy_use(AsyncCopyToDevice& upload) {
  CopyEvents& events = state_of(upload);
  check(cudaEventRecord(events.used, current_stream()), "ordering a copy");
  events.free_to_fill = true;
}

void finish_copy_to_device(AsyncCopyToDevice& upload) {
  check(cudaEventSynchronize(state_of(upload).copied), "copying to the device");
}

void release_copy_to_device(AsyncCopyToDevice& upload) {
  if (upload.state == nullptr) return;
  auto* events = static_cast<CopyEvents*>(upload.state);
  cudaEventSynchronize(events->copied);
  cudaEventDestroy(events->copied);
  cudaEventDestroy(events->used);
  delete events;
  upload.state = nullptr;
}

// Downloads --------------------------------------------------------------------------------------

namespace {

/// A place in page-locked memory and the event after which it is filled. They are kept for the next
/// download: making them costs more than a step's kernels take.
struct FetchedBytes {
  void* bytes = nullptr;
  cudaEvent_t arrived = nullptr;
};

std::mutex unused_mutex;
std::vector<FetchedBytes*>& unused() {
  static auto* list = new std::vector<FetchedBytes*>;  // never destroyed, as the driver may be gone
  return *list;
}

FetchedBytes* take_place() {
  {
    const std::lock_guard<std::mutex> lock(unused_mutex);
    if (!unused().empty()) {
      FetchedBytes* place = unused().back();
      unused().pop_back();
      return place;
    }
  }
  auto* place = new FetchedBytes;
  place->arrived = make_event();
  allocate_host(&place->bytes, AsyncCopyToHost::kMaxBytes);
  return place;
}

}  // namespace

void begin_copy_to_host(AsyncCopyToHost& download, const void* source, std::size_t bytes) {
  if (bytes > AsyncCopyToHost::kMaxBytes)
    throw std::logic_error("begin_copy_to_host: at most 64 bytes");
  FetchedBytes* place = take_place();
  download.state = place;
  check(cudaMemcpyAsync(place->bytes, source, bytes, cudaMemcpyDeviceToHost, current_stream()),
        "copying from the device");
  check(cudaEventRecord(place->arrived, current_stream()), "copying from the device");
}

void finish_copy_to_host(AsyncCopyToHost& download, void* destination, std::size_t bytes) {
  const auto* place = static_cast<FetchedBytes*>(download.state);
  check(cudaEventSynchronize(place->arrived), "running kernels");
  std::memcpy(destination, place->bytes, bytes);
  abandon_copy_to_host(download);
}

void abandon_copy_to_host(AsyncCopyToHost& download) {
  if (download.state == nullptr) return;
  auto* place = static_cast<FetchedBytes*>(download.state);
  cudaEventSynchronize(place->arrived);  // the device must not write into somebody else's place
  const std::lock_guard<std::mutex> lock(unused_mutex);
  unused().push_back(place);
  download.state = nullptr;
}

void free_memory(std::size_t* bytes) {
  current_stream();
  std::size_t total = 0;
  check(cudaMemGetInfo(bytes, &total), "asking for the free memory");
}

}  // namespace serenade::cuda
