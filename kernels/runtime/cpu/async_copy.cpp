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

struct HostSlot {
  char bytes[AsyncCopyToHost::kMaxBytes];
};

}  // namespace

void begin_copy_to_host(AsyncCopyToHost& copy, const void* source, std::size_t bytes) {
  auto* fetched = new HostSlot;
  std::memcpy(fetched->bytes, source, bytes);
  copy.state = fetched;
}

void finish_copy_to_host(AsyncCopyToHost& copy, void* destination, std::size_t bytes) {
  std::memcpy(destination, static_cast<HostSlot*>(copy.state)->bytes, bytes);
  abandon_copy_to_host(copy);
}

void abandon_copy_to_host(AsyncCopyToHost& copy) {
  delete static_cast<HostSlot*>(copy.state);
  copy.state = nullptr;
}

void free_memory(std::size_t* bytes) { *bytes = std::numeric_limits<std::size_t>::max(); }

}  // namespace serenade::cpu
