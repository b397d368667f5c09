#include "tensor/storage.h"

#include "kernels/runtime/memory.h"

namespace serenade {

Storage::Storage(std::size_t bytes, Device device, Contents contents)
    : bytes_(bytes), device_(device) {
  if (contents == Contents::zeros) {
    KERNEL(device, allocate_zeroed, &data_, bytes);
  } else {
    KERNEL(device, allocate, &data_, bytes);
  }
}

Storage::~Storage() { KERNEL(device_, release, data_); }

}  // namespace serenade
