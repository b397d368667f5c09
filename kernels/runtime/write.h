#pragma once
// How a backward kernel leaves its result.

namespace serenade {

/// `add`: += to what is there, for a gradient that others have added to. `set`: to memory that
/// nobody has written yet. Zeros need not be written, nor read again: the gradient of a function of
/// one number moves 12 bytes per element in float instead of 20.
enum class Write { set, add };

}  // namespace serenade
