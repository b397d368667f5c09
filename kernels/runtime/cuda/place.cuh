#pragma once
// Where an element of a map stands.

#include <cstdint>

#include "kernels/runtime/cuda/device_code.h"

namespace serenade::cuda {
namespace {

/// An element of a map: its plane, row and column.
struct Place {
  std::int64_t plane, i, j;
  __device__ Place(std::int64_t index, std::int64_t rows, std::int64_t columns) {
    const std::int64_t line = index / columns;
    j = index - line * columns;
    plane = line / rows;
    i = line - plane * rows;
  }
};

}  // namespace
}  // namespace serenade::cuda
