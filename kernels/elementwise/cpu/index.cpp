// Elements chosen by number on the host.

#include "kernels/elementwise/index.h"

#include <algorithm>

#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

// Several k may name one element, so all k of a strip of neighbours belong to one thread.
constexpr std::int64_t kStrip = 64;

// Calls strip(o, begin, end) for strips of the last axis.
template <class Strip>
void for_each_strip(const IndexShape& s, const Strip& strip) {
  const std::int64_t strips = ceil_div(s.inner, kStrip);
  parallel_items(s.outer * strips, s.count * std::min(s.inner, kStrip), [&](std::int64_t item) {
    const std::int64_t begin = item % strips * kStrip;
    strip(item / strips, begin, std::min(begin + kStrip, s.inner));
  });
}

// Single elements along the last axis: calls each(o, i) for elements i = o * count + k in order.
template <class Each>
void for_each_element(const IndexShape& s, const Each& each) {
  parallel_blocks(s.outer * s.count, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin, o = begin / s.count; i < end; ++o) {
      for (const std::int64_t row_end = std::min(end, (o + 1) * s.count); i < row_end; ++i) {
        each(o, i);
      }
    }
  });
}

template <bool add>
void gather(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  if (s.inner == 1) {
    return for_each_element(s, [=](std::int64_t o, std::int64_t i) {
      const real value = x[o * s.axis + indices[i]];
      y[i] = add ? y[i] + value : value;
    });
  }
  parallel_items(s.outer * s.count, s.inner, [&](std::int64_t row) {
    const real* from = x + row / s.count * s.axis * s.inner;
    for (std::int64_t i = 0; i < s.inner; ++i) {
      const std::int64_t at = row * s.inner + i;
      const real value = from[indices[at] * s.inner + i];
      y[at] = add ? y[at] + value : value;
    }
  });
}

}  // namespace

void index_select_forward(real* y, const real* x, const std::int64_t* indices,
                          const IndexShape& s) {
  if (s.inner == 1) {
    return for_each_element(s, [=](std::int64_t o, std::int64_t i) {
      y[i] = x[o * s.axis + indices[i - o * s.count]];
    });
  }
  parallel_items(s.outer * s.count, s.inner, [&](std::int64_t row) {
    const std::int64_t o = row / s.count, k = row % s.count;
    std::copy_n(x + (o * s.axis + indices[k]) * s.inner, s.inner, y + row * s.inner);
  });
}

void index_select_backward(real* dx, const real* dy, const std::int64_t* indices,
                           const IndexShape& s) {
  if (s.inner == 1) {
    return parallel_items(s.outer, s.count, [=](std::int64_t o) {
      for (std::int64_t k = 0; k < s.count; ++k) {
        dx[o * s.axis + indices[k]] += dy[o * s.count + k];
      }
    });
  }
  for_each_strip(s, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = 0; k < s.count; ++k) {
      real* to = dx + (o * s.axis + indices[k]) * s.inner;
      const real* from = dy + (o * s.count + k) * s.inner;
      for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
    }
  });
}

void gather_forward(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  gather<false>(y, x, indices, s);
}
void gather_add(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  gather<true>(y, x, indices, s);
}

void scatter_add(real* y, const real* x, const std::int64_t* indices, const IndexShape& s) {
  if (s.inner == 1) {
    return parallel_items(s.outer, s.count, [=](std::int64_t o) {
      for (std::int64_t i = o * s.count; i < (o + 1) * s.count; ++i) {
        y[o * s.axis + indices[i]] += x[i];
      }
    });
  }
  for_each_strip(s, [&](std::int64_t o, std::int64_t begin, std::int64_t end) {
    real* to = y + o * s.axis * s.inner;
    for (std::int64_t k = 0; k < s.count; ++k) {
      const std::int64_t row = (o * s.count + k) * s.inner;
      for (std::int64_t i = begin; i < end; ++i) to[indices[row + i] * s.inner + i] += x[row + i];
    }
  });
}

}  // namespace serenade::cpu
