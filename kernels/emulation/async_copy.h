#pragma once
// The cp.async copies of one thread. A copy takes place when the thread waits for its group, as
// late as the device may do it; until then its destination holds NaN and must not be used.

#include <cstddef>
#include <vector>

#include "kernels/emulation/memory.h"
#include "kernels/emulation/source_location.h"

namespace serenade::emulation {

class AsyncCopies {
 public:
  /// Begins a copy of `bytes` (4, 8 or 16, checked against the alignment of both sides) into shared
  /// memory; `inside` false fills with zeros and reads nothing.
  void begin(void* to, Region* to_region, const void* from, Region* from_region, std::size_t bytes,
             bool inside, const SourceLocation& where);

  /// Closes the group of the copies begun since the last call.
  void commit() { group_ends_.push_back(copies_.size()); }

  /// Carries out all groups but the newest `newest`.
  void wait(std::size_t newest);

  /// At the end of the thread: fails if a copy was never waited for.
  void finish();

  /// Forgets everything.
  void clear();

 private:
  struct Copy {
    char* to;
    Region* region;
    const char* from;
    std::size_t bytes;
    bool inside;
    SourceLocation where;
  };
  std::vector<Copy> copies_;
  std::vector<std::size_t> group_ends_;
};

}  // namespace serenade::emulation
