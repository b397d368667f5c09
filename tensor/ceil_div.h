#pragma once

namespace serenade {

/// ceil(a / b) in whole numbers: how many blocks of b hold a things. a >= 0, b >= 1.
template <class Int>
constexpr Int ceil_div(Int a, Int b) {
  return (a + b - 1) / b;
}

}  // namespace serenade
