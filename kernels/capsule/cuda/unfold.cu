// Sliding windows on the device (shapes: kernels/capsule/unfold.h).
//
// One thread per element of the result: of y forward, of dx backward, where it adds up the windows
// that hold its step, in order. Bytes: forward 4 for each element of y, and x from the caches where
// windows overlap, besides once from memory; backward 4 for each of dy, 8 for each of dx.

#include "kernels/capsule/unfold.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

__global__ void __launch_bounds__(kLoopThreads)
    unfold_windows(GlobalPointer<real> y, GlobalPointer<const real> x, UnfoldShape s,
                   std::int64_t count) {
  for (std::int64_t i = loop_begin(); i < count; i += grid_stride()) {
    // i = ((sample * s.count + window) * s.rows + row) * s.size + t
    const std::int64_t line = i / s.size, t = i - line * s.size;
    const std::int64_t sample_window = line / s.rows, row = line - sample_window * s.rows;
    const std::int64_t sample = sample_window / s.count;
    const std::int64_t step = (sample_window - sample * s.count) * s.step + t;
    real v = 0;
    if (step < s.steps) v = x[(sample * s.rows + row) * s.steps + step];
    y[i] = v;
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    add_windows(GlobalPointer<real> dx, GlobalPointer<const real> dy, UnfoldShape s,
                std::int64_t count) {
  for (std::int64_t i = loop_begin(); i < count; i += grid_stride()) {
    // i = (sample * s.rows + row) * s.steps + step
    const std::int64_t line = i / s.steps, step = i - line * s.steps;
    const std::int64_t sample = line / s.rows, row = line - sample * s.rows;
    // Window w holds steps w * step .. w * step + size - 1.
    const std::int64_t first = step < s.size ? 0 : (step - s.size) / s.step + 1;
    const std::int64_t latest = step / s.step, last = latest < s.count ? latest : s.count - 1;
    real sum = dx[i];
    for (std::int64_t w = first; w <= last; ++w) {
      sum += dy[((sample * s.count + w) * s.rows + row) * s.size + (step - w * s.step)];
    }
    dx[i] = sum;
  }
}

}  // namespace

void unfold_forward(real* y, const real* x, const UnfoldShape& shape) {
  const std::int64_t count = shape.samples * shape.count * shape.rows * shape.size;
  if (count == 0) return;
  SERENADE_LAUNCH(unfold_windows, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), y, x,
                  shape, count);
}

void unfold_backward(real* dx, const real* dy, const UnfoldShape& shape) {
  const std::int64_t count = shape.samples * shape.rows * shape.steps;
  if (count == 0) return;
  SERENADE_LAUNCH(add_windows, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), dx, dy,
                  shape, count);
}

}  // namespace serenade::cuda
