// The recurrent layers by their definition (v0): the formulas of kernels/lstm/lstm.h one value at a
// time, and their derivatives by the chain rule, written out below. Slow on purpose: the oracle of
// kernels/lstm/cpu/forward.cpp.
//
// Backward, per step, from the last read to the first; D(v) is the gradient of the loss by v, and
// a_i, a_f, a_g, a_o, a are what tanh, s and max were taken of:
//   D(h') = dy + what the next step sent       D(c') = what the next step sent + D(h') o (1 - t^2)
//   with t = tanh(c')
//   D(a_o) = D(h') t o (1 - o)                 D(a_i) = D(c') g i (1 - i)
//   D(a_f) = D(c') c f (1 - f)                 D(a_g) = D(c') i (1 - g^2)
//   tanh: D(a) = D(h') (1 - h'^2)              relu: D(a) = D(h') where h' > 0, else 0
//   D(h) = W_h^T D(a) over all gates           D(c) = D(c') f

#include <cmath>
#include <vector>

#include "kernels/lstm/lstm.h"

namespace serenade::cpu {

namespace {

using State = std::vector<real>;  // h, then c: [2, H]

real sigmoid(real x) { return 1 / (1 + std::exp(-x)); }

real dot(const real* a, const real* b, std::int64_t count) {
  real sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

real bias_at(const real* bias, std::int64_t i) { return bias != nullptr ? bias[i] : real(0); }

/// y[i] += factor * x[i]; nothing where either is not there.
void add_scaled(real* y, real factor, const real* x, std::int64_t count) {
  if (y == nullptr || x == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

template <class Pointer>
Pointer row_or_null(Pointer p, std::int64_t row, std::int64_t width) {
  return p == nullptr ? nullptr : p + row * width;
}

State state_of(const StatePointers<const real*>& all, std::int64_t row, std::int64_t H) {
  State state(2 * H);
  add_scaled(state.data(), 1, row_or_null(all.h, row, H), H);
  add_scaled(state.data() + H, 1, row_or_null(all.c, row, H), H);
  return state;
}

/// One step of one sequence. saved: [S, H], out; state: in the old, out the new.
void step_forward(real* saved, State& state, const real* x, const LstmParameters& p,
                  const LstmSizes& s) {
  const std::int64_t H = s.hidden, D = s.inputs;
  State after(2 * H);
  const auto argument = [&](std::int64_t row) {
    return dot(p.weight_ih + row * D, x, D) + bias_at(p.bias_ih, row) +
           dot(p.weight_hh + row * H, state.data(), H) + bias_at(p.bias_hh, row);
  };
  for (std::int64_t j = 0; j < H; ++j) {
    if (s.cell == RecurrentCell::lstm) {
      const real i = sigmoid(argument(j)), f = sigmoid(argument(H + j));
      const real g = std::tanh(argument(2 * H + j)), o = sigmoid(argument(3 * H + j));
      const real c = f * state[H + j] + i * g;
      const real values[] = {i, f, g, o, c};
      for (std::int64_t row = 0; row < 5; ++row) saved[row * H + j] = values[row];
      after[j] = o * std::tanh(c);
      after[H + j] = c;
    } else {
      const real a = argument(j);
      after[j] = s.cell == RecurrentCell::tanh ? std::tanh(a) : (a < 0 ? real(0) : a);
      saved[j] = after[j];
    }
  }
  state = after;
}

/// D(a) of one step, [G H]. d_state: D(h') and D(c') in; D(c) out, whereas D(h) is the caller's.
std::vector<real> gate_gradients(State& d_state, const real* saved, const State& before,
                                 const LstmSizes& s) {
  const std::int64_t H = s.hidden;
  std::vector<real> da(s.gates() * H);
  for (std::int64_t j = 0; j < H; ++j) {
    const real dh = d_state[j];
    if (s.cell == RecurrentCell::lstm) {
      const real i = saved[j], f = saved[H + j], g = saved[2 * H + j], o = saved[3 * H + j];
      const real t = std::tanh(saved[4 * H + j]);
      const real dc = d_state[H + j] + dh * o * (1 - t * t);
      da[j] = dc * g * i * (1 - i);
      da[H + j] = dc * before[H + j] * f * (1 - f);
      da[2 * H + j] = dc * i * (1 - g * g);
      da[3 * H + j] = dh * t * o * (1 - o);
      d_state[H + j] = dc * f;
    } else {
      const real h = saved[j];
      da[j] = s.cell == RecurrentCell::tanh ? dh * (1 - h * h) : (h > 0 ? dh : real(0));
    }
  }
  return da;
}

/// One step backwards. d_state: D(h') and D(c') in, D(h) and D(c) out; dx: [D] or null; before: the
/// old state.
void step_backward(real* dx, State& d_state, const LstmParameterGradients& g, const real* saved,
                   const real* x, const State& before, const LstmParameters& p,
                   const LstmSizes& s) {
  const std::int64_t H = s.hidden, D = s.inputs;
  const std::vector<real> da = gate_gradients(d_state, saved, before, s);
  std::vector<real> dh(H);
  for (std::int64_t row = 0; row < s.gates() * H; ++row) {
    add_scaled(row_or_null(g.weight_ih, row, D), da[row], x, D);
    add_scaled(row_or_null(g.weight_hh, row, H), da[row], before.data(), H);
    if (g.bias_ih != nullptr) g.bias_ih[row] += da[row];
    if (g.bias_hh != nullptr) g.bias_hh[row] += da[row];
    add_scaled(dx, da[row], p.weight_ih + row * D, D);
    add_scaled(dh.data(), da[row], p.weight_hh + row * H, H);
  }
  for (std::int64_t j = 0; j < H; ++j) d_state[j] = dh[j];
}

}  // namespace

void lstm_forward_v0_definition(real* y, const StatePointers<real*>& last, real* saved,
                                const real* x, const StatePointers<const real*>& start,
                                const LstmParameters* parameters, const std::int64_t* lengths,
                                const LstmSizes& s) {
  const std::int64_t N = s.batch, T = s.steps, H = s.hidden, K = s.directions;
  const std::int64_t S = s.saved_rows();
  for (std::int64_t i = 0; i < N * T * K * H; ++i) y[i] = 0;
  for (std::int64_t i = 0; i < K * N * T * S * H; ++i) saved[i] = 0;
  for (std::int64_t row = 0; row < K * N; ++row) {
    const std::int64_t k = row / N, b = row % N;
    const std::int64_t length = lengths != nullptr ? lengths[b] : T;
    State state = state_of(start, row, H);
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t t = k == 0 ? i : length - 1 - i;
      step_forward(saved + (row * T + t) * S * H, state, x + (b * T + t) * s.inputs, parameters[k],
                   s);
      for (std::int64_t j = 0; j < H; ++j) y[((b * T + t) * K + k) * H + j] = state[j];
    }
    for (std::int64_t j = 0; j < H; ++j) {
      if (last.h != nullptr) last.h[row * H + j] = state[j];
      if (last.c != nullptr) last.c[row * H + j] = state[H + j];
    }
  }
}

void lstm_backward_v0_definition(real* dx, const StatePointers<real*>& d_start,
                                 const LstmParameterGradients* gradients, const real* dy,
                                 const StatePointers<const real*>& d_last, const real* y,
                                 const real* saved, const real* x,
                                 const StatePointers<const real*>& start,
                                 const LstmParameters* parameters, const std::int64_t* lengths,
                                 const LstmSizes& s) {
  const std::int64_t N = s.batch, T = s.steps, H = s.hidden, K = s.directions;
  const std::int64_t S = s.saved_rows();
  for (std::int64_t row = 0; row < K * N; ++row) {
    const std::int64_t k = row / N, b = row % N;
    const std::int64_t length = lengths != nullptr ? lengths[b] : T;
    const State first = state_of(start, row, H);
    State d_state = state_of(d_last, row, H);
    for (std::int64_t i = length - 1; i >= 0; --i) {
      const std::int64_t t = k == 0 ? i : length - 1 - i, earlier = k == 0 ? t - 1 : t + 1;
      State before = first;
      for (std::int64_t j = 0; j < H && i > 0; ++j) {
        before[j] = y[((b * T + earlier) * K + k) * H + j];
        before[H + j] = s.has_cell_state() ? saved[((row * T + earlier) * S + 4) * H + j] : real(0);
      }
      for (std::int64_t j = 0; j < H; ++j) d_state[j] += dy[((b * T + t) * K + k) * H + j];
      step_backward(row_or_null(dx, b * T + t, s.inputs), d_state, gradients[k],
                    saved + (row * T + t) * S * H, x + (b * T + t) * s.inputs, before,
                    parameters[k], s);
    }
    add_scaled(row_or_null(d_start.h, row, H), 1, d_state.data(), H);
    add_scaled(row_or_null(d_start.c, row, H), 1, d_state.data() + H, H);
  }
}

}  // namespace serenade::cpu
