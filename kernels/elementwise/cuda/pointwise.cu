// Formulas over whole arrays on the device. Bytes per element of the result, repeated operands
// aside: one number 8 forward and 16 backward, two numbers 12 and 20.

#include "kernels/elementwise/pointwise.h"

#include "kernels/runtime/cuda/map.cuh"

namespace serenade::cuda {
namespace {

// What the loops of map.cuh call.
template <class Formula>
struct Value {
  Formula formula;
  __device__ real operator()(real x) const { return formula.value(x); }
};
template <class Formula>
struct Gradient {
  Formula formula;
  __device__ real operator()(real d, real x) const { return formula.gradient(d, x); }
};

Axes axes_of(const Broadcast& s) {
  Axes axes;
  for (int axis = 0; axis < s.dims; ++axis) {
    axes.append(s.shape[axis], s.stride_a[axis], s.stride_b[axis]);
  }
  return axes;
}

/// axes.step_x: of a, step_y: of b.
template <class Formula>
__global__ void __launch_bounds__(kLoopThreads)
    binary_values(AliasedPointer<real> y, AliasedPointer<const real> a,
                  AliasedPointer<const real> b, Axes axes, Formula formula) {
  for (std::int64_t i = loop_begin(); i < axes.count; i += grid_stride()) {
    std::int64_t at_a = 0, at_b = 0;
    axes.add_offsets(i, at_a, at_b);
    const real u = a[at_a], v = b[at_b];
    y[i] = formula.value(u, v);
  }
}

template <class Formula>
__global__ void __launch_bounds__(kLoopThreads)
    binary_gradients(GlobalPointer<real> g, GlobalPointer<const real> dy,
                     AliasedPointer<const real> a, AliasedPointer<const real> b, Axes axes,
                     Write write, Formula formula, bool by_a) {
  for (std::int64_t i = loop_begin(); i < axes.count; i += grid_stride()) {
    std::int64_t at_a = 0, at_b = 0;
    axes.add_offsets(i, at_a, at_b);
    const real d = dy[i], u = a[at_a], v = b[at_b];
    const real gradient = by_a ? formula.gradient_a(d, u, v) : formula.gradient_b(d, u, v);
    g[i] = write == Write::add ? g[i] + gradient : gradient;
  }
}

__global__ void __launch_bounds__(kLoopThreads)
    select(GlobalPointer<real> y, GlobalPointer<const real> mask, AliasedPointer<const real> a,
           AliasedPointer<const real> b, Axes axes) {
  for (std::int64_t i = loop_begin(); i < axes.count; i += grid_stride()) {
    std::int64_t at_a = 0, at_b = 0;
    axes.add_offsets(i, at_a, at_b);
    const real m = mask[i], u = a[at_a], v = b[at_b];
    y[i] = m != 0 ? u : v;
  }
}

}  // namespace

template <class Formula>
void unary_forward(real* y, const real* x, std::int64_t count, const Formula& formula) {
  launch_map_forward(y, x, count, Value<Formula>{formula});
}

template <class Formula>
void unary_backward(real* dx, const real* dy, const real* x, std::int64_t count, Write write,
                    const Formula& formula) {
  launch_map_backward(dx, dy, x, count, write, Gradient<Formula>{formula});
}

template <class Formula>
void binary_forward(real* y, const real* a, const real* b, const Broadcast& broadcast,
                    const Formula& formula) {
  const Axes axes = axes_of(broadcast);
  if (axes.count == 0) return;
  SERENADE_LAUNCH(binary_values<Formula>, loop_grid(axes.count), dim3(kLoopThreads), 0,
                  current_stream(), y, a, b, axes, formula);
}

template <class Formula>
void binary_backward(real* g, const real* dy, const real* a, const real* b,
                     const Broadcast& broadcast, Write write, const Formula& formula, Operand by) {
  const Axes axes = axes_of(broadcast);
  if (axes.count == 0) return;
  SERENADE_LAUNCH(binary_gradients<Formula>, loop_grid(axes.count), dim3(kLoopThreads), 0,
                  current_stream(), g, dy, a, b, axes, write, formula, by == Operand::a);
}

void select_forward(real* y, const real* mask, const real* a, const real* b,
                    const Broadcast& broadcast) {
  const Axes axes = axes_of(broadcast);
  if (axes.count == 0) return;
  SERENADE_LAUNCH(select, loop_grid(axes.count), dim3(kLoopThreads), 0, current_stream(), y, mask,
                  a, b, axes);
}

SERENADE_FORMULAS(SERENADE_UNARY, SERENADE_BINARY, SERENADE_COMPARISON)

}  // namespace serenade::cuda
