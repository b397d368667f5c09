// Reductions and running sums along one axis on the host.

#include "kernels/elementwise/reduce.h"

#include <algorithm>

#include "kernels/elementwise/cpu/rows_simd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

void sum_forward(real* y, const real* x, real factor, std::int64_t outer, std::int64_t axis,
                 std::int64_t inner) {
  // Summing along an axis is the gradient of repeating along it.
  std::fill_n(y, outer * inner, real(0));
  Broadcast repeated;
  repeated.dims = 3;
  const std::int64_t shape[] = {outer, axis, inner}, strides[] = {inner, 0, 1};
  std::copy_n(shape, 3, repeated.shape);
  std::copy_n(strides, 3, repeated.stride_a);
  std::copy_n(strides, 3, repeated.stride_b);
  if (inner == 1) {  // the last axis is then the one to sum over, in long stretches
    repeated.dims = 2;
    repeated.stride_a[0] = 1;
  }
  add_backward(y, x, factor, repeated, Write::add);
}

void sum_backward(real* dx, const real* dy, real factor, std::int64_t outer, std::int64_t axis,
                  std::int64_t inner) {
  if (inner == 1) {
    // Long rows are cut into pieces, so that the sum of all elements uses all threads too.
    parallel_blocks(outer * axis, [=](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t row_end = std::min(end, (begin / axis + 1) * axis);
        const real value = factor * dy[begin / axis];
        for (; begin < row_end; ++begin) dx[begin] += value;
      }
    });
    return;
  }
  parallel_items(outer * axis, inner, [=](std::int64_t row) {
    const real* from = dy + row / axis * inner;
    real* to = dx + row * inner;
    for (std::int64_t i = 0; i < inner; ++i) to[i] += factor * from[i];
  });
}

void max_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                 std::int64_t inner) {
  const RowsSimd& simd = rows_simd();
  parallel_items(outer, axis * inner, [=, &simd](std::int64_t o) {
    const real* from = x + o * axis * inner;
    real* best = y + o * inner;
    if (inner == 1) {
      *best = simd.largest(from, axis);
      return;
    }
    std::copy_n(from, inner, best);
    for (std::int64_t k = 1; k < axis; ++k) {
      for (std::int64_t i = 0; i < inner; ++i) {
        const real value = from[k * inner + i];
        // The second test lets a NaN in; once there, no comparison replaces it.
        if (value > best[i] || value != value) best[i] = value;
      }
    }
  });
}

void max_backward(real* dx, const real* dy, const real* x, const real* y, std::int64_t outer,
                  std::int64_t axis, std::int64_t inner) {
  parallel_items(outer * inner, axis, [=](std::int64_t lane) {
    const std::int64_t start = lane / inner * axis * inner + lane % inner;
    for (std::int64_t k = 0; k < axis; ++k) {
      const real value = x[start + k * inner];
      if (value == y[lane] || (value != value && y[lane] != y[lane])) {
        dx[start + k * inner] += dy[lane];
        return;
      }
    }
  });
}

// In double: thousands of terms one after the other would cost float three digits.
void cumsum_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                    std::int64_t inner) {
  parallel_items(outer * inner, axis, [=](std::int64_t lane) {
    const std::int64_t start = lane / inner * axis * inner + lane % inner;
    double total = 0;
    for (std::int64_t i = start, end = start + axis * inner; i < end; i += inner) {
      y[i] = static_cast<real>(total += static_cast<double>(x[i]));
    }
  });
}

void cumsum_backward(real* dx, const real* dy, std::int64_t outer, std::int64_t axis,
                     std::int64_t inner) {
  parallel_items(outer * inner, axis, [=](std::int64_t lane) {
    const std::int64_t start = lane / inner * axis * inner + lane % inner;
    double total = 0;
    for (std::int64_t i = start + (axis - 1) * inner; i >= start; i -= inner) {
      dx[i] += static_cast<real>(total += static_cast<double>(dy[i]));
    }
  });
}

}  // namespace serenade::cpu
