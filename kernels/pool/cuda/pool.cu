// Max-pooling on the device (formula and shapes: kernels/pool/pool.h).
//
// One thread per window. Bytes per window of the forward pass: 4 for each element of x, 4 for y, 4
// for the index; of the backward pass: 8 read, and 8 for each sector of dx that is touched, at most
// those of the whole window. Windows one column wide, as both systems have them, are taken four at
// a time where rows are whole Vec4s.

#include "kernels/pool/pool.h"

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

/// Where the windows lie in x. `together` consecutive windows make one item.
struct Windows {
  std::int64_t count, out_h, out_w;                // items, row-major
  std::int64_t plane_step, row_step, column_step;  // in x, from one item to the next
  std::int64_t line;                               // a row of x
  int height, width;                               // of a window

  explicit Windows(const PoolShape& s, int together = 1)
      : count(s.planes * s.out_h() * (s.out_w() / together)),
        out_h(s.out_h()),
        out_w(s.out_w() / together),
        plane_step(s.height * s.width),
        row_step(s.window_h * s.width),
        column_step(s.window_w * together),
        line(s.width),
        height(static_cast<int>(s.window_h)),
        width(static_cast<int>(s.window_w)) {}

  /// The first element of item i.
  __device__ __forceinline__ std::int64_t start(std::int64_t i) const {
    const std::int64_t row = i / out_w, column = i - row * out_w;
    const std::int64_t plane = row / out_h;
    return plane * plane_step + (row - plane * out_h) * row_step + column * column_step;
  }
};

__global__ void __launch_bounds__(kLoopThreads)
    max_pool(GlobalPointer<real> y, GlobalPointer<std::int32_t> index, GlobalPointer<const real> x,
             Windows w) {
  for (std::int64_t i = loop_begin(); i < w.count; i += grid_stride()) {
    const std::int64_t start = w.start(i);
    real best = x[start];
    std::int32_t where = 0;
    for (int a = 0; a < w.height; ++a) {
      for (int b = 0; b < w.width; ++b) {
        const real v = x[start + a * w.line + b];
        if (v > best || v != v) {
          best = v;
          where = a * w.width + b;
        }
      }
    }
    y[i] = best;
    index[i] = where;
  }
}

/// Four windows of one column beside each other.
__global__ void __launch_bounds__(kLoopThreads)
    max_pool_columns(GlobalPointer<real> y, GlobalPointer<std::int32_t> index,
                     GlobalPointer<const real> x, Windows w) {
  for (std::int64_t i = loop_begin(); i < w.count; i += grid_stride()) {
    const std::int64_t start = w.start(i);
    Vec4 best = load_vector<Vec4>(x + start);
    int where[4] = {};
    for (int a = 1; a < w.height; ++a) {
      const Vec4 v = load_vector<Vec4>(x + start + a * w.line);
      for (int k = 0; k < 4; ++k) {
        if (v.value[k] > best.value[k] || v.value[k] != v.value[k]) {
          best.value[k] = v.value[k];
          where[k] = a;
        }
      }
    }
    store_vector(y + 4 * i, best);
    store_vector(index + 4 * i, make_int4(where[0], where[1], where[2], where[3]));
  }
}

/// Windows do not overlap, so no two threads write the same element.
__global__ void __launch_bounds__(kLoopThreads)
    max_pool_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                      GlobalPointer<const std::int32_t> index, Windows w) {
  for (std::int64_t i = loop_begin(); i < w.count; i += grid_stride()) {
    const int where = index[i];
    const int row = where / w.width;
    const real d = dy[i];
    dx[w.start(i) + row * w.line + (where - row * w.width)] += d;
  }
}

}  // namespace

void max_pool2d_forward(real* y, std::int32_t* index, const real* x, const PoolShape& shape) {
  const Windows windows(shape), fours(shape, 4);
  if (windows.count == 0) return;
  const bool wide = shape.window_w == 1 && shape.width % 4 == 0 && is_vec4_aligned(x) &&
                    is_vec4_aligned(y) && is_vec4_aligned(index);
  if (wide) {
    SERENADE_LAUNCH(max_pool_columns, loop_grid(fours.count), dim3(kLoopThreads), 0,
                    current_stream(), y, index, x, fours);
  } else {
    SERENADE_LAUNCH(max_pool, loop_grid(windows.count), dim3(kLoopThreads), 0, current_stream(), y,
                    index, x, windows);
  }
}

void max_pool2d_backward(real* dx, const real* dy, const std::int32_t* index,
                         const PoolShape& shape) {
  const Windows windows(shape);
  if (windows.count == 0) return;
  SERENADE_LAUNCH(max_pool_backward, loop_grid(windows.count), dim3(kLoopThreads), 0,
                  current_stream(), dx, dy, index, windows);
}

}  // namespace serenade::cuda
