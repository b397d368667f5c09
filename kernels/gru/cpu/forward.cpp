// The forward pass of the GRU in use (v1), in two moves:
//   1. input projection: what the gates get from x does not wait for the state, so it is one matrix
//      product per direction over all steps of all sequences, written straight into `saved`;
//   2. recurrence: eight sequences of one direction walk through their steps together, so that each
//      recurrent weight is loaded once for eight uses. A step is one product with W_hh, which is
//      packed once per call, and one pass over the gates. A lane is a hidden unit, so there is
//      nothing to transpose, and a batch of one fills vectors, too. Groups of sequences share the
//      threads without a barrier, and the groups are the same for any number.
// Per step and group it does 8 * 2 * 3 H^2 operations for one reading of W_hh (48 KB at H = 64,
// from the second-level cache). What limits it: multiply-adds, then the logistic functions and
// tanh.
//
// Formulas: kernels/gru/gru.h. The backward pass: kernels/gru/cpu/backward.cpp.

#include "kernels/gru/gru.h"

#include <algorithm>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/gemm/cpu/panels.h"
#include "kernels/gru/cpu/groups.h"
#include "kernels/gru/cpu/gru_simd.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/pieces.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(GruSimd, gru_simd);

namespace {

void add_if_given(real* sum, const real* bias, std::int64_t count) {
  for (std::int64_t j = 0; j < count && bias != nullptr; ++j) sum[j] += bias[j];
}

/// The recurrent weights and the biases of one direction as the forward steps want them.
struct ForwardWeights {
  PackedPanels gates;          ///< h [H] to r, z and, reset after, n: [3 H] or [2 H]
  PackedPanels candidate;      ///< reset before only: r h [H] to n [H]
  const real* gate_bias;       ///< what the products start with: r, z: b_i + b_h; n: b_hn or 0
  const real* candidate_bias;  ///< [H]: b_in

  static std::int64_t size(std::int64_t H) {
    return 2 * Pieces::size(PackedPanels::size(H, 3 * H)) + Pieces::size(padded_columns(3 * H)) +
           Pieces::size(H);
  }

  ForwardWeights(Pieces& memory, const GruParameters& p, const GruSizes& s) {
    const std::int64_t H = s.hidden, columns = s.reset_after ? 3 * H : 2 * H;
    gates =
        PackedPanels(memory.take(PackedPanels::size(H, columns)), p.weight_hh, true, H, columns);
    if (!s.reset_after) {
      candidate =
          PackedPanels(memory.take(PackedPanels::size(H, H)), p.weight_hh + 2 * H * H, true, H, H);
    }
    real* sums = memory.take_zeros(padded_columns(3 * H));
    add_if_given(sums, p.bias_ih, 2 * H);
    add_if_given(sums, p.bias_hh, 3 * H);
    gate_bias = sums;
    real* input = memory.take_zeros(H);
    add_if_given(input, p.bias_ih != nullptr ? p.bias_ih + 2 * H : nullptr, H);
    candidate_bias = input;
  }
};

/// The arrays of one call.
struct ForwardArrays {
  real *y, *saved;
  const real *h0, *zeros;  ///< zeros: [padded 3 H]
};

/// Zeros at and beyond the lengths.
void clear_padding(const ForwardArrays& arrays, const SequenceGroup& group, const GruSizes& s) {
  const std::int64_t H = s.hidden;
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    for (std::int64_t t = group.length(row); t < s.steps; ++t) {
      std::fill_n(arrays.saved + group.at(row, t) * 4 * H, 4 * H, real(0));
      std::fill_n(arrays.y + group.output(row, t) * H, H, real(0));
    }
  }
}

/// product: [kGruRows, padded 3 H], working memory.
void recurrence_forward(const ForwardArrays& arrays, real* product, const SequenceGroup& group,
                        const ForwardWeights& weights, const GruSizes& s) {
  const std::int64_t H = s.hidden, stride = padded_columns(3 * H), rows = group.rows();
  const GruSimd& simd = gru_simd();
  const real *h[kGruRows], *m[kGruRows];
  for (std::int64_t i = 0; i < group.steps(); ++i) {
    real *y[kGruRows], *gates[kGruRows];  // null: this sequence has ended
    for (std::int64_t row = 0; row < rows; ++row) {
      const bool active = i < group.length(row);
      const std::int64_t t = active ? group.time(row, i) : 0;
      y[row] = active ? arrays.y + group.output(row, t) * H : nullptr;
      gates[row] = active ? arrays.saved + group.at(row, t) * 4 * H : nullptr;
      h[row] =
          active ? group.state_before(row, i, arrays.y, arrays.h0, arrays.zeros) : arrays.zeros;
      m[row] = active ? gates[row] + 3 * H : arrays.zeros;
    }
    weights.gates.multiply(product, stride, weights.gate_bias, 0, h, rows);
    for (std::int64_t row = 0; row < rows; ++row) {
      if (y[row] == nullptr) continue;
      if (s.reset_after) {
        simd.cell_after(y[row], gates[row], product + row * stride, weights.candidate_bias, h[row],
                        H);
      } else {
        simd.reset_before(gates[row], product + row * stride, h[row], H);
      }
    }
    if (s.reset_after) continue;
    weights.candidate.multiply(product, stride, arrays.zeros, 0, m, rows);
    for (std::int64_t row = 0; row < rows; ++row) {
      if (y[row] == nullptr) continue;
      simd.candidate_before(y[row], gates[row], product + row * stride, weights.candidate_bias,
                            h[row], H);
    }
  }
  clear_padding(arrays, group, s);
}

void project_inputs(real* saved, const real* x, const GruParameters* parameters,
                    const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs;
  std::vector<GemmProduct> products;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    products.push_back({.transpose_b = true,
                        .m = rows,
                        .n = 3 * H,
                        .k = D,
                        .a = x,
                        .lda = D,
                        .b = parameters[k].weight_ih,
                        .ldb = D,
                        .c = saved + k * rows * 4 * H,
                        .ldc = 4 * H});
  }
  gemm_in_order(products);
}

}  // namespace

void gru_forward(real* y, real* saved, const real* x, const real* h0,
                 const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  project_inputs(saved, x, parameters, s);
  const std::int64_t H = s.hidden, width = padded_columns(3 * H);
  const std::int64_t groups = gru_group_count(s), units = s.directions * groups;
  const std::int64_t unit_size = Pieces::size(kGruRows * width);
  Pieces memory(
      scratch(s.directions * ForwardWeights::size(H) + Pieces::size(width) + units * unit_size));
  std::vector<ForwardWeights> weights;
  for (std::int64_t k = 0; k < s.directions; ++k) weights.emplace_back(memory, parameters[k], s);
  const ForwardArrays arrays{y, saved, h0, memory.take_zeros(width)};
  real* products = memory.take(units * unit_size);
  parallel_if(gru_worth_threads(s), units, [&](std::int64_t unit) {
    const SequenceGroup group = gru_group(unit / groups, unit % groups, lengths, s);
    recurrence_forward(arrays, products + unit * unit_size, group, weights[unit / groups], s);
  });
}

}  // namespace serenade::cpu
