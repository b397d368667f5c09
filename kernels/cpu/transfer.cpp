// On the host there is nothing to wait for: a copy is done when its call returns.

#include "kernels/transfer.h"

#include <cstring>
#include <limits>

#include "kernels/memory.h"

namespace serenade::cpu {

void allocate_host(void** pointer, std::size_t bytes) { allocate(pointer, bytes); }
void release_host(void* pointer) { release(pointer); }

void begin_upload(Upload&, void* destination, const void* source, std::size_t bytes) {
  if (bytes > 0) std::memcpy(destination, source, bytes);
}
void use_upload(Upload&) {}
void end_upload_use(Upload&) {}
void finish_upload(Upload&) {}
void release_upload(Upload&) {}

namespace {

struct FetchedBytes {
  char bytes[Download::kMostBytes];
};

}  // namespace

void begin_download(Download& download, const void* source, std::size_t bytes) {
  auto* fetched = new FetchedBytes;
  std::memcpy(fetched->bytes, source, bytes);
  download.state = fetched;
}

void finish_download(Download& download, void* destination, std::size_t bytes) {
  std::memcpy(destination, static_cast<FetchedBytes*>(download.state)->bytes, bytes);
  abandon_download(download);
}

void abandon_download(Download& download) {
  delete static_cast<FetchedBytes*>(download.state);
  download.state = nullptr;
}

void free_memory(std::size_t* bytes) { *bytes = std::numeric_limits<std::size_t>::max(); }

}  // namespace serenade::cpu
