#pragma once
// y = f(x) and dx += f(dy, saved), element by element.
//
// Both kernels work on Vec4s as far as the alignment of all arrays allows, then element by element:
// `vec4s` is how many Vec4s there are, 0 if an array is not aligned. Bytes per element: 8 forward,
// 16 backward (12 where f does not look at `saved`: the compiler then drops that read).

#include "kernels/runtime/cuda/loops.cuh"
#include "kernels/runtime/write.h"

namespace serenade::cuda {

/// y[i] = f(x[i]); y may be x.
template <class F>
__global__ void __launch_bounds__(kLoopThreads)
    map_forward(AliasedPointer<real> y, AliasedPointer<const real> x, std::int64_t vec4s,
                std::int64_t count, F f) {
  for (std::int64_t i = loop_begin(); i < vec4s; i += grid_stride()) {
    Vec4 v = load_vector<Vec4>(x + 4 * i);
    for (int k = 0; k < 4; ++k) v.value[k] = f(v.value[k]);
    store_vector(y + 4 * i, v);
  }
  for (std::int64_t i = 4 * vec4s + loop_begin(); i < count; i += grid_stride()) {
    const real v = x[i];
    y[i] = f(v);
  }
}

/// dx[i] += f(dy[i], saved[i]).
template <class F>
__global__ void __launch_bounds__(kLoopThreads)
    map_backward(GlobalPointer<real> dx, GlobalPointer<const real> dy,
                 GlobalPointer<const real> saved, std::int64_t vec4s, std::int64_t count,
                 Write write, F f) {
  for (std::int64_t i = loop_begin(); i < vec4s; i += grid_stride()) {
    Vec4 sum = write == Write::add ? load_vector<Vec4>(dx + 4 * i) : Vec4{};
    const Vec4 d = load_vector<Vec4>(dy + 4 * i), s = load_vector<Vec4>(saved + 4 * i);
    for (int k = 0; k < 4; ++k) sum.value[k] += f(d.value[k], s.value[k]);
    store_vector(dx + 4 * i, sum);
  }
  for (std::int64_t i = 4 * vec4s + loop_begin(); i < count; i += grid_stride()) {
    const real d = dy[i], s = saved[i];
    dx[i] = write == Write::add ? dx[i] + f(d, s) : f(d, s);
  }
}

template <class F>
void launch_map_forward(real* y, const real* x, std::int64_t count, F f) {
  if (count == 0) return;
  const std::int64_t vec4s = is_vec4_aligned(y) && is_vec4_aligned(x) ? count / 4 : 0;
  SERENADE_LAUNCH(map_forward<F>, loop_grid(vec4s > 0 ? vec4s : count), dim3(kLoopThreads), 0,
                  current_stream(), y, x, vec4s, count, f);
}

template <class F>
void launch_map_backward(real* dx, const real* dy, const real* saved, std::int64_t count,
                         Write write, F f) {
  if (count == 0) return;
  const bool aligned = is_vec4_aligned(dx) && is_vec4_aligned(dy) && is_vec4_aligned(saved);
  const std::int64_t vec4s = aligned ? count / 4 : 0;
  SERENADE_LAUNCH(map_backward<F>, loop_grid(vec4s > 0 ? vec4s : count), dim3(kLoopThreads), 0,
                  current_stream(), dx, dy, saved, vec4s, count, write, f);
}

}  // namespace serenade::cuda
