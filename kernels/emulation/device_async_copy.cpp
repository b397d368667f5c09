// Asynchronous copies of the emulated device. They happen as late as a real device might do them,
// so that a forgotten use_copy_to_device(), a source changed too early or a destination filled
// while it is read show.

#include "kernels/runtime/async_copy.h"

#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

struct PendingCopyToDevice {
  void* destination = nullptr;  // null: nothing is on its way
  const void* source = nullptr;
  std::size_t bytes = 0;
  bool free_to_fill = false;
  std::vector<char> read;  // the source's bytes, once somebody waited for them to be read
};

void arrive(PendingCopyToDevice& pending) {
  if (pending.destination == nullptr) return;
  copy_to_device(pending.destination, pending.source, pending.bytes);
  pending.destination = nullptr;
}

PendingCopyToDevice& state_of(AsyncCopyToDevice& copy) {
  if (copy.state == nullptr) copy.state = new PendingCopyToDevice;
  return *static_cast<PendingCopyToDevice*>(copy.state);
}

struct HostSlot {
  char bytes[AsyncCopyToHost::kMaxBytes];
};

}  // namespace

void allocate_host(void** pointer, std::size_t bytes) {
  *pointer = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (*pointer == nullptr) throw std::bad_alloc();
}
void release_host(void* pointer) { std::free(pointer); }

void begin_copy_to_device(AsyncCopyToDevice& copy, void* destination, const void* source,
                          std::size_t bytes) {
  PendingCopyToDevice& pending = state_of(copy);
  if (!pending.free_to_fill) {
    throw std::logic_error("begin_copy_to_device: end_copy_use() must come before it");
  }
  pending = {destination, source, bytes, false, {}};
}

void use_copy_to_device(AsyncCopyToDevice& copy) { arrive(state_of(copy)); }
void end_copy_use(AsyncCopyToDevice& copy) {
  arrive(state_of(copy));
  state_of(copy).free_to_fill = true;
}

// May be called by another thread than the one that uses the device, so it leaves that alone.
void finish_copy_to_device(AsyncCopyToDevice& copy) {
  PendingCopyToDevice& pending = state_of(copy);
  if (pending.destination == nullptr) return;
  const char* source = static_cast<const char*>(pending.source);
  pending.read.assign(source, source + pending.bytes);
  pending.source = pending.read.data();
}

void release_copy_to_device(AsyncCopyToDevice& copy) {
  if (copy.state == nullptr) return;
  arrive(state_of(copy));
  delete static_cast<PendingCopyToDevice*>(copy.state);
  copy.state = nullptr;
}

void begin_copy_to_host(AsyncCopyToHost& copy, const void* source, std::size_t bytes) {
  auto* fetched = new HostSlot;
  copy_to_host(fetched->bytes, source, bytes);
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

}  // namespace serenade::cuda
