#pragma once
// A loop over independent pieces of work on several threads.

#include <cstdint>
#include <functional>

namespace serenade::ser {

/// Calls work(i) for every i in [0, count), each once, on `threads` threads (0: as many as the
/// kernels of the caller have; fewer where the system gives no more). Results must not depend on
/// the order. When a piece throws, no new one is begun, and once all threads have ended the
/// exception of the smallest failing i is thrown here: always the same one, because pieces are
/// handed out in order and each that is begun runs to its end.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace serenade::ser
