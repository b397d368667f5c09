// On the host there is nothing to wait for: a copy is done when its call returns.

#include "kernels/runtime/async_copy.h"

#include <cstring>
#include <limits>

#include "kernels/runtime/memory.h"

namespace serenade::cpu {

void allocate_host(void** pointer, std::size_t bytes) { allocate(pointer, bytes); }
void release_host(void* pointer) { release(pointer); }

void begin_copy_to_device(AsyncCopyToDevice&, void* destination, const void* source,
                          std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}
void use_copy_to_device(AsyncCopyToDevice&) {}
void end_copy_use(AsyncCopyToDevice&) {}
void finish_copy_to_device(AsyncCopyToDevice&) {}
void release_copy_to_device(AsyncCopyToDevice&) {}

namespace {

struct FetchedBytes {
  char bytes[AsyncCopyToHost::kMaxBytes];
};

}  // namespace

void begin_copy_to_host(AsyncCopyToHost& download, const void* source, std::size_t bytes) {
  auto* fetched = new FetchedBytes;
  std::memcpy(fetched->bytes, source, bytes);
  download.state = fetched;
}

void finish_copy_to_host(AsyncCopyToHost& download, void* destination, std::size_t bytes) {
  std::memcpy(destination, static_cast<FetchedBytes*>(download.state)->bytes, bytes);
  abandon_copy_to_host(download);
}

void abandon_copy_to_host(AsyncCopyToHost& download) {
  delete static_cast<FetchedBytes*>(download.state);
  download.state = nullptr;
}

void free_memory(std::size_t* bytes) { *bytes = std::numeric_limits<std::size_t>::max(); }

}  // namespace serenade::cpu
