#include "tensor/storage.h"

#include "kernels/memory.h"

namespace serenade {

Storage::Storage(std::size_t bytes, Device device) : bytes_(bytes), device_(device) {
  KERNEL(device, allocate, &data_, bytes);
}

Storage::~Storage() { KERNEL(device_, release, data_); }

}  // namespace serenade
