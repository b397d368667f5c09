// The recurrence of the GRU backward with weights in registers (v1, v2): the walk of the forward
// pass in reverse. A thread keeps one column of one gate's block of W_hh; the three gates' parts of
// a unit meet in shared memory. The gradients of tanh and the logistic functions are worked out by
// all three of them: that is cheaper than one more barrier. What a step reads comes one step ahead.
//
// Per step: 3 H^2 multiply-adds; two barriers, or four with reset before, where D(r) needs a
// product of its own; 6 H values read, 7 H (4 H) written. D(v): kernels/gru/cpu/definition.cpp.

#include "kernels/gru/cuda/registers.cuh"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

/// What the reverse step of one unit reads.
struct UnitStep {
  real r = 0, z = 0, n = 0, m = 0, h = 0, dy = 0;
};

__device__ __forceinline__ UnitStep read_step(const GruBackwardArrays& arrays, const GruWalk& walk,
                                              int i, int unit) {
  const int t = walk.time(i), H = walk.s.hidden;
  const GlobalPointer<const real> gates = arrays.saved + walk.step(t) * 4 * H + unit;
  UnitStep x;
  x.r = gates[0];
  x.z = gates[H];
  x.n = gates[2 * H];
  x.m = gates[3 * H];
  x.h = walk.state_before(i, unit, arrays.y, arrays.h0);
  x.dy = arrays.dy[walk.output(t) + unit];
  return x;
}

template <int Width, int Parts, bool ResetAfter>
__global__ void __launch_bounds__(3 * Width * Parts)
    backward_registers(GruBackwardArrays arrays, GruWeights first, GruWeights second,
                       GruDimensions s) {
  using Thread = GruThread<Width, Parts>;
  SERENADE_SHARED(real, tail, [Thread::kTail]);
  SERENADE_SHARED(real, d_gates, [3][Width]);  // what W_hh is applied to: D(a_r), D(a_z), D(m)
  SERENADE_SHARED(real, sums, [3][Width]);     // the products
  const Thread own(s.hidden);
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden, gate = own.gate, unit = own.unit;

  real weights[Thread::kWeights];
  own.fetch(weights, tail, H,
            [&](int i) -> real { return w.weight_hh[(gate * H + i) * H + unit]; });
  const bool writes = own.real_unit && own.part == 0;
  real d_state = 0, input_sum = 0, recurrent_sum = 0;
  UnitStep x;
  if (own.real_unit && walk.length > 0) x = read_step(arrays, walk, walk.length - 1, unit);
  // D(a) of a gate and what W_hh is applied to in the backward pass, from that gate's threads. Done
  // as early as can be: during a product, every register counts.
  const auto put = [&](int which, int i, real input, real recurrent) {
    if (gate != which) return;
    if (own.part == 0) d_gates[which][unit] = recurrent;
    input_sum += input;
    recurrent_sum += recurrent;
    if (!writes) return;
    const std::int64_t step = walk.step(walk.time(i));
    arrays.d_input[(step * 3 + which) * H + unit] = input;
    if (ResetAfter) arrays.d_recurrent[(step * 3 + which) * H + unit] = recurrent;
    if (which == 0) arrays.previous[step * H + unit] = x.h;
  };
  const auto multiply = [&](bool taking_part) {
    if (!taking_part) return;
    const real product = own.dot(weights, tail, d_gates[gate]);
    if (own.part == 0) sums[gate][unit] = product;
  };
  const auto product = [&](int which) {
    const real value = sums[which][unit];
    return value;
  };

  for (int i = walk.length - 1; i >= 0; --i) {
    UnitStep next;
    if (own.real_unit && i > 0) next = read_step(arrays, walk, i - 1, unit);
    const real d = d_state + x.dy;
    const real da_n = d * (1 - x.z) * (1 - x.n * x.n);
    const real da_z = d * (x.h - x.n) * x.z * (1 - x.z);
    d_state = d * x.z;
    put(1, i, da_z, da_z);
    if constexpr (ResetAfter) {
      const real dm = da_n * x.r, da_r = dm * x.m * (1 - x.r);
      put(0, i, da_r, da_r);
      put(2, i, da_n, dm);
      __syncthreads();
      multiply(true);
      __syncthreads();
      d_state += product(0) + product(1) + product(2);
    } else {
      put(2, i, da_n, da_n);
      __syncthreads();
      multiply(gate > 0);
      __syncthreads();
      const real dm = product(2), da_r = dm * x.h * x.r * (1 - x.r);
      put(0, i, da_r, da_r);
      d_state += dm * x.r;
      __syncthreads();
      multiply(gate == 0);
      __syncthreads();
      d_state += product(0) + product(1);
    }
    x = next;
  }
  if (writes) {
    arrays.bias_sums[(walk.row() * 4 + gate) * H + unit] = input_sum;
    if (gate == 2) arrays.bias_sums[(walk.row() * 4 + 3) * H + unit] = recurrent_sum;
    if (gate == 0 && arrays.dh0 != nullptr) arrays.dh0[walk.row() * H + unit] += d_state;
  }
  walk.clear_padding(arrays.d_input, 3 * H);
  if (ResetAfter) walk.clear_padding(arrays.d_recurrent, 3 * H);
  walk.clear_padding(arrays.previous, H);
}

template <int Width, int Parts>
void launch_width(const GruBackwardArrays& arrays, const GruWeights& first,
                  const GruWeights& second, const GruDimensions& s) {
  const dim3 grid(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.directions));
  const dim3 block(GruThread<Width, Parts>::kThreads);
  if (s.reset_after) {
    SERENADE_LAUNCH((backward_registers<Width, Parts, true>), grid, block, 0, current_stream(),
                    arrays, first, second, s);
  } else if constexpr (Width < 128) {
    SERENADE_LAUNCH((backward_registers<Width, Parts, false>), grid, block, 0, current_stream(),
                    arrays, first, second, s);
  }
}

}  // namespace

void recurrence_backward_v1_registers(const GruBackwardArrays& arrays, const GruWeights& first,
                                      const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) return launch_width<32, 1>(arrays, first, second, s);
  if (s.hidden <= 64) return launch_width<64, 1>(arrays, first, second, s);
  launch_width<128, 1>(arrays, first, second, s);
}

void recurrence_backward_v2_split_rows(const GruBackwardArrays& arrays, const GruWeights& first,
                                       const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) return launch_width<32, 2>(arrays, first, second, s);
  launch_width<64, 2>(arrays, first, second, s);
}

}  // namespace serenade::cuda
