// Pooling with windows of any kind (formulas: kernels/pool/windows.h).
//
// A tap is one place in the window. Sliding windows are taken tap by tap, each for all columns of a
// row of windows at once, in loops without branches that the compiler turns into vectors. A mean
// adds up rows first, so that a window of R x S takes R + S additions.

#include "kernels/pool/windows.h"

#include <algorithm>
#include <limits>

#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

namespace {

// The windows j of an axis whose tap at `offset` from j * stride lies in the image.
struct Range {
  std::int64_t first, end;
  Range(const WindowAxis& axis, std::int64_t offset)
      : first(offset >= 0 ? 0 : (-offset + axis.stride - 1) / axis.stride),
        end(offset >= axis.size ? 0
                                : std::min(axis.out, (axis.size - 1 - offset) / axis.stride + 1)) {}
};

bool lies_in(const WindowAxis& axis, std::int64_t x) { return x >= 0 && x < axis.size; }

// y = max(y, value of a tap) for the windows of a range. `position`: in the plane, of the tap of
// window 0, which may lie outside.
void take_tap(real* __restrict y, std::int32_t* __restrict index, const real* __restrict plane,
              std::int64_t position, const Range& range, std::int64_t stride) {
  const auto step = [&](std::int64_t j, std::int64_t at) {
    const real value = plane[position + at];
    const bool better = (value > y[j]) | (value != value) | (index[j] < 0);
    y[j] = better ? value : y[j];
    index[j] = better ? static_cast<std::int32_t>(position + at) : index[j];
  };
  if (stride == 1) {
    for (std::int64_t j = range.first; j < range.end; ++j) step(j, j);
  } else {
    for (std::int64_t j = range.first; j < range.end; ++j) step(j, j * stride);
  }
}

void max_row(real* y, std::int32_t* index, const real* plane, const WindowShape& s,
             std::int64_t i) {
  std::fill_n(y, s.columns.out, -std::numeric_limits<real>::infinity());
  std::fill_n(index, s.columns.out, -1);
  for (std::int64_t a = 0; a < s.rows.count(i); ++a) {
    const std::int64_t row = s.rows.begin(i) + a * s.rows.dilation;
    if (!lies_in(s.rows, row)) continue;
    const std::int64_t start = row * s.columns.size;
    if (s.columns.adaptive()) {
      for (std::int64_t j = 0; j < s.columns.out; ++j) {
        const std::int64_t begin = s.columns.begin(j);
        for (std::int64_t b = 0; b < s.columns.count(j); ++b) {
          take_tap(y + j, index + j, plane, start + begin + b, Range({.size = 1}, 0), 1);
        }
      }
      continue;
    }
    for (std::int64_t b = 0; b < s.columns.window; ++b) {
      const std::int64_t offset = b * s.columns.dilation - s.columns.padding;
      take_tap(y, index, plane, start + offset, Range(s.columns, offset), s.columns.stride);
    }
  }
}

// sums[x] of a row of windows: x summed over the rows of the window.
void sum_rows(real* __restrict sums, const real* plane, const WindowShape& s, std::int64_t i) {
  const std::int64_t width = s.columns.size;
  std::fill_n(sums, width, real(0));
  for (std::int64_t a = 0; a < s.rows.count(i); ++a) {
    const std::int64_t row = s.rows.begin(i) + a;
    if (!lies_in(s.rows, row)) continue;
    const real* from = plane + row * width;
    for (std::int64_t x = 0; x < width; ++x) sums[x] += from[x];
  }
}

// Calls tap(j, x) for all windows j of a row and all their elements x in the image.
template <class Tap>
void for_each_tap(const WindowAxis& axis, const Tap& tap) {
  if (axis.adaptive()) {
    for (std::int64_t j = 0; j < axis.out; ++j) {
      for (std::int64_t b = 0; b < axis.count(j); ++b) tap(j, axis.begin(j) + b);
    }
    return;
  }
  for (std::int64_t b = 0; b < axis.window; ++b) {
    const std::int64_t offset = b - axis.padding;
    const Range range(axis, offset);
    if (axis.stride == 1) {
      for (std::int64_t j = range.first; j < range.end; ++j) tap(j, j + offset);
    } else {
      for (std::int64_t j = range.first; j < range.end; ++j) tap(j, j * axis.stride + offset);
    }
  }
}

}  // namespace

void window_max_forward(real* y, std::int32_t* index, const real* x, const WindowShape& s) {
  const std::int64_t image = s.rows.size * s.columns.size, out = s.columns.out;
  parallel_items(s.planes * s.rows.out, 9 * out, [&](std::int64_t line) {
    max_row(y + line * out, index + line * out, x + line / s.rows.out * image, s,
            line % s.rows.out);
  });
}

void window_max_backward(real* dx, const real* dy, const std::int32_t* index,
                         const WindowShape& s) {
  const std::int64_t image = s.rows.size * s.columns.size, outs = s.rows.out * s.columns.out;
  parallel_items(s.planes, outs, [&](std::int64_t plane) {
    real* to = dx + plane * image;
    for (std::int64_t i = plane * outs; i < (plane + 1) * outs; ++i) to[index[i]] += dy[i];
  });
}

void window_mean_forward(real* y, const real* x, const WindowShape& s) {
  if (s.planes == 0) return;  // their sides may be longer than any memory
  const std::int64_t width = s.columns.size, image = s.rows.size * width, out = s.columns.out;
  real* const memory = scratch(thread_count() * width);
  parallel_items(s.planes * s.rows.out, 6 * out, [&](std::int64_t line) {
    real* const sums = memory + thread_index() * width;
    real* const to = y + line * out;
    const std::int64_t i = line % s.rows.out;
    sum_rows(sums, x + line / s.rows.out * image, s, i);
    std::fill_n(to, out, real(0));
    for_each_tap(s.columns, [=](std::int64_t j, std::int64_t at) { to[j] += sums[at]; });
    for (std::int64_t j = 0; j < out; ++j) to[j] *= s.share(i, j);
  });
}

void window_mean_backward(real* dx, const real* dy, const WindowShape& s) {
  if (s.planes == 0) return;  // their sides may be longer than any memory
  const std::int64_t width = s.columns.size, image = s.rows.size * width, out = s.columns.out;
  real* const memory = scratch(thread_count() * (width + out));
  parallel_items(s.planes, 6 * s.rows.out * out, [&](std::int64_t plane) {
    real* const spread = memory + thread_index() * (width + out);
    real* const shares = spread + width;
    for (std::int64_t i = 0; i < s.rows.out; ++i) {
      const real* from = dy + (plane * s.rows.out + i) * out;
      for (std::int64_t j = 0; j < out; ++j) shares[j] = from[j] * s.share(i, j);
      std::fill_n(spread, width, real(0));
      for_each_tap(s.columns, [=](std::int64_t j, std::int64_t at) { spread[at] += shares[j]; });
      for (std::int64_t a = 0; a < s.rows.count(i); ++a) {
        const std::int64_t row = s.rows.begin(i) + a;
        if (!lies_in(s.rows, row)) continue;
        real* const to = dx + plane * image + row * width;
        for (std::int64_t at = 0; at < width; ++at) to[at] += spread[at];
      }
    }
  });
}

}  // namespace serenade::cpu
