// Max-pooling on the device (formula and shapes: kernels/pool.h).
//
// One thread per window. Bytes per window of the forward pass: 4 for each element of x, 4 for y, 4
// for the index; of the backward pass: 8 read, and 8 for each sector of dx that is touched, at most
// those of the whole window. Windows one column wide, as both systems have them, are taken four at
// a time where rows are whole Quads.

#include "kernels/pool.h"

#include "kernels/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

/// Position of the first element of a window in x, for place i in y. `width`: as in the kernels.
template <int width>
__device__ __forceinline__ std::int64_t window_start(const PoolShape& s, std::int64_t i) {
  const std::int64_t out_w = s.width / s.window_w / width, out_h = s.height / s.window_h;
  const std::int64_t row = i / out_w, column = i - row * out_w;
  const std::int64_t plane = row / out_h, row_in_plane = row - plane * out_h;
  return (plane * s.height + row_in_plane * s.window_h) * s.width + column * s.window_w * width;
}

__global__ void __launch_bounds__(kLoopThreads)
    max_pool(GlobalPointer<real> y, GlobalPointer<std::int32_t> index, GlobalPointer<const real> x,
             PoolShape s, std::int64_t windows) {
  for (std::int64_t i = loop_begin(); i < windows; i += loop_step()) {
    const std::int64_t start = window_start<1>(s, i);
    real best = x[start];
    std::int32_t where = 0;
    for (std::int64_t a = 0; a < s.window_h; ++a) {
      for (std::int64_t b = 0; b < s.window_w; ++b) {
        const real v = x[start + a * s.width + b];
        if (v > best || v != v) {
          best = v;
          where = static_cast<std::int32_t>(a * s.window_w + b);
        }
      }
    }
    y[i] = best;
    index[i] = where;
  }
}

/// Four windows of one column beside each other; windows: their number / 4.
__global__ void __launch_bounds__(kLoopThreads)
    max_pool_columns(GlobalPointer<real> y, GlobalPointer<std::int32_t> index,
                     GlobalPointer<const real> x, PoolShape s, std::int64_t windows) {
  for (std::int64_t i = loop_begin(); i < windows; i += loop_step()) {
    const std::int64_t start = window_start<4>(s, i);
    Quad best = load_vector<Quad>(x + start);
    int where[4] = {};
    for (int a = 1; a < s.window_h; ++a) {
      const Quad v = load_vector<Quad>(x + start + a * s.width);
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

/// Windows do not overlap, so no two threads meet.
__global__ void __launch_bounds__(kLoopThreads)
    max_pool_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                      GlobalPointer<const std::int32_t> index, PoolShape s, std::int64_t windows) {
  for (std::int64_t i = loop_begin(); i < windows; i += loop_step()) {
    const int where = index[i], window_w = static_cast<int>(s.window_w);
    const int row = where / window_w;
    const real d = dy[i];
    dx[window_start<1>(s, i) + row * s.width + (where - row * window_w)] += d;
  }
}

}  // namespace

void max_pool2d_forward(real* y, std::int32_t* index, const real* x, const PoolShape& shape) {
  const std::int64_t windows = shape.planes * shape.out_h() * shape.out_w();
  if (windows == 0) return;
  const bool wide = shape.window_w == 1 && shape.width % 4 == 0 && takes_quads(x) &&
                    takes_quads(y) && takes_quads(index);
  if (wide) {
    SERENADE_LAUNCH(max_pool_columns, loop_grid(windows / 4), dim3(kLoopThreads), 0,
                    current_stream(), y, index, x, shape, windows / 4);
  } else {
    SERENADE_LAUNCH(max_pool, loop_grid(windows), dim3(kLoopThreads), 0, current_stream(), y, index,
                    x, shape, windows);
  }
}

void max_pool2d_backward(real* dx, const real* dy, const std::int32_t* index,
                         const PoolShape& shape) {
  const std::int64_t windows = shape.planes * shape.out_h() * shape.out_w();
  if (windows == 0) return;
  SERENADE_LAUNCH(max_pool_backward, loop_grid(windows), dim3(kLoopThreads), 0, current_stream(),
                  dx, dy, index, shape, windows);
}

}  // namespace serenade::cuda
