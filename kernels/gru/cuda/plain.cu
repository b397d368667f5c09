// The recurrence of the GRU by its formulas (v0): a thread per hidden unit, or several units where
// H is above 1024. Per step a block reads all of W_hh, 12 H^2 bytes, from the caches: forward along
// its rows, backward along its columns. Formulas: kernels/gru/gru.h,
// kernels/gru/cpu/definition.cpp.

#include <algorithm>

#include "kernels/gru/cuda/recurrence.cuh"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

namespace {

constexpr int kMaxThreads = 1024;

/// Calls f(unit) for the units of this thread. A unit is always the same thread's, so what it keeps
/// in memory for itself needs no barrier.
template <class F>
__device__ __forceinline__ void for_each_unit(const GruDimensions& s, F f) {
  const int first = static_cast<int>(threadIdx.x), step = static_cast<int>(blockDim.x);
  for (int unit = first; unit < s.hidden; unit += step) f(unit);
}

/// b + W_row h for one row of W_hh.
__device__ real recurrent_sum(const GruWeights& w, SharedPointer<const real> h, int row,
                              const GruDimensions& s) {
  real sum = value_or_zero(w.bias_hh, row);
  for (int i = 0; i < s.hidden; ++i) {
    const real weight = w.weight_hh[std::int64_t{row} * s.hidden + i], x = h[i];
    sum += weight * x;
  }
  return sum;
}

/// Two barriers per step: all have their gates, all have the new state.
__global__ void __launch_bounds__(kMaxThreads)
    forward_plain(GruForwardArrays arrays, GruWeights first, GruWeights second, GruDimensions s) {
  SERENADE_DYNAMIC_SHARED(real, state);                // [H]
  const SharedPointer<real> reset = state + s.hidden;  // [H]: r * h
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden;
  for_each_unit(s, [&](int u) { state[u] = walk.state_before(0, u, arrays.y, arrays.h0); });
  __syncthreads();
  for (int i = 0; i < walk.length; ++i) {
    const int t = walk.time(i);
    const GlobalPointer<real> gates = arrays.saved + walk.step(t) * 4 * H;
    for_each_unit(s, [&](int u) {
      const real r_input = gates[u], z_input = gates[H + u], h = state[u];
      const real r =
          logistic(r_input + value_or_zero(w.bias_ih, u) + recurrent_sum(w, state, u, s));
      const real z =
          logistic(z_input + value_or_zero(w.bias_ih, H + u) + recurrent_sum(w, state, H + u, s));
      gates[u] = r;
      gates[H + u] = z;
      gates[3 * H + u] = s.reset_after ? recurrent_sum(w, state, 2 * H + u, s) : r * h;
      reset[u] = r * h;
    });
    __syncthreads();
    for_each_unit(s, [&](int u) {
      const real r = gates[u], z = gates[H + u], n_input = gates[2 * H + u], m = gates[3 * H + u];
      const real h = state[u];
      const real recurrent = s.reset_after ? r * m : recurrent_sum(w, reset, 2 * H + u, s);
      const real n = tanh(n_input + value_or_zero(w.bias_ih, 2 * H + u) + recurrent);
      const real after = (1 - z) * n + z * h;
      gates[2 * H + u] = n;
      state[u] = after;
      arrays.y[walk.output(t) + u] = after;
    });
    __syncthreads();
  }
  walk.clear_padding(arrays.saved, 4 * H);
  walk.clear_padded_output(arrays.y);
}

/// (W^T d) of a unit for the rows first.. of W_hh. Neighbouring threads read neighbouring columns.
__device__ real column_sum(const GruWeights& w, SharedPointer<const real> d, int first, int rows,
                           int unit, const GruDimensions& s) {
  real sum = 0;
  for (int row = first; row < first + rows; ++row) {
    const real weight = w.weight_hh[std::int64_t{row} * s.hidden + unit], x = d[row];
    sum += weight * x;
  }
  return sum;
}

__global__ void __launch_bounds__(kMaxThreads)
    backward_plain(GruBackwardArrays arrays, GruWeights first, GruWeights second, GruDimensions s) {
  SERENADE_DYNAMIC_SHARED(real, d_gates);                      // [3 H]: what W_hh saw of r, z, n
  const SharedPointer<real> d_state = d_gates + 3 * s.hidden;  // [H]
  const GruWalk walk(arrays.lengths, s);
  const GruWeights w = walk.direction == 0 ? first : second;
  const int H = s.hidden;
  const GlobalPointer<real> bias_sums = arrays.bias_sums + walk.row() * 4 * H;
  for_each_unit(s, [&](int u) {
    d_state[u] = 0;
    for (int gate = 0; gate < 4; ++gate) bias_sums[gate * H + u] = 0;
  });
  for (int i = walk.length - 1; i >= 0; --i) {
    const int t = walk.time(i);
    const GlobalPointer<const real> gates = arrays.saved + walk.step(t) * 4 * H;
    const GlobalPointer<real> d_input = arrays.d_input + walk.step(t) * 3 * H;
    const auto put_reset = [&](int u, real da_r) {
      d_gates[u] = da_r;
      d_input[u] = da_r;
      bias_sums[u] += da_r;
    };
    for_each_unit(s, [&](int u) {
      const real r = gates[u], z = gates[H + u], n = gates[2 * H + u], m = gates[3 * H + u];
      const real h = walk.state_before(i, u, arrays.y, arrays.h0);
      const real later = d_state[u], dy = arrays.dy[walk.output(t) + u], d = later + dy;
      const real da_n = d * (1 - z) * (1 - n * n), da_z = d * (h - n) * z * (1 - z);
      d_state[u] = d * z;
      arrays.previous[walk.step(t) * H + u] = h;
      d_gates[H + u] = da_z;
      d_gates[2 * H + u] = s.reset_after ? da_n * r : da_n;
      d_input[H + u] = da_z;
      d_input[2 * H + u] = da_n;
      bias_sums[H + u] += da_z;
      bias_sums[2 * H + u] += da_n;
      bias_sums[3 * H + u] += s.reset_after ? da_n * r : da_n;
      if (s.reset_after) {
        const GlobalPointer<real> d_recurrent = arrays.d_recurrent + walk.step(t) * 3 * H;
        const real da_r = da_n * m * r * (1 - r);
        put_reset(u, da_r);
        d_recurrent[u] = da_r;
        d_recurrent[H + u] = da_z;
        d_recurrent[2 * H + u] = da_n * r;
      }
    });
    __syncthreads();
    if (!s.reset_after) {
      for_each_unit(s, [&](int u) {
        const real r = gates[u], h = walk.state_before(i, u, arrays.y, arrays.h0);
        const real dm = column_sum(w, d_gates, 2 * H, H, u, s);
        put_reset(u, dm * h * r * (1 - r));
        d_state[u] += dm * r;
      });
      __syncthreads();
    }
    const int rows = s.reset_after ? 3 * H : 2 * H;
    for_each_unit(s, [&](int u) { d_state[u] += column_sum(w, d_gates, 0, rows, u, s); });
    __syncthreads();
  }
  for_each_unit(s, [&](int u) {
    const real d = d_state[u];
    if (arrays.dh0 != nullptr) arrays.dh0[walk.row() * H + u] += d;
  });
  walk.clear_padding(arrays.d_input, 3 * H);
  if (s.reset_after) walk.clear_padding(arrays.d_recurrent, 3 * H);
  walk.clear_padding(arrays.previous, H);
}

unsigned threads_for(const GruDimensions& s) {
  return static_cast<unsigned>(std::min(kMaxThreads, (s.hidden + 31) / 32 * 32));
}

dim3 grid_for(const GruDimensions& s) {
  return dim3(static_cast<unsigned>(s.batch), static_cast<unsigned>(s.directions));
}

}  // namespace

void recurrence_forward_v0_plain(const GruForwardArrays& arrays, const GruWeights& first,
                                 const GruWeights& second, const GruDimensions& s) {
  const std::size_t bytes = sizeof(real) * 2 * static_cast<std::size_t>(s.hidden);
  SERENADE_LAUNCH(forward_plain, grid_for(s), dim3(threads_for(s)), bytes, current_stream(), arrays,
                  first, second, s);
}

void recurrence_backward_v0_plain(const GruBackwardArrays& arrays, const GruWeights& first,
                                  const GruWeights& second, const GruDimensions& s) {
  const std::size_t bytes = sizeof(real) * 4 * static_cast<std::size_t>(s.hidden);
  SERENADE_LAUNCH(backward_plain, grid_for(s), dim3(threads_for(s)), bytes, current_stream(),
                  arrays, first, second, s);
}

}  // namespace serenade::cuda
