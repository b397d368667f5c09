#pragma once
// Whole blocks. a >= 0, b >= 1.

#include <cstdint>

namespace serenade {

/// ceil(a / b): how many blocks of b hold a things.
constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// The smallest multiple of b that is not below a.
constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) { return ceil_div(a, b) * b; }

}  // namespace serenade
