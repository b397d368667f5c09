// Pooling with windows of any kind on the device (formulas: kernels/pool/windows.h).
//
// Forward one thread per window, backward one per element, which looks through the windows that may
// hold it in their order: no two threads write the same element. What neighbours read twice is
// found in the caches.

#include "kernels/pool/windows.h"

#include "kernels/runtime/cuda/loops.cuh"
#include "kernels/runtime/cuda/place.cuh"

namespace serenade::cuda {
namespace {

__device__ __forceinline__ bool lies_in(const WindowAxis& axis, std::int64_t x) {
  return x >= 0 && x < axis.size;
}

__global__ void __launch_bounds__(kLoopThreads)
    window_max(GlobalPointer<real> y, GlobalPointer<std::int32_t> index,
               GlobalPointer<const real> x, WindowShape s) {
  const std::int64_t count = s.planes * s.rows.out * s.columns.out;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place window(at, s.rows.out, s.columns.out);
    const std::int64_t plane = window.plane * s.rows.size * s.columns.size;
    real best = -HUGE_VALF;
    std::int64_t where = -1;
    for (std::int64_t a = 0; a < s.rows.count(window.i); ++a) {
      const std::int64_t row = s.rows.begin(window.i) + a * s.rows.dilation;
      if (!lies_in(s.rows, row)) continue;
      for (std::int64_t b = 0; b < s.columns.count(window.j); ++b) {
        const std::int64_t column = s.columns.begin(window.j) + b * s.columns.dilation;
        if (!lies_in(s.columns, column)) continue;
        const std::int64_t position = row * s.columns.size + column;
        const real v = x[plane + position];
        if (v > best || v != v || where < 0) {
          best = v;
          where = position;
        }
      }
    }
    y[at] = best;
    index[at] = static_cast<std::int32_t>(where);
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    window_max_gradient(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                        GlobalPointer<const std::int32_t> index, WindowShape s) {
  const std::int64_t count = s.planes * s.rows.size * s.columns.size;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place element(at, s.rows.size, s.columns.size);
    const std::int64_t position = element.i * s.columns.size + element.j;
    real sum = dx[at];
    for (std::int64_t i = s.rows.first_window(element.i); i < s.rows.end_window(element.i); ++i) {
      const std::int64_t line = (element.plane * s.rows.out + i) * s.columns.out;
      for (std::int64_t j = s.columns.first_window(element.j); j < s.columns.end_window(element.j);
           ++j) {
        const std::int32_t where = index[line + j];
        const real d = dy[line + j];
        if (where == position) sum += d;
      }
    }
    dx[at] = sum;
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    window_mean(GlobalPointer<real> y, GlobalPointer<const real> x, WindowShape s) {
  const std::int64_t count = s.planes * s.rows.out * s.columns.out;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place window(at, s.rows.out, s.columns.out);
    const std::int64_t plane = window.plane * s.rows.size * s.columns.size;
    real sum = 0;
    for (std::int64_t b = 0; b < s.columns.count(window.j); ++b) {
      const std::int64_t column = s.columns.begin(window.j) + b;
      if (!lies_in(s.columns, column)) continue;
      real of_column = 0;
      for (std::int64_t a = 0; a < s.rows.count(window.i); ++a) {
        const std::int64_t row = s.rows.begin(window.i) + a;
        if (!lies_in(s.rows, row)) continue;
        const real v = x[plane + row * s.columns.size + column];
        of_column += v;
      }
      sum += of_column;
    }
    y[at] = sum * s.share(window.i, window.j);
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    window_mean_gradient(GlobalPointer<real> dx, GlobalPointer<const real> dy, WindowShape s) {
  const std::int64_t count = s.planes * s.rows.size * s.columns.size;
  for (std::int64_t at = loop_begin(); at < count; at += grid_stride()) {
    const Place element(at, s.rows.size, s.columns.size);
    real sum = dx[at];
    for (std::int64_t i = s.rows.first_window(element.i); i < s.rows.end_window(element.i); ++i) {
      const std::int64_t line = (element.plane * s.rows.out + i) * s.columns.out;
      real of_row = 0;
      for (std::int64_t j = s.columns.first_window(element.j); j < s.columns.end_window(element.j);
           ++j) {
        const real d = dy[line + j];
        of_row += d * s.share(i, j);
      }
      sum += of_row;
    }
    dx[at] = sum;
  }
}

}  // namespace

void window_max_forward(real* y, std::int32_t* index, const real* x, const WindowShape& s) {
  const std::int64_t count = s.planes * s.rows.out * s.columns.out;
  if (count == 0) return;
  SERENADE_LAUNCH(window_max, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), y, index,
                  x, s);
}

void window_max_backward(real* dx, const real* dy, const std::int32_t* index,
                         const WindowShape& s) {
  const std::int64_t count = s.planes * s.rows.size * s.columns.size;
  if (count == 0) return;
  SERENADE_LAUNCH(window_max_gradient, loop_grid(count), dim3(kLoopThreads), 0, current_stream(),
                  dx, dy, index, s);
}

void window_mean_forward(real* y, const real* x, const WindowShape& s) {
  const std::int64_t count = s.planes * s.rows.out * s.columns.out;
  if (count == 0) return;
  SERENADE_LAUNCH(window_mean, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), y, x, s);
}

void window_mean_backward(real* dx, const real* dy, const WindowShape& s) {
  const std::int64_t count = s.planes * s.rows.size * s.columns.size;
  if (count == 0) return;
  SERENADE_LAUNCH(window_mean_gradient, loop_grid(count), dim3(kLoopThreads), 0, current_stream(),
                  dx, dy, s);
}

}  // namespace serenade::cuda
