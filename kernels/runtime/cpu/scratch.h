#pragma once
// Memory that kernels work in: taken before a parallel region starts (so that running out of memory
// is an ordinary exception) and kept for the next call (so that its pages are not faulted in
// again).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// `count` reals aligned to 64 bytes, with whatever they held before. They belong to the calling
/// thread until its next call of scratch(). Throws std::bad_alloc.
real* scratch(std::int64_t count);

}  // namespace serenade::cpu
