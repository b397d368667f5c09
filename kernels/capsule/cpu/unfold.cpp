// Sliding windows (shapes: kernels/capsule/unfold.h). Copies of runs of steps: the plain version is
// limited by memory already.

#include "kernels/capsule/unfold.h"

#include <algorithm>

#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

/// Steps of window w that exist.
std::int64_t valid_steps(const UnfoldShape& s, std::int64_t w) {
  return std::clamp<std::int64_t>(s.steps - w * s.step, 0, s.size);
}

// Where window w begins in its row: at its end, if it begins beyond.
std::int64_t first_step(const UnfoldShape& s, std::int64_t w) {
  return std::min(w * s.step, s.steps);
}

}  // namespace

void unfold_forward(real* y, const real* x, const UnfoldShape& s) {
  const std::int64_t total = s.samples * s.count;
  parallel_items(total, s.rows * s.size, [&](std::int64_t nw) {
    const std::int64_t n = nw / s.count, w = nw % s.count, valid = valid_steps(s, w);
    for (std::int64_t r = 0; r < s.rows; ++r) {
      const real* from = x + (n * s.rows + r) * s.steps + first_step(s, w);
      real* to = y + (nw * s.rows + r) * s.size;
      for (std::int64_t t = 0; t < valid; ++t) to[t] = from[t];
      for (std::int64_t t = valid; t < s.size; ++t) to[t] = 0;
    }
  });
}

// One row of x per work item: windows overlap in it, so it must belong to one thread.
void unfold_backward(real* dx, const real* dy, const UnfoldShape& s) {
  const std::int64_t total = s.samples * s.rows;
  parallel_items(total, s.count * s.size, [&](std::int64_t nr) {
    const std::int64_t n = nr / s.rows, r = nr % s.rows;
    for (std::int64_t w = 0; w < s.count; ++w) {
      const std::int64_t valid = valid_steps(s, w);
      const real* from = dy + ((n * s.count + w) * s.rows + r) * s.size;
      real* to = dx + nr * s.steps + first_step(s, w);
      for (std::int64_t t = 0; t < valid; ++t) to[t] += from[t];
    }
  });
}

}  // namespace serenade::cpu
