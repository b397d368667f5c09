#pragma once
// Numbers that choose.

#include <cstdint>
#include <vector>

namespace serenade {

/// Class indices, lengths, places along an axis: small integers that no gradient flows through.
using Indices = std::vector<std::int64_t>;

}  // namespace serenade
