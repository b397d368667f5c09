#pragma once
// A loop over independent pieces of work on several threads.

#include <cstdint>
#include <functional>

namespace serenade::ser {

/// Calls work(i) for every i in [0, count), each once, on `threads` threads (0: one per processor).
/// Results must not depend on the order. When pieces throw, the rest is given up and the exception
/// of the smallest such i that ran is thrown here, once all threads have ended.
void parallel_for(std::int64_t count, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace serenade::ser
