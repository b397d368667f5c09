// Broadcasting arithmetic on the device: y = a op b with repeated axes, and the sums over
// repetitions that are its gradients.
//
// Bytes per element of the result, repeated operands aside (they stay in the caches): forward 12,
// backward 16 where nothing is repeated, else 4 for dy and 4 for b.

#include "kernels/elementwise/cuda/reduction.cuh"
#include "kernels/elementwise/elementwise.h"
#include "kernels/runtime/cuda/map.cuh"

namespace serenade::cuda {
namespace {

// Forward -----------------------------------------------------------------------------------------

struct Add {
  __device__ real operator()(real u, real v) const { return u + v; }
};
struct Subtract {
  __device__ real operator()(real u, real v) const { return u - v; }
};
struct Multiply {
  __device__ real operator()(real u, real v) const { return u * v; }
};
struct Divide {
  __device__ real operator()(real u, real v) const { return u / v; }
};

/// y = f(a, b), `width` (1 or 4) neighbouring elements per step of the loop; y may be a or b.
/// axes.step_x: of a, step_y: of b. Whether they move along the last axis matters to Vec4s only.
template <int width, class F>
__global__ void __launch_bounds__(kLoopThreads)
    binary(AliasedPointer<real> y, AliasedPointer<const real> a, AliasedPointer<const real> b,
           Axes axes, bool a_moves, bool b_moves, F f) {
  for (std::int64_t i = loop_begin(); i < axes.count; i += grid_stride()) {
    std::int64_t at_a = 0, at_b = 0;
    axes.add_offsets(i, at_a, at_b);
    if constexpr (width == 4) {
      const Vec4 u = load_vec4(a + at_a, a_moves), v = load_vec4(b + at_b, b_moves);
      Vec4 result;
      for (int k = 0; k < 4; ++k) result.value[k] = f(u.value[k], v.value[k]);
      store_vector(y + 4 * i, result);
    } else {
      const real u = a[at_a], v = b[at_b];
      y[i] = f(u, v);
    }
  }
}

template <class F>
void launch_binary(real* y, const real* a, const real* b, const Broadcast& s, F f) {
  Axes axes;
  for (int axis = 0; axis < s.dims; ++axis) {
    axes.append(s.shape[axis], s.stride_a[axis], s.stride_b[axis]);
  }
  if (axes.count == 0) return;
  const int last = s.dims - 1;
  const bool a_moves = s.stride_a[last] != 0, b_moves = s.stride_b[last] != 0;
  const bool wide = s.shape[last] % 4 == 0 && is_vec4_aligned(y) &&
                    rows_are_vec4_aligned(a, s.stride_a, s.dims) &&
                    rows_are_vec4_aligned(b, s.stride_b, s.dims);
  if (wide) {
    axes.group_by_four();
    SERENADE_LAUNCH((binary<4, F>), loop_grid(axes.count), dim3(kLoopThreads), 0, current_stream(),
                    y, a, b, axes, a_moves, b_moves, f);
  } else {
    SERENADE_LAUNCH((binary<1, F>), loop_grid(axes.count), dim3(kLoopThreads), 0, current_stream(),
                    y, a, b, axes, a_moves, b_moves, f);
  }
}

// Backward ----------------------------------------------------------------------------------------

struct Scaled {
  real factor;
  __device__ real operator()(real d, real) const { return factor * d; }
};

struct LeaveTotal {
  AliasedPointer<real> da;
  Write write;
  __device__ void operator()(std::int64_t i, double total) const {
    const real gradient = static_cast<real>(total);
    da[i] = write == Write::add ? da[i] + gradient : gradient;
  }
};

/// b is the same for all repetitions of an element, so -1 / b^2 leaves the sum.
struct LeaveDenominator {
  AliasedPointer<real> db;
  AliasedPointer<const real> b;
  Write write;
  __device__ void operator()(std::int64_t i, double total) const {
    const real v = b[i];
    const real gradient = -static_cast<real>(total) / v / v;  // v * v may be 0 where v is not
    db[i] = write == Write::add ? db[i] + gradient : gradient;
  }
};

/// True if both operands are as contiguous as the result: then nothing needs to be summed.
bool is_plain(const Broadcast& s) {
  return s.dims == 1 && s.stride_a[0] == 1 && s.stride_b[0] == 1;
}

/// da += the sum over repetitions of term(dy, b), or =.
template <class Term>
void leave_gradient(real* da, const real* dy, const real* b, const Broadcast& s, Write write,
                    Term term) {
  if (is_plain(s)) {
    launch_map_backward(da, dy, b, s.count(), write, term);
  } else {
    sum_repetitions(dy, b, s, term, LeaveTotal{da, write});
  }
}

}  // namespace

void add_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  launch_binary(y, a, b, broadcast, Add{});
}
void sub_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  launch_binary(y, a, b, broadcast, Subtract{});
}
void mul_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  launch_binary(y, a, b, broadcast, Multiply{});
}
void div_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  launch_binary(y, a, b, broadcast, Divide{});
}

void add_backward(real* da, const real* dy, real factor, const Broadcast& broadcast, Write write) {
  Broadcast alone = broadcast;  // there is no second factor; dy stands in and is not used
  for (int axis = 0; axis < alone.dims; ++axis) alone.stride_b[axis] = is_plain(broadcast) ? 1 : 0;
  leave_gradient(da, dy, dy, alone, write, Scaled{factor});
}

void mul_backward(real* da, const real* dy, const real* b, const Broadcast& broadcast,
                  Write write) {
  leave_gradient(da, dy, b, broadcast, write, Multiply{});
}

void div_backward_numerator(real* da, const real* dy, const real* b, const Broadcast& broadcast,
                            Write write) {
  leave_gradient(da, dy, b, broadcast, write, Divide{});
}

void div_backward_denominator(real* db, const real* dy, const real* a, const real* b,
                              const Broadcast& broadcast, Write write) {
  sum_repetitions(dy, a, broadcast.swapped(), Multiply{}, LeaveDenominator{db, b, write});
}

}  // namespace serenade::cuda
