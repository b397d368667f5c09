#pragma once
// Pictures that are made, so that programs run where there are no data. They say nothing about real
// ones.

#include <cstdint>

#include "nn/data/dataset.h"

namespace serenade {

inline constexpr std::int64_t kMadeClasses = 6;

/// Pictures first .. first + count - 1 of a seed, [3, 16, 16], values about 0 .. 1: a disc (classes
/// 0 and 1), square (2, 3) or cross (4, 5), turned, with stripes (even) or checks (odd), in any
/// colours and noise. Picture n is a function of (seed, n).
TensorDataset made_shapes(std::uint64_t seed, std::int64_t first, std::int64_t count);

}  // namespace serenade
