// The backward pass of the GRU in use (v1), in two moves:
//   1. recurrence in reverse, by the groups of the forward pass: per step one pass over the gates,
//      which stores the gradients of the arguments of tanh and s and sums them for the biases, and
//      one product with W_hh transposed;
//   2. each weight gradient and dx is one matrix product over all steps of all sequences, all of
//      them in one parallel region.
// It does twice the operations of the forward pass, and the second move is most of them.
//
// Formulas: kernels/gru/gru.h; derivatives: kernels/gru/cpu/definition.cpp.

#include <algorithm>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/gemm/cpu/panels.h"
#include "kernels/gru/cpu/groups.h"
#include "kernels/gru/cpu/gru_simd.h"
#include "kernels/gru/gru.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/pieces.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

namespace {

/// W_hh as the backward steps want it: from gate gradients to the gradient of the state.
struct BackwardWeights {
  PackedPanels gates;      ///< r, z and, reset after, n: [3 H] or [2 H] to [H]
  PackedPanels candidate;  ///< reset before only: n [H] to r h [H]

  static std::int64_t size(std::int64_t H) {
    return Pieces::size(PackedPanels::size(2 * H, H)) + 2 * Pieces::size(PackedPanels::size(H, H));
  }

  BackwardWeights(Pieces& memory, const GruParameters& p, const GruSizes& s) {
    const std::int64_t H = s.hidden, depth = s.reset_after ? 3 * H : 2 * H;
    gates = PackedPanels(memory.take(PackedPanels::size(depth, H)), p.weight_hh, false, depth, H);
    if (s.reset_after) return;
    candidate =
        PackedPanels(memory.take(PackedPanels::size(H, H)), p.weight_hh + 2 * H * H, false, H, H);
  }
};

/// The arrays of one call.
struct BackwardArrays {
  // What the recurrence leaves for the products over all steps; zero at and beyond the lengths.
  real* d_input;      ///< [K, N T, 3 H]: D(a_r), D(a_z), D(a_n)
  real* d_recurrent;  ///< [K, N T, 3 H]: D(a_r), D(a_z), D(m); reset after only
  real* previous;     ///< [K, N T, H]: the state that each step started from
  real* dh0;
  const real *dy, *y, *saved, *h0, *zeros;  ///< zeros: [3 H]
};

/// Working memory of one group.
struct GroupMemory {
  real *d_state, *dm;  ///< [kGruRows, padded H]
  real* bias_sums;     ///< [4 H]: of D(a_r), D(a_z), D(a_n), D(m)

  static std::int64_t size(std::int64_t H) {
    return 2 * Pieces::size(kGruRows * padded_columns(H)) + Pieces::size(4 * H);
  }
  GroupMemory(Pieces& memory, std::int64_t H)
      : d_state(memory.take_zeros(kGruRows * padded_columns(H))),
        dm(memory.take(kGruRows * padded_columns(H))),
        bias_sums(memory.take_zeros(4 * H)) {}
};

void clear_padding(const BackwardArrays& arrays, const SequenceGroup& group, const GruSizes& s) {
  const std::int64_t H = s.hidden;
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    for (std::int64_t t = group.length(row); t < s.steps; ++t) {
      const std::int64_t at = group.at(row, t);
      std::fill_n(arrays.d_input + at * 3 * H, 3 * H, real(0));
      if (s.reset_after) std::fill_n(arrays.d_recurrent + at * 3 * H, 3 * H, real(0));
      std::fill_n(arrays.previous + at * H, H, real(0));
    }
  }
}

/// The first pass over the gates of one step, i-th of those that a sequence reads. Returns what the
/// product with W_hn or, reset after, with W_hh is applied to.
const real* gates_backward(const BackwardArrays& arrays, const GroupMemory& own,
                           const SequenceGroup& group, std::int64_t row, std::int64_t i,
                           const GruSizes& s) {
  const std::int64_t H = s.hidden, t = group.time(row, i), at = group.at(row, t);
  const real* h = group.state_before(row, i, arrays.y, arrays.h0, arrays.zeros);
  std::copy_n(h, H, arrays.previous + at * H);
  const real* dy = arrays.dy + group.output(row, t) * H;
  const real* gates = arrays.saved + at * 4 * H;
  real *d_input = arrays.d_input + at * 3 * H, *d_state = own.d_state + row * padded_columns(H);
  if (!s.reset_after) {
    gru_simd().candidate_backward(d_input, d_state, own.bias_sums, dy, gates, h, H);
    return d_input + 2 * H;
  }
  real* d_recurrent = arrays.d_recurrent + at * 3 * H;
  gru_simd().backward_after(d_input, d_recurrent, d_state, own.bias_sums, dy, gates, h, H);
  return d_recurrent;
}

void recurrence_backward(const BackwardArrays& arrays, const GroupMemory& own,
                         const SequenceGroup& group, const BackwardWeights& weights,
                         const GruSizes& s) {
  const std::int64_t H = s.hidden, stride = padded_columns(H), rows = group.rows();
  const real* d[kGruRows];
  for (std::int64_t i = group.steps() - 1; i >= 0; --i) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const bool active = i < group.length(row);  // or its last step is still to come
      d[row] = active ? gates_backward(arrays, own, group, row, i, s) : arrays.zeros;
    }
    if (!s.reset_after) {
      weights.candidate.multiply(own.dm, stride, arrays.zeros, 0, d, rows);
      for (std::int64_t row = 0; row < rows; ++row) {
        if (i >= group.length(row)) continue;
        const std::int64_t at = group.at(row, group.time(row, i));
        real* d_input = arrays.d_input + at * 3 * H;
        gru_simd().reset_backward(d_input, own.d_state + row * stride, own.bias_sums,
                                  own.dm + row * stride, arrays.saved + at * 4 * H,
                                  arrays.previous + at * H, H);
        d[row] = d_input;
      }
    }
    weights.gates.multiply(own.d_state, stride, own.d_state, stride, d, rows);
  }
  for (std::int64_t row = 0; row < rows && arrays.dh0 != nullptr; ++row) {
    real* out = arrays.dh0 + group.sequence(row) * H;
    for (std::int64_t j = 0; j < H; ++j) out[j] += own.d_state[row * stride + j];
  }
  clear_padding(arrays, group, s);
}

/// The products over all steps that give dx and the weight gradients. Those of the same kind are
/// neighbours, so that the two directions share the work on x or dx.
std::vector<GemmProduct> products_over_steps(real* dx, const GruParameterGradients* gradients,
                                             const BackwardArrays& arrays, const real* x,
                                             const GruParameters* parameters, const GruSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs;
  std::vector<GemmProduct> products;
  // C [m, n] += d [rows, m]^T b [rows, n]
  const auto weight = [&](real* c, std::int64_t m, const real* d, const real* b, std::int64_t ldb,
                          std::int64_t n) {
    GemmProduct p{.transpose_a = true, .m = m, .n = n, .k = rows, .a = d, .lda = 3 * H, .b = b};
    p.ldb = ldb;
    p.beta = 1;
    p.c = c;
    p.ldc = n;
    products.push_back(p);
  };
  for (std::int64_t k = 0; k < s.directions && dx != nullptr; ++k) {
    GemmProduct p{.m = rows, .n = D, .k = 3 * H, .a = arrays.d_input + k * rows * 3 * H};
    p.lda = 3 * H;
    p.b = parameters[k].weight_ih;
    p.ldb = D;
    p.beta = 1;
    p.c = dx;
    p.ldc = D;
    products.push_back(p);
  }
  for (std::int64_t k = 0; k < s.directions; ++k) {
    if (gradients[k].weight_ih == nullptr) continue;
    weight(gradients[k].weight_ih, 3 * H, arrays.d_input + k * rows * 3 * H, x, D, D);
  }
  for (std::int64_t k = 0; k < s.directions; ++k) {
    real* gradient = gradients[k].weight_hh;
    const real* previous = arrays.previous + k * rows * H;
    const real* d_input = arrays.d_input + k * rows * 3 * H;
    if (gradient == nullptr) continue;
    if (s.reset_after) {
      weight(gradient, 3 * H, arrays.d_recurrent + k * rows * 3 * H, previous, H, H);
      continue;
    }
    weight(gradient, 2 * H, d_input, previous, H, H);
    const real* m = arrays.saved + k * rows * 4 * H + 3 * H;
    weight(gradient + 2 * H * H, H, d_input + 2 * H, m, 4 * H, H);
  }
  return products;
}

/// sums: [4 H] of one group.
void add_biases(const GruParameterGradients& g, const real* sums, bool reset_after,
                std::int64_t H) {
  for (std::int64_t j = 0; j < 3 * H && g.bias_ih != nullptr; ++j) g.bias_ih[j] += sums[j];
  if (g.bias_hh == nullptr) return;
  const real* candidate = sums + (reset_after ? 3 : 2) * H;
  for (std::int64_t j = 0; j < 2 * H; ++j) g.bias_hh[j] += sums[j];
  for (std::int64_t j = 0; j < H; ++j) g.bias_hh[2 * H + j] += candidate[j];
}

}  // namespace

void gru_backward(real* dx, real* dh0, const GruParameterGradients* gradients, const real* dy,
                  const real* y, const real* saved, const real* x, const real* h0,
                  const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& s) {
  const std::int64_t K = s.directions, rows = s.batch * s.steps, H = s.hidden;
  const std::int64_t groups = gru_group_count(s), units = K * groups;
  const std::int64_t width = std::max(3 * H, padded_columns(H));
  const std::int64_t wide = Pieces::size(K * rows * 3 * H);
  Pieces memory(scratch(2 * wide + Pieces::size(K * rows * H) + Pieces::size(width) +
                        K * BackwardWeights::size(H) + units * GroupMemory::size(H)));
  const BackwardArrays arrays{
      memory.take(wide),       memory.take(wide), memory.take(K * rows * H), dh0, dy, y, saved, h0,
      memory.take_zeros(width)};
  std::vector<BackwardWeights> weights;
  for (std::int64_t k = 0; k < K; ++k) weights.emplace_back(memory, parameters[k], s);
  std::vector<GroupMemory> own;
  for (std::int64_t unit = 0; unit < units; ++unit) own.emplace_back(memory, H);
  parallel_if(gru_worth_threads(s), units, [&](std::int64_t unit) {
    const SequenceGroup group = gru_group(unit / groups, unit % groups, lengths, s);
    recurrence_backward(arrays, own[unit], group, weights[unit / groups], s);
  });
  for (std::int64_t unit = 0; unit < units; ++unit) {
    add_biases(gradients[unit / groups], own[unit].bias_sums, s.reset_after, H);
  }
  gemm_in_order(products_over_steps(dx, gradients, arrays, x, parameters, s));
}

}  // namespace serenade::cpu
