// Filling, adding and copying on the device, and the strided copies behind views.
//
// Bytes per element: fill 4, copy, gather and scatter 8, accumulate and scatter_add 12.

#include "kernels/runtime/cuda/map.cuh"
#include "kernels/runtime/memory.h"

namespace serenade::cuda {
namespace {

struct Same {
  __device__ real operator()(real v) const { return v; }
};
struct Addend {
  __device__ real operator()(real d, real) const { return d; }
};

__global__ void __launch_bounds__(kLoopThreads)
    fill_elements(GlobalPointer<real> y, real value, std::int64_t vec4s, std::int64_t count) {
  const Vec4 four{{value, value, value, value}};
  for (std::int64_t i = loop_begin(); i < vec4s; i += grid_stride()) store_vector(y + 4 * i, four);
  for (std::int64_t i = 4 * vec4s + loop_begin(); i < count; i += grid_stride()) y[i] = value;
}

enum class Move { gather, scatter, scatter_add };

/// Moves `width` (1 or 4) neighbouring elements per step of the loop between `dense`, contiguous,
/// and `view`. axes.step_x: of the view.
template <Move move, int width>
__global__ void __launch_bounds__(kLoopThreads)
    move_strided(GlobalPointer<real> to, GlobalPointer<const real> from, Axes axes) {
  for (std::int64_t i = loop_begin(); i < axes.count; i += grid_stride()) {
    std::int64_t in_view = 0, none = 0;
    axes.add_offsets(i, in_view, none);
    const std::int64_t source = move == Move::gather ? in_view : width * i;
    const std::int64_t target = move == Move::gather ? width * i : in_view;
    if constexpr (width == 4) {
      Vec4 v = load_vector<Vec4>(from + source);
      if constexpr (move == Move::scatter_add) {
        const Vec4 before = load_vector<Vec4>(to + target);
        for (int k = 0; k < 4; ++k) v.value[k] += before.value[k];
      }
      store_vector(to + target, v);
    } else {
      const real v = from[source];
      if constexpr (move == Move::scatter_add) {
        to[target] += v;
      } else {
        to[target] = v;
      }
    }
  }
}

/// The fewest axes: those of size 1 dropped, neighbours that are contiguous to each other merged.
Axes simplify(const std::int64_t* shape, const std::int64_t* strides, int dims) {
  Axes axes;
  for (int axis = 0; axis < dims; ++axis) {
    if (shape[axis] == 1) continue;
    const int last = axes.dims - 1;
    if (last >= 0 && axes.step_x[last] == strides[axis] * shape[axis]) {
      axes.shape[last] *= shape[axis];
      axes.step_x[last] = strides[axis];
      axes.count *= shape[axis];
    } else {
      axes.append(shape[axis], strides[axis], 0);
    }
  }
  if (axes.dims == 0) axes.append(1, 1, 0);
  return axes;
}

template <Move move>
void launch_move(real* to, const real* from, const std::int64_t* shape, const std::int64_t* strides,
                 int dims) {
  Axes axes = simplify(shape, strides, dims);
  if (axes.count == 0) return;
  const int last = axes.dims - 1;
  const void* view = move == Move::gather ? static_cast<const void*>(from) : to;
  const void* dense = move == Move::gather ? static_cast<const void*>(to) : from;
  const bool wide = axes.shape[last] % 4 == 0 && axes.step_x[last] == 1 && is_vec4_aligned(dense) &&
                    rows_are_vec4_aligned(view, axes.step_x, axes.dims);
  if (wide) {
    axes.group_by_four();
    SERENADE_LAUNCH((move_strided<move, 4>), loop_grid(axes.count), dim3(kLoopThreads), 0,
                    current_stream(), to, from, axes);
  } else {
    SERENADE_LAUNCH((move_strided<move, 1>), loop_grid(axes.count), dim3(kLoopThreads), 0,
                    current_stream(), to, from, axes);
  }
}

}  // namespace

void fill(real* destination, real value, std::int64_t count) {
  if (count == 0) return;
  const std::int64_t vec4s = is_vec4_aligned(destination) ? count / 4 : 0;
  SERENADE_LAUNCH(fill_elements, loop_grid(vec4s > 0 ? vec4s : count), dim3(kLoopThreads), 0,
                  current_stream(), destination, value, vec4s, count);
}

void accumulate(real* destination, const real* source, std::int64_t count) {
  launch_map_backward(destination, source, source, count, Write::add, Addend{});
}

void copy(real* destination, const real* source, std::int64_t count) {
  launch_map_forward(destination, source, count, Same{});
}

void gather_strided(real* destination, const real* source, const std::int64_t* shape,
                    const std::int64_t* strides, int dims) {
  launch_move<Move::gather>(destination, source, shape, strides, dims);
}

void scatter_strided(real* destination, const real* source, const std::int64_t* shape,
                     const std::int64_t* strides, int dims) {
  launch_move<Move::scatter>(destination, source, shape, strides, dims);
}

void scatter_add_strided(real* destination, const real* source, const std::int64_t* shape,
                         const std::int64_t* strides, int dims) {
  launch_move<Move::scatter_add>(destination, source, shape, strides, dims);
}

}  // namespace serenade::cuda
