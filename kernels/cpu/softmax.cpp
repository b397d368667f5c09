// Softmax and its logarithm on the host. Lanes (the positions along `inner`) go together in strips,
// so that every pass reads memory in order whether the axis is the last one or not.

#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/parallel.h"

namespace serenade::cpu {

namespace {

constexpr std::int64_t kLanes = 64;  // of one strip; their sums stay on the stack

// Calls strip(offset of its first element, number of lanes) for all strips.
template <class Strip>
void for_each_strip(std::int64_t outer, std::int64_t axis, std::int64_t inner, Strip strip) {
  const std::int64_t strips = (inner + kLanes - 1) / kLanes;
  parallel_items(outer * strips, axis * std::min(inner, kLanes), [=](std::int64_t item) {
    const std::int64_t lane = item % strips * kLanes;
    strip(item / strips * axis * inner + lane, std::min(kLanes, inner - lane));
  });
}

// largest[i] = max over the axis; x begins at the strip.
void find_largest(real* largest, const real* x, std::int64_t axis, std::int64_t inner,
                  std::int64_t lanes) {
  std::copy_n(x, lanes, largest);
  for (std::int64_t k = 1; k < axis; ++k) {
    for (std::int64_t i = 0; i < lanes; ++i) largest[i] = std::max(largest[i], x[k * inner + i]);
  }
}

}  // namespace

void softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                     std::int64_t inner) {
  for_each_strip(outer, axis, inner, [=](std::int64_t start, std::int64_t lanes) {
    real largest[kLanes], total[kLanes] = {};
    find_largest(largest, x + start, axis, inner, lanes);
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t at = start + k * inner + i;
        y[at] = std::exp(x[at] - largest[i]);
        total[i] += y[at];
      }
    }
    for (std::int64_t i = 0; i < lanes; ++i) total[i] = 1 / total[i];
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) y[start + k * inner + i] *= total[i];
    }
  });
}

void softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                      std::int64_t axis, std::int64_t inner) {
  for_each_strip(outer, axis, inner, [=](std::int64_t start, std::int64_t lanes) {
    real total[kLanes] = {};
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t at = start + k * inner + i;
        total[i] += dy[at] * y[at];
      }
    }
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t at = start + k * inner + i;
        dx[at] += y[at] * (dy[at] - total[i]);
      }
    }
  });
}

void log_softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                         std::int64_t inner) {
  for_each_strip(outer, axis, inner, [=](std::int64_t start, std::int64_t lanes) {
    real largest[kLanes], total[kLanes] = {};
    find_largest(largest, x + start, axis, inner, lanes);
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        total[i] += std::exp(x[start + k * inner + i] - largest[i]);
      }
    }
    for (std::int64_t i = 0; i < lanes; ++i) total[i] = std::log(total[i]);
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t at = start + k * inner + i;
        // Two steps: largest + log(sum) would round away the small logarithm of a large maximum.
        y[at] = x[at] - largest[i] - total[i];
      }
    }
  });
}

void log_softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                          std::int64_t axis, std::int64_t inner) {
  for_each_strip(outer, axis, inner, [=](std::int64_t start, std::int64_t lanes) {
    real total[kLanes] = {};
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) total[i] += dy[start + k * inner + i];
    }
    for (std::int64_t k = 0; k < axis; ++k) {
      for (std::int64_t i = 0; i < lanes; ++i) {
        const std::int64_t at = start + k * inner + i;
        dx[at] += dy[at] - std::exp(y[at]) * total[i];
      }
    }
  });
}

}  // namespace serenade::cpu
