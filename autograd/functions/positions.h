#pragma once
// Positions of the maxima of pooling: device memory shared with a backward closure, and the way
// back by them.

#include <memory>
#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "kernels/runtime/memory.h"
#include "tensor/storage.h"

namespace serenade {

template <class Position>
std::shared_ptr<Storage> position_storage(std::int64_t count, Device device) {
  return std::make_shared<Storage>(static_cast<std::size_t>(count) * sizeof(Position), device);
}

template <class Position>
std::vector<Position> positions_on_host(const Storage& storage) {
  std::vector<Position> positions(storage.bytes() / sizeof(Position));
  KERNEL(storage.device(), copy_to_host, positions.data(), storage.data(), storage.bytes());
  return positions;
}

/// Where each maximum of its window, [out_h, out_w] windows of window_h x window_w in a plane,
/// stands in a plane of that width. windows: one position in each window, row-major.
template <class Position>
Indices places_of_blocks(const std::vector<Position>& windows, std::int64_t out_h,
                         std::int64_t out_w, std::int64_t window_h, std::int64_t window_w,
                         std::int64_t width) {
  Indices places(windows.begin(), windows.end());
  for (std::size_t n = 0; n < places.size(); ++n) {
    const std::int64_t at = static_cast<std::int64_t>(n) % (out_h * out_w);
    const std::int64_t row = at / out_w * window_h + places[n] / window_w;
    places[n] = row * width + at % out_w * window_w + places[n] % window_w;
  }
  return places;
}

/// Zeros of `shape` [N, C, H, W], with the elements of y [N, C, out_h, out_w] added at their places
/// in the planes of H W.
Variable unpooled(const Variable& y, const Indices& places, const Shape& shape);

}  // namespace serenade
