// The recurrence by its formulas (v0): a block per sequence and direction, a thread per hidden
// unit, or several units where H is above 1024. What a step hands to the next lies in memory, in
// the outputs themselves, so there is one barrier per step and no bound on H. Per step a block
// reads all of W_hh, forward along its rows, backward along its columns. Formulas:
// kernels/lstm/lstm.h, kernels/lstm/cpu/definition.cpp.

#include <algorithm>

#include "kernels/lstm/cuda/recurrence.cuh"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

constexpr int kMaxThreads = 1024;

/// Calls f(unit) for the units of this thread. A unit is always the same thread's, so what it keeps
/// in memory for itself needs no barrier.
template <class F>
__device__ __forceinline__ void for_each_unit(int hidden, F f) {
  const int first = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  for (int unit = first; unit < hidden; unit += step) f(unit);
}

/// One row of a gate's argument without the input: both biases, and W_row h. h: null where it is
/// zero.
__device__ real recurrent_sum(const LstmWeights& w, GlobalPointer<const real> h, int row, int H) {
  real sum = value_or_zero(w.bias_ih, row) + value_or_zero(w.bias_hh, row);
  if (h == nullptr) return sum;
  for (int i = 0; i < H; ++i) {
    const real weight = w.weight_hh[std::int64_t{row} * H + i], x = h[i];
    sum += weight * x;
  }
  return sum;
}

/// The state before step i, [H]: null where it is zero.
__device__ __forceinline__ GlobalPointer<const real> state_before(const GruWalk& walk, int i,
                                                                  GlobalPointer<const real> y,
                                                                  GlobalPointer<const real> h0) {
  if (i > 0) return y + walk.output(walk.time(i - 1));
  if (h0 != nullptr) return h0 + walk.row() * walk.s.hidden;
  return nullptr;
}

/// The cell state of a unit before step i.
__device__ __forceinline__ real cell_before(const GruWalk& walk, int i, int unit,
                                            GlobalPointer<const real> saved,
                                            GlobalPointer<const real> c0) {
  const int H = walk.s.hidden;
  if (i > 0) return saved[walk.step(walk.time(i - 1)) * 5 * H + 4 * H + unit];
  if (c0 != nullptr) return c0[walk.row() * H + unit];
  return 0;
}

/// All of a step for one unit: the new state, with the gates left in `saved`, [S, H].
__device__ real lstm_unit(GlobalPointer<real> saved, const LstmWeights& w,
                          GlobalPointer<const real> h, real c, int u, int H) {
  const real i_input = saved[u], f_input = saved[H + u], g_input = saved[2 * H + u];
  const real o_input = saved[3 * H + u];
  const real i = logistic(i_input + recurrent_sum(w, h, u, H));
  const real f = logistic(f_input + recurrent_sum(w, h, H + u, H));
  const real g = tanh(g_input + recurrent_sum(w, h, 2 * H + u, H));
  const real o = logistic(o_input + recurrent_sum(w, h, 3 * H + u, H));
  const real cell = f * c + i * g;
  saved[u] = i;
  saved[H + u] = f;
  saved[2 * H + u] = g;
  saved[3 * H + u] = o;
  saved[4 * H + u] = cell;
  return o * tanh(cell);
}

__device__ real plain_unit(GlobalPointer<real> saved, const LstmWeights& w,
                           GlobalPointer<const real> h, int u, int H, RecurrentCell cell) {
  const real input = saved[u];
  const real a = input + recurrent_sum(w, h, u, H);
  const real state = cell == RecurrentCell::tanh ? tanh(a) : (a < 0 ? real(0) : a);
  saved[u] = state;
  return state;
}

/// The final state of a unit, for those who want it.
__device__ __forceinline__ void put_last(const LstmForwardArrays& arrays, const GruWalk& walk,
                                         int u) {
  const std::int64_t at = walk.row() * walk.s.hidden + u;
  if (arrays.last_h != nullptr) {
    arrays.last_h[at] = walk.state_before(walk.length, u, arrays.y, arrays.h0);
  }
  if (arrays.last_c != nullptr) {
    arrays.last_c[at] = cell_before(walk, walk.length, u, arrays.saved, arrays.c0);
  }
}

__global__ void __launch_bounds__(kMaxThreads)
    lstm_forward_plain(LstmForwardArrays arrays, LstmWeights first, LstmWeights second,
                       LstmDimensions s) {
  const GruWalk walk(arrays.lengths, s.walk());
  const LstmWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden;
  for (int i = 0; i < walk.length; ++i) {
    const int t = walk.time(i);
    const GlobalPointer<const real> h = state_before(walk, i, arrays.y, arrays.h0);
    const GlobalPointer<real> saved = arrays.saved + walk.step(t) * s.saved_rows() * H;
    for_each_unit(H, [&](int u) {
      real state;
      if (s.cell == RecurrentCell::lstm) {
        state = lstm_unit(saved, w, h, cell_before(walk, i, u, arrays.saved, arrays.c0), u, H);
      } else {
        state = plain_unit(saved, w, h, u, H, s.cell);
      }
      arrays.y[walk.output(t) + u] = state;
    });
    __syncthreads();
  }
  for_each_unit(H, [&](int u) { put_last(arrays, walk, u); });
  walk.clear_padding(arrays.saved, s.saved_rows() * H);
  walk.clear_padded_output(arrays.y);
}

/// (W^T d) of a unit. Neighbouring threads read neighbouring columns.
__device__ real column_sum(const LstmWeights& w, GlobalPointer<const real> d, int rows, int unit,
                           int H) {
  real sum = 0;
  for (int row = 0; row < rows; ++row) {
    const real weight = w.weight_hh[std::int64_t{row} * H + unit], x = d[row];
    sum += weight * x;
  }
  return sum;
}

__device__ __forceinline__ void put_gradient(GlobalPointer<real> d_gates,
                                             GlobalPointer<real> bias_sums, int at, real da) {
  d_gates[at] = da;
  bias_sums[at] += da;
}

/// D(a) of one unit and step. dh: D(h'); dc: D(c') without what h' sends; result: D(c).
__device__ real lstm_unit_backward(GlobalPointer<real> d_gates, GlobalPointer<real> bias_sums,
                                   GlobalPointer<const real> saved, real dh, real dc, real c, int u,
                                   int H) {
  const real i = saved[u], f = saved[H + u], g = saved[2 * H + u], o = saved[3 * H + u];
  const real cell = saved[4 * H + u];
  const real t = tanh(cell);
  const real d = dc + dh * o * (1 - t * t);
  put_gradient(d_gates, bias_sums, u, d * g * i * (1 - i));
  put_gradient(d_gates, bias_sums, H + u, d * c * f * (1 - f));
  put_gradient(d_gates, bias_sums, 2 * H + u, d * i * (1 - g * g));
  put_gradient(d_gates, bias_sums, 3 * H + u, dh * t * o * (1 - o));
  return d * f;
}

__global__ void __launch_bounds__(kMaxThreads)
    lstm_backward_plain(LstmBackwardArrays arrays, LstmWeights first, LstmWeights second,
                        LstmDimensions s) {
  const GruWalk walk(arrays.lengths, s.walk());
  const LstmWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden, wide = s.gates() * H;
  const GlobalPointer<real> bias_sums = arrays.bias_sums + walk.row() * wide;
  const GlobalPointer<real> dh = arrays.dh + walk.row() * H, dc = arrays.dc + walk.row() * H;
  for_each_unit(H, [&](int u) {
    dh[u] = value_or_zero(arrays.dh_n, walk.row() * H + u);
    dc[u] = value_or_zero(arrays.dc_n, walk.row() * H + u);
    for (int at = u; at < wide; at += H) bias_sums[at] = 0;
  });
  for (int i = walk.length - 1; i >= 0; --i) {
    const int t = walk.time(i);
    const GlobalPointer<const real> saved = arrays.saved + walk.step(t) * s.saved_rows() * H;
    const GlobalPointer<real> d_gates = arrays.d_gates + walk.step(t) * wide;
    for_each_unit(H, [&](int u) {
      const real later = dh[u], dy = arrays.dy[walk.output(t) + u], d = later + dy;
      arrays.previous[walk.step(t) * H + u] = walk.state_before(i, u, arrays.y, arrays.h0);
      if (s.cell == RecurrentCell::lstm) {
        const real c = cell_before(walk, i, u, arrays.saved, arrays.c0), d_cell = dc[u];
        dc[u] = lstm_unit_backward(d_gates, bias_sums, saved, d, d_cell, c, u, H);
      } else {
        const real h = saved[u];
        const bool tanh = s.cell == RecurrentCell::tanh;
        put_gradient(d_gates, bias_sums, u, tanh ? d * (1 - h * h) : (h > 0 ? d : real(0)));
      }
    });
    __syncthreads();
    for_each_unit(H, [&](int u) { dh[u] = column_sum(w, d_gates, wide, u, H); });
  }
  for_each_unit(H, [&](int u) {
    const real h = dh[u], c = dc[u];
    if (arrays.dh0 != nullptr) arrays.dh0[walk.row() * H + u] += h;
    if (arrays.dc0 != nullptr) arrays.dc0[walk.row() * H + u] += c;
  });
  walk.clear_padding(arrays.d_gates, wide);
  walk.clear_padding(arrays.previous, H);
}

dim3 threads_for(const LstmDimensions& s) {
  return dim3(static_cast<unsigned>(std::min(kMaxThreads, (s.hidden + 31) / 32 * 32)));
}

dim3 grid_for(const LstmDimensions& s) {
  return dim3(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.directions));
}

}  // namespace

void lstm_recurrence_forward_v0_plain(const LstmForwardArrays& arrays, const LstmWeights& first,
                                      const LstmWeights& second, const LstmDimensions& s) {
  SERENADE_LAUNCH(lstm_forward_plain, grid_for(s), threads_for(s), 0, current_stream(), arrays,
                  first, second, s);
}

void lstm_recurrence_backward_v0_plain(const LstmBackwardArrays& arrays, const LstmWeights& first,
                                       const LstmWeights& second, const LstmDimensions& s) {
  SERENADE_LAUNCH(lstm_backward_plain, grid_for(s), threads_for(s), 0, current_stream(), arrays,
                  first, second, s);
}

}  // namespace serenade::cuda
