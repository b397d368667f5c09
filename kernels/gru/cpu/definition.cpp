// The GRU by its definition (v0): the formulas of kernels/gru/gru.h one value at a time, and their
// derivatives by the chain rule, written out below. Slow on purpose: the oracle of
// kernels/gru/cpu/forward.cpp.
//
// Backward, per step, from the last read to the first; D(v) is the gradient of the loss by v:
//   D(h') = dy + what the next step sent       D(n) = D(h') (1 - z)      D(z) = D(h') (h - n)
//   a_n, a_z, a_r are what tanh and s were taken of:
//   D(a_n) = D(n) (1 - n^2)                    D(a_z) = D(z) z (1 - z)   D(a_r) = D(r) r (1 - r)
//   reset after:  m = W_hn h + b_hn            D(r) = D(a_n) m           D(m) = D(a_n) r
//   reset before: m = r h                      D(m) = W_hn^T D(a_n)      D(r) = D(m) h
//   D(h) = D(h') z + W_hr^T D(a_r) + W_hz^T D(a_z) + (after: W_hn^T D(m), before: D(m) r)

#include <cmath>
#include <vector>

#include "kernels/gru/gru.h"

namespace serenade::cpu {

namespace {

real sigmoid(real x) { return 1 / (1 + std::exp(-x)); }

real dot(const real* a, const real* b, std::int64_t count) {
  real sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

real bias_at(const real* bias, std::int64_t i) { return bias != nullptr ? bias[i] : real(0); }

/// y[i] += factor * x[i]; nothing where y is not wanted.
void add_scaled(real* y, real factor, const real* x, std::int64_t count) {
  if (y == nullptr) return;
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * x[i];
}

void add_to(real* y, std::int64_t i, real value) {
  if (y != nullptr) y[i] += value;
}

/// One step of one sequence. gates: r, z, n, m out, [4, H]; state: h in, h' out, [H].
void step_forward(real* gates, std::vector<real>& state, const real* x, const GruParameters& p,
                  const GruSizes& s) {
  const std::int64_t H = s.hidden, D = s.inputs;
  real *r = gates, *z = gates + H, *n = gates + 2 * H, *m = gates + 3 * H;
  const auto input = [&](std::int64_t row) {
    return dot(p.weight_ih + row * D, x, D) + bias_at(p.bias_ih, row);
  };
  const auto recurrent = [&](std::int64_t row, const real* h) {
    return dot(p.weight_hh + row * H, h, H) + bias_at(p.bias_hh, row);
  };
  for (std::int64_t j = 0; j < H; ++j) {
    r[j] = sigmoid(input(j) + recurrent(j, state.data()));
    z[j] = sigmoid(input(H + j) + recurrent(H + j, state.data()));
    m[j] = s.reset_after ? recurrent(2 * H + j, state.data()) : r[j] * state[j];
  }
  for (std::int64_t j = 0; j < H; ++j) {
    n[j] = std::tanh(input(2 * H + j) + (s.reset_after ? r[j] * m[j] : recurrent(2 * H + j, m)));
  }
  for (std::int64_t j = 0; j < H; ++j) state[j] = (1 - z[j]) * n[j] + z[j] * state[j];
}

/// One step backwards. d_state: D(h') in, D(h) out, [H]; dx: [D] or null; h: the state before, [H].
void step_backward(real* dx, std::vector<real>& d_state, const GruParameterGradients& g,
                   const real* gates, const real* x, const real* h, const GruParameters& p,
                   const GruSizes& s) {
  const std::int64_t H = s.hidden, D = s.inputs;
  const real *r = gates, *z = gates + H, *n = gates + 2 * H, *m = gates + 3 * H;
  std::vector<real> da(3 * H), dm(H), dh(H);
  for (std::int64_t j = 0; j < H; ++j) {
    da[2 * H + j] = d_state[j] * (1 - z[j]) * (1 - n[j] * n[j]);
    da[H + j] = d_state[j] * (h[j] - n[j]) * z[j] * (1 - z[j]);
    dh[j] = d_state[j] * z[j];
  }
  for (std::int64_t j = 0; j < H; ++j) {
    if (s.reset_after) {
      dm[j] = da[2 * H + j] * r[j];
      da[j] = da[2 * H + j] * m[j] * r[j] * (1 - r[j]);
    } else {
      for (std::int64_t i = 0; i < H; ++i)
        dm[j] += p.weight_hh[(2 * H + i) * H + j] * da[2 * H + i];
      da[j] = dm[j] * h[j] * r[j] * (1 - r[j]);
      dh[j] += dm[j] * r[j];
    }
  }
  for (std::int64_t row = 0; row < 3 * H; ++row) {
    // What W_hh and b_hh saw: h and D(a) for r and z; for n it depends on where the reset gate
    // acts.
    const bool candidate = row >= 2 * H;
    const real d_recurrent = candidate && s.reset_after ? dm[row - 2 * H] : da[row];
    const real* recurrent_input = candidate && !s.reset_after ? m : h;
    add_scaled(g.weight_ih == nullptr ? nullptr : g.weight_ih + row * D, da[row], x, D);
    add_scaled(g.weight_hh == nullptr ? nullptr : g.weight_hh + row * H, d_recurrent,
               recurrent_input, H);
    add_to(g.bias_ih, row, da[row]);
    add_to(g.bias_hh, row, d_recurrent);
    add_scaled(dx, da[row], p.weight_ih + row * D, D);
    if (!candidate || s.reset_after) add_scaled(dh.data(), d_recurrent, p.weight_hh + row * H, H);
  }
  d_state = dh;
}

}  // namespace

void gru_forward_v0_definition(real* y, real* saved, const real* x, const real* h0,
                               const GruParameters* parameters, const std::int64_t* lengths,
                               const GruSizes& s) {
  const std::int64_t N = s.batch, T = s.steps, D = s.inputs, H = s.hidden, K = s.directions;
  for (std::int64_t i = 0; i < N * T * K * H; ++i) y[i] = 0;
  for (std::int64_t i = 0; i < K * N * T * 4 * H; ++i) saved[i] = 0;
  for (std::int64_t k = 0; k < K; ++k) {
    for (std::int64_t b = 0; b < N; ++b) {
      const std::int64_t length = lengths != nullptr ? lengths[b] : T;
      std::vector<real> state(H);
      for (std::int64_t j = 0; j < H && h0 != nullptr; ++j) state[j] = h0[(k * N + b) * H + j];
      for (std::int64_t i = 0; i < length; ++i) {
        const std::int64_t t = k == 0 ? i : length - 1 - i;
        step_forward(saved + ((k * N + b) * T + t) * 4 * H, state, x + (b * T + t) * D,
                     parameters[k], s);
        for (std::int64_t j = 0; j < H; ++j) y[((b * T + t) * K + k) * H + j] = state[j];
      }
    }
  }
}

void gru_backward_v0_definition(real* dx, real* dh0, const GruParameterGradients* gradients,
                                const real* dy, const real* y, const real* saved, const real* x,
                                const real* h0, const GruParameters* parameters,
                                const std::int64_t* lengths, const GruSizes& s) {
  const std::int64_t N = s.batch, T = s.steps, D = s.inputs, H = s.hidden, K = s.directions;
  const std::vector<real> zeros(H);
  for (std::int64_t k = 0; k < K; ++k) {
    for (std::int64_t b = 0; b < N; ++b) {
      const std::int64_t length = lengths != nullptr ? lengths[b] : T;
      const real* start = h0 != nullptr ? h0 + (k * N + b) * H : zeros.data();
      std::vector<real> d_state(H);
      for (std::int64_t i = length - 1; i >= 0; --i) {
        const std::int64_t t = k == 0 ? i : length - 1 - i;
        const std::int64_t before = k == 0 ? t - 1 : t + 1;
        const real* h = i > 0 ? y + ((b * T + before) * K + k) * H : start;
        for (std::int64_t j = 0; j < H; ++j) d_state[j] += dy[((b * T + t) * K + k) * H + j];
        step_backward(dx == nullptr ? nullptr : dx + (b * T + t) * D, d_state, gradients[k],
                      saved + ((k * N + b) * T + t) * 4 * H, x + (b * T + t) * D, h, parameters[k],
                      s);
      }
      add_scaled(dh0 == nullptr ? nullptr : dh0 + (k * N + b) * H, 1, d_state.data(), H);
    }
  }
}

}  // namespace serenade::cpu
