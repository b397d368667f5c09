// The GRU in use (v1), in three moves:
//   1. input projection: what the gates get from x does not wait for the state, so it is one matrix
//      product per direction over all steps of all sequences, written straight into `saved`;
//   2. recurrence: four sequences of one direction walk through their steps together, so that each
//      recurrent weight is loaded once for four uses. Such groups need nothing from each other:
//      they share the threads without a barrier, and the groups are the same for any number;
//   3. backward: the recurrence runs in reverse and only stores the gradients of the arguments of
//      tanh and s; then each weight gradient and dx is one matrix product over all steps.
// Formulas: kernels/gru.h; derivatives: kernels/cpu/gru_definition.cpp.

#include "kernels/gru.h"

#include <algorithm>
#include <vector>

#include "kernels/blas.h"
#include "kernels/cpu/gru_panels.h"
#include "kernels/cpu/isa.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(GruSimd, gru_simd);

namespace {

/// Below about a million multiply-adds (50 microseconds) threads cost more than they bring.
bool worth_threads(const GruSizes& s) {
  return s.directions * s.batch * s.steps * 3 * s.hidden * s.hidden >= 1 << 20;
}

std::int64_t group_count(const GruSizes& s) { return (s.batch + kGruRows - 1) / kGruRows; }

/// A group of at most kGruRows sequences in one direction, and where their data lie.
class Group {
 public:
  Group(std::int64_t direction, std::int64_t group, const std::int64_t* lengths, const GruSizes& s)
      : sizes_(s), lengths_(lengths), direction_(direction), first_(group * kGruRows) {
    rows_ = std::min<std::int64_t>(kGruRows, s.batch - first_);
    for (std::int64_t row = 0; row < rows_; ++row) steps_ = std::max(steps_, length(row));
  }

  std::int64_t rows() const { return rows_; }
  /// Steps of the longest sequence.
  std::int64_t steps() const { return steps_; }
  std::int64_t length(std::int64_t row) const {
    return lengths_ != nullptr ? lengths_[first_ + row] : sizes_.steps;
  }
  /// Time of the i-th step that a sequence reads.
  std::int64_t time(std::int64_t row, std::int64_t i) const {
    return direction_ == 0 ? i : length(row) - 1 - i;
  }
  /// Index into [K, N], for h0.
  std::int64_t sequence(std::int64_t row) const { return direction_ * sizes_.batch + first_ + row; }
  /// Index into [K, N, T], for saved.
  std::int64_t at(std::int64_t row, std::int64_t t) const {
    return sequence(row) * sizes_.steps + t;
  }
  /// Index into [N, T, K], for y.
  std::int64_t output(std::int64_t row, std::int64_t t) const {
    return ((first_ + row) * sizes_.steps + t) * sizes_.directions + direction_;
  }

 private:
  const GruSizes& sizes_;
  const std::int64_t* lengths_;
  std::int64_t direction_, first_, rows_ = 0, steps_ = 0;
};

/// The recurrent weights of one direction as the forward steps want them.
struct ForwardWeights {
  const GruSimd& simd = gru_simd();
  PackedPanels reset_update, candidate;  ///< h [H] to [2 H] and h or m [H] to [H]
  std::vector<real> gate_bias;           ///< [2 H]: b_i + b_h of r and z
  std::vector<real> candidate_bias;      ///< [H]: b_in
  std::vector<real> product_bias;        ///< [H]: b_hn

  ForwardWeights(const GruParameters& p, std::int64_t H)
      : reset_update(p.weight_hh, H, 2 * H, 1, H),
        candidate(p.weight_hh + 2 * H * H, H, H, 1, H),
        gate_bias(2 * H),
        candidate_bias(H),
        product_bias(H) {
    const auto add = [](std::vector<real>& sum, const real* bias) {
      for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += bias[j];
    };
    if (p.bias_ih != nullptr) add(gate_bias, p.bias_ih);
    if (p.bias_ih != nullptr) add(candidate_bias, p.bias_ih + 2 * H);
    if (p.bias_hh != nullptr) add(gate_bias, p.bias_hh);
    if (p.bias_hh != nullptr) add(product_bias, p.bias_hh + 2 * H);
  }
};

/// Writes a bias into each of the rows that a product will be added to.
void start_rows(real* out, std::int64_t stride, const std::vector<real>& bias, std::int64_t rows) {
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy(bias.begin(), bias.end(), out + row * stride);
  }
}

/// Reals of working memory of one group, forward.
std::int64_t forward_scratch(const GruSizes& s) {
  return kGruRows * (2 * s.hidden + padded_columns(2 * s.hidden) + padded_columns(s.hidden));
}

void recurrence_forward(real* y, real* saved, real* scratch, const real* h0, const Group& group,
                        const ForwardWeights& weights, const GruSizes& s) {
  const std::int64_t H = s.hidden;
  const std::int64_t gate_stride = padded_columns(2 * H), product_stride = padded_columns(H);
  real* h = scratch;                               // [rows, H]
  real* reset = h + kGruRows * H;                  // [rows, H]: r h, reset before only
  real* gates = reset + kGruRows * H;              // [rows, 2 H]: recurrent part of r and z
  real* product = gates + kGruRows * gate_stride;  // [rows, H]: recurrent part of n
  const GruSimd& simd = weights.simd;
  for (std::int64_t row = 0; row < group.rows() && h0 != nullptr; ++row) {
    std::copy_n(h0 + group.sequence(row) * H, H, h + row * H);
  }
  for (std::int64_t i = 0; i < group.steps(); ++i) {
    start_rows(gates, gate_stride, weights.gate_bias, group.rows());
    weights.reset_update.multiply_add(gates, gate_stride, h, H, group.rows());
    for (std::int64_t row = 0; row < group.rows(); ++row) {
      if (i >= group.length(row)) continue;
      real* saved_gates = saved + group.at(row, group.time(row, i)) * 4 * H;
      simd.gates(saved_gates, gates + row * gate_stride, H);
      if (s.reset_after) continue;
      simd.reset_state(reset + row * H, saved_gates, h + row * H, H);
      std::copy_n(reset + row * H, H, saved_gates + 3 * H);
    }
    start_rows(product, product_stride, weights.product_bias, group.rows());
    weights.candidate.multiply_add(product, product_stride, s.reset_after ? h : reset, H,
                                   group.rows());
    for (std::int64_t row = 0; row < group.rows(); ++row) {
      if (i >= group.length(row)) continue;
      const std::int64_t t = group.time(row, i);
      const auto candidate = s.reset_after ? simd.candidate_after : simd.candidate_before;
      candidate(saved + group.at(row, t) * 4 * H, h + row * H, weights.candidate_bias.data(),
                product + row * product_stride, H);
      std::copy_n(h + row * H, H, y + group.output(row, t) * H);
    }
  }
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    for (std::int64_t t = group.length(row); t < s.steps; ++t) {
      std::fill_n(saved + group.at(row, t) * 4 * H, 4 * H, real(0));
      std::fill_n(y + group.output(row, t) * H, H, real(0));
    }
  }
}

/// W_hh as the backward steps want it: from gate gradients to the gradient of the state.
struct BackwardWeights {
  PackedPanels reset_update, candidate;  ///< [2 H] to [H] and [H] to [H]

  BackwardWeights(const GruParameters& p, std::int64_t H)
      : reset_update(p.weight_hh, 2 * H, H, H, 1), candidate(p.weight_hh + 2 * H * H, H, H, H, 1) {}
};

/// Reals of working memory of one group, backward.
std::int64_t backward_scratch(const GruSizes& s) {
  return kGruRows * (3 * s.hidden + 2 * padded_columns(s.hidden));
}

/// What needs no recurrent product: D(a_z), D(a_n), D(m) (reset after) and D(h') z of one sequence.
/// d_gates: D(a_r), D(a_z), D(a_n), D(m), [4, H]; d_state: D(h') in, D(h') z out, [H].
void gates_backward(real* d_gates, real* d_state, const real* gates, const real* h, const real* dy,
                    bool reset_after, std::int64_t H) {
  const real *r = gates, *z = gates + H, *n = gates + 2 * H, *m = gates + 3 * H;
  real *da_r = d_gates, *da_z = d_gates + H, *da_n = d_gates + 2 * H, *dm = d_gates + 3 * H;
  for (std::int64_t j = 0; j < H; ++j) {
    const real d = d_state[j] + dy[j];
    da_n[j] = d * (1 - z[j]) * (1 - n[j] * n[j]);
    da_z[j] = d * (h[j] - n[j]) * z[j] * (1 - z[j]);
    d_state[j] = d * z[j];
  }
  if (!reset_after) return;
  for (std::int64_t j = 0; j < H; ++j) {
    dm[j] = da_n[j] * r[j];
    da_r[j] = da_n[j] * m[j] * r[j] * (1 - r[j]);
  }
}

/// Reset before: D(a_r) and the part of D(h) that came through m = r h. dm: [H].
void reset_backward(real* d_gates, real* d_state, const real* dm, const real* gates, const real* h,
                    std::int64_t H) {
  const real* r = gates;
  for (std::int64_t j = 0; j < H; ++j) {
    d_gates[j] = dm[j] * h[j] * r[j] * (1 - r[j]);
    d_state[j] += dm[j] * r[j];
    d_gates[3 * H + j] = dm[j];
  }
}

/// Writes d_gates [K, N, T, 4, H] (zero beyond the lengths) and previous [K, N, T, H], the state
/// that each step started from, for one group.
void recurrence_backward(real* d_gates, real* previous, real* dh0, real* scratch, const real* dy,
                         const real* y, const real* saved, const real* h0, const Group& group,
                         const BackwardWeights& weights, const GruSizes& s) {
  const std::int64_t H = s.hidden, stride = padded_columns(H), rows = group.rows();
  real* d_state = scratch;                    // [rows, H], rows `stride` apart
  real* dm = d_state + kGruRows * stride;     // [rows, H], likewise: reset before only
  real* da = dm + kGruRows * stride;          // [rows, 2 H]: D(a_r), D(a_z)
  real* d_candidate = da + kGruRows * 2 * H;  // [rows, H]: what W_hn^T is applied to
  for (std::int64_t i = group.steps() - 1; i >= 0; --i) {
    for (std::int64_t row = 0; row < rows; ++row) {
      if (i >= group.length(row)) continue;  // not yet begun: its rows of da, d_candidate are zero
      const std::int64_t t = group.time(row, i), at = group.at(row, t);
      real* h = previous + at * H;
      if (i > 0) {
        std::copy_n(y + group.output(row, group.time(row, i - 1)) * H, H, h);
      } else if (h0 != nullptr) {
        std::copy_n(h0 + group.sequence(row) * H, H, h);
      }
      real* d = d_gates + at * 4 * H;
      gates_backward(d, d_state + row * stride, saved + at * 4 * H, h,
                     dy + group.output(row, t) * H, s.reset_after, H);
      std::copy_n(d + (s.reset_after ? 3 : 2) * H, H, d_candidate + row * H);
    }
    if (s.reset_after) {
      weights.candidate.multiply_add(d_state, stride, d_candidate, H, rows);
    } else {
      std::fill_n(dm, rows * stride, real(0));
      weights.candidate.multiply_add(dm, stride, d_candidate, H, rows);
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      if (i >= group.length(row)) continue;
      const std::int64_t at = group.at(row, group.time(row, i));
      real* d = d_gates + at * 4 * H;
      if (!s.reset_after) {
        reset_backward(d, d_state + row * stride, dm + row * stride, saved + at * 4 * H,
                       previous + at * H, H);
      }
      std::copy_n(d, 2 * H, da + row * 2 * H);
    }
    weights.reset_update.multiply_add(d_state, stride, da, 2 * H, rows);
  }
  for (std::int64_t row = 0; row < rows && dh0 != nullptr; ++row) {
    real* out = dh0 + group.sequence(row) * H;
    for (std::int64_t j = 0; j < H; ++j) out[j] += d_state[row * stride + j];
  }
}

/// bias[j] += sum over rows of d[row, j], j < count; d has rows of `stride`. Sums in double,
/// because there are thousands of rows.
void add_column_sums(real* bias, const real* d, std::int64_t rows, std::int64_t stride,
                     std::int64_t count) {
  std::vector<double> sums(count);
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t j = 0; j < count; ++j) sums[j] += d[row * stride + j];
  }
  for (std::int64_t j = 0; j < count; ++j) bias[j] += static_cast<real>(sums[j]);
}

/// All gradients of one direction that are sums over steps. d_gates, saved: [N T, 4 H]; previous:
/// [N T, H].
void weights_backward(real* dx, const GruParameterGradients& g, const real* d_gates,
                      const real* previous, const real* saved, const real* x,
                      const GruParameters& p, const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, D = s.inputs, H = s.hidden;
  const real* d_product = d_gates + (s.reset_after ? 3 : 2) * H;  // at the output of W_hn
  if (dx != nullptr) {
    gemm(false, false, rows, D, 3 * H, 1, d_gates, 4 * H, p.weight_ih, D, 1, dx, D);
  }
  if (g.weight_ih != nullptr) {
    gemm(true, false, 3 * H, D, rows, 1, d_gates, 4 * H, x, D, 1, g.weight_ih, D);
  }
  if (g.weight_hh != nullptr) {
    gemm(true, false, 2 * H, H, rows, 1, d_gates, 4 * H, previous, H, 1, g.weight_hh, H);
    const real* input = s.reset_after ? previous : saved + 3 * H;
    gemm(true, false, H, H, rows, 1, d_product, 4 * H, input, s.reset_after ? H : 4 * H, 1,
         g.weight_hh + 2 * H * H, H);
  }
  if (g.bias_ih != nullptr) add_column_sums(g.bias_ih, d_gates, rows, 4 * H, 3 * H);
  if (g.bias_hh != nullptr) {
    add_column_sums(g.bias_hh, d_gates, rows, 4 * H, 2 * H);
    add_column_sums(g.bias_hh + 2 * H, d_product, rows, 4 * H, H);
  }
}

}  // namespace

void gru_forward(real* y, real* saved, const real* x, const real* h0,
                 const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden;
  std::vector<ForwardWeights> weights;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    weights.emplace_back(parameters[k], H);
    gemm(false, true, rows, 3 * H, s.inputs, 1, x, s.inputs, parameters[k].weight_ih, s.inputs, 0,
         saved + k * rows * 4 * H, 4 * H);
  }
  const std::int64_t groups = group_count(s), scratch_size = forward_scratch(s);
  std::vector<real> scratch(s.directions * groups * scratch_size);
#pragma omp parallel for schedule(static) if (worth_threads(s))
  for (std::int64_t unit = 0; unit < s.directions * groups; ++unit) {
    const Group group(unit / groups, unit % groups, lengths, s);
    recurrence_forward(y, saved, scratch.data() + unit * scratch_size, h0, group,
                       weights[unit / groups], s);
  }
}

void gru_backward(real* dx, real* dh0, const GruParameterGradients* gradients, const real* dy,
                  const real* y, const real* saved, const real* x, const real* h0,
                  const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden;
  std::vector<BackwardWeights> weights;
  for (std::int64_t k = 0; k < s.directions; ++k) weights.emplace_back(parameters[k], H);
  std::vector<real> d_gates(s.directions * rows * 4 * H), previous(s.directions * rows * H);
  const std::int64_t groups = group_count(s), scratch_size = backward_scratch(s);
  std::vector<real> scratch(s.directions * groups * scratch_size);
#pragma omp parallel for schedule(static) if (worth_threads(s))
  for (std::int64_t unit = 0; unit < s.directions * groups; ++unit) {
    const Group group(unit / groups, unit % groups, lengths, s);
    recurrence_backward(d_gates.data(), previous.data(), dh0, scratch.data() + unit * scratch_size,
                        dy, y, saved, h0, group, weights[unit / groups], s);
  }
  for (std::int64_t k = 0; k < s.directions; ++k) {
    weights_backward(dx, gradients[k], d_gates.data() + k * rows * 4 * H,
                     previous.data() + k * rows * H, saved + k * rows * 4 * H, x, parameters[k], s);
  }
}

}  // namespace serenade::cpu
