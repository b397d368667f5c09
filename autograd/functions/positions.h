#pragma once
// Device memory for the positions of maxima, shared with a backward closure.

#include <memory>

#include "tensor/storage.h"

namespace serenade {

template <class Position>
std::shared_ptr<Storage> position_storage(std::int64_t count, Device device) {
  return std::make_shared<Storage>(static_cast<std::size_t>(count) * sizeof(Position), device);
}

}  // namespace serenade
