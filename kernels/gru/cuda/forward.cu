// The recurrence of the GRU forward with weights in registers (v1, v2).
//
// Per step a block does 3 H^2 multiply-adds, two barriers and one chain of a logistic function and
// a tanh; memory sees 4 H values read or written per gate row and nothing of W_hh. At H = 64, v1:
// 6 warps of 64 multiply-adds, two of them on the busiest of four schedulers, 128 issue cycles; v2:
// 12 warps of 32, three per scheduler, 96. With three gates in different threads of one block, the
// candidate's threads wait for the reset gate's.

#include "kernels/gru/cuda/registers.cuh"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

template <int Width, int Parts, bool ResetAfter>
__global__ void __launch_bounds__(3 * Width * Parts)
    forward_registers(GruForwardArrays arrays, GruWeights first, GruWeights second,
                      GruDimensions s) {
  using Thread = GruThread<Width, Parts>;
  SERENADE_SHARED(real, tail, [Thread::kTail]);
  SERENADE_SHARED(real, state, [Width]);
  SERENADE_SHARED(real, reset, [Width]);   // r, or r * h with reset before
  SERENADE_SHARED(real, update, [Width]);  // z
  const Thread own(s.hidden);
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden, row = own.gate * H + own.unit;  // of the stacked gates

  real weights[Thread::kWeights];
  own.fetch(weights, tail, H, [&](int i) -> real { return w.weight_hh[row * H + i]; });
  real input_bias = own.real_unit ? value_or_zero(w.bias_ih, row) : real(0);
  real recurrent_bias = own.real_unit ? value_or_zero(w.bias_hh, row) : real(0);
  if constexpr (!ResetAfter) {
    input_bias += recurrent_bias;
    recurrent_bias = 0;
  }
  const bool writes = own.real_unit && own.part == 0;
  const auto projection = [&](int i) {  // what the gate gets from x at step i
    if (!own.real_unit || i >= walk.length) return real(0);
    const real value = arrays.saved[walk.step(walk.time(i)) * 4 * H + row];
    return value;
  };

  real h = own.real_unit ? walk.state_before(0, own.unit, arrays.y, arrays.h0) : real(0);
  if (own.gate == 2 && own.part == 0) state[own.unit] = h;
  real projected = projection(0);
  __syncthreads();
  for (int i = 0; i < walk.length; ++i) {
    const int t = walk.time(i);
    const GlobalPointer<real> gates = arrays.saved + walk.step(t) * 4 * H;
    const real next_projected = projection(i + 1);  // on its way during the products
    real recurrent = recurrent_bias;
    if (ResetAfter || own.gate < 2) recurrent += own.dot(weights, tail, state);
    if (own.gate < 2 && own.part == 0) {
      const real value = logistic(projected + input_bias + recurrent);
      const real before = state[own.unit];
      if (own.gate == 1) {
        update[own.unit] = value;
      } else {
        reset[own.unit] = ResetAfter ? value : value * before;
      }
      if (writes) gates[row] = value;
      if (writes && !ResetAfter && own.gate == 0) gates[3 * H + own.unit] = value * before;
    }
    __syncthreads();
    if (own.gate == 2) {
      const real m = recurrent, z = update[own.unit];
      if constexpr (ResetAfter) {
        const real r = reset[own.unit];
        recurrent = r * m;
      } else {
        recurrent += own.dot(weights, tail, reset);
      }
      const real n = tanh(projected + input_bias + recurrent);
      h = (1 - z) * n + z * h;
      if (own.part == 0) state[own.unit] = h;
      if (writes) {
        gates[row] = n;
        if (ResetAfter) gates[3 * H + own.unit] = m;
        arrays.y[walk.output(t) + own.unit] = h;
      }
    }
    __syncthreads();
    projected = next_projected;
  }
  walk.clear_padding(arrays.saved, 4 * H);
  walk.clear_padded_output(arrays.y);
}

template <int Width, int Parts>
void launch_width(const GruForwardArrays& arrays, const GruWeights& first, const GruWeights& second,
                  const GruDimensions& s) {
  const dim3 grid(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.directions));
  const dim3 block(GruThread<Width, Parts>::kThreads);
  if (s.reset_after) {
    SERENADE_LAUNCH((forward_registers<Width, Parts, true>), grid, block, 0, current_stream(),
                    arrays, first, second, s);
  } else if constexpr (Width < 128) {
    SERENADE_LAUNCH((forward_registers<Width, Parts, false>), grid, block, 0, current_stream(),
                    arrays, first, second, s);
  }
}

}  // namespace

void recurrence_forward_v1_registers(const GruForwardArrays& arrays, const GruWeights& first,
                                     const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) return launch_width<32, 1>(arrays, first, second, s);
  if (s.hidden <= 64) return launch_width<64, 1>(arrays, first, second, s);
  launch_width<128, 1>(arrays, first, second, s);
}

void recurrence_forward_v2_split_rows(const GruForwardArrays& arrays, const GruWeights& first,
                                      const GruWeights& second, const GruDimensions& s) {
  if (s.hidden <= 32) return launch_width<32, 2>(arrays, first, second, s);
  launch_width<64, 2>(arrays, first, second, s);
}

}  // namespace serenade::cuda
