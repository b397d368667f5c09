// The backward pass of the recurrent layers in use (v1), after the GRU's, in two moves:
//   1. recurrence in reverse, by the groups of the forward pass: per step one pass over the gates,
//      which stores the gradients of the arguments of tanh, s and max and sums them for the biases,
//      and one product with W_hh transposed;
//   2. each weight gradient and dx is one matrix product over all steps of all sequences, all of
//      them in one parallel region.
// It does twice the operations of the forward pass.
//
// Formulas: kernels/lstm/lstm.h; derivatives: kernels/lstm/cpu/definition.cpp.

#include <algorithm>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/gemm/cpu/panels.h"
#include "kernels/lstm/cpu/groups.h"
#include "kernels/lstm/cpu/lstm_simd.h"
#include "kernels/lstm/lstm.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/pieces.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

namespace {

/// The arrays of one call.
struct BackwardArrays {
  // What the recurrence leaves for the products over all steps; zero at and beyond the lengths.
  real* d_gates;   ///< [K, N T, G H]: D(a)
  real* previous;  ///< [K, N T, H]: the state that each step started from
  StatePointers<real*> d_start;
  StatePointers<const real*> d_last, start;
  const real *dy, *y, *saved, *zeros;  ///< zeros: [padded H]
};

/// Working memory of one group.
struct GroupMemory {
  real* d_gates;    ///< [rows, row_stride(G H)]: D(a) of a step, 0 before a sequence's last
  real *dh, *dc;    ///< [rows, row_stride(H)]: D(h') without dy, D(c') without what h' sends
  real* bias_sums;  ///< [G H]

  static std::int64_t size(const LstmSizes& s) {
    const std::int64_t rows = lstm_rows(s), wide = s.gates() * s.hidden;
    return Pieces::size(rows * row_stride(wide)) + 2 * Pieces::size(rows * row_stride(s.hidden)) +
           Pieces::size(wide);
  }
  GroupMemory(Pieces& memory, const LstmSizes& s)
      : d_gates(memory.take_zeros(lstm_rows(s) * row_stride(s.gates() * s.hidden))),
        dh(memory.take_zeros(lstm_rows(s) * row_stride(s.hidden))),
        dc(memory.take_zeros(lstm_rows(s) * row_stride(s.hidden))),
        bias_sums(memory.take_zeros(s.gates() * s.hidden)) {}
};

void clear_padding(const BackwardArrays& arrays, const SequenceGroup& group, const LstmSizes& s) {
  const std::int64_t H = s.hidden, wide = s.gates() * H;
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    for (std::int64_t t = group.length(row); t < s.steps; ++t) {
      std::fill_n(arrays.d_gates + group.at(row, t) * wide, wide, real(0));
      std::fill_n(arrays.previous + group.at(row, t) * H, H, real(0));
    }
  }
}

/// What a sequence starts from at its last step: the gradients of its final state, or zeros.
void begin_sequence(real* own, const real* all, std::int64_t sequence, std::int64_t H) {
  if (all != nullptr) {
    std::copy_n(all + sequence * H, H, own);
  } else {
    std::fill_n(own, H, real(0));
  }
}

/// The pass over the gates of one step, i-th of those that a sequence reads.
void step_backward(const BackwardArrays& arrays, const GroupMemory& own, const SequenceGroup& group,
                   std::int64_t row, std::int64_t i, const LstmSizes& s) {
  const std::int64_t H = s.hidden, S = s.saved_rows(), t = group.time(row, i);
  const std::int64_t at = group.at(row, t);
  std::copy_n(group.state_before(row, i, arrays.y, arrays.start.h, arrays.zeros), H,
              arrays.previous + at * H);
  real *d_gates = arrays.d_gates + at * s.gates() * H, *dh = own.dh + row * row_stride(H);
  real* d_next = own.d_gates + row * row_stride(s.gates() * H);
  const real *dy = arrays.dy + group.output(row, t) * H, *saved = arrays.saved + at * S * H;
  const LstmSimd& simd = lstm_simd();
  switch (s.cell) {
    case RecurrentCell::lstm: {
      const real* c = i > 0 ? arrays.saved + (group.at(row, group.time(row, i - 1)) * S + 4) * H
                      : arrays.start.c != nullptr ? arrays.start.c + group.sequence(row) * H
                                                  : arrays.zeros;
      return simd.lstm_backward(d_gates, d_next, own.dc + row * row_stride(H), own.bias_sums, dy,
                                dh, saved, c, H);
    }
    case RecurrentCell::tanh:
      return simd.tanh_backward(d_gates, d_next, own.bias_sums, dy, dh, saved, H);
    case RecurrentCell::relu:
      return simd.relu_backward(d_gates, d_next, own.bias_sums, dy, dh, saved, H);
  }
}

void add_state(real* all, const real* own, std::int64_t sequence, std::int64_t H) {
  for (std::int64_t j = 0; j < H && all != nullptr; ++j) all[sequence * H + j] += own[j];
}

void recurrence_backward(const BackwardArrays& arrays, const GroupMemory& own,
                         const SequenceGroup& group, const PackedPanels& weights,
                         const LstmSizes& s) {
  const std::int64_t H = s.hidden, stride = row_stride(H);
  std::vector<const real*> d(static_cast<std::size_t>(group.rows()));
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    d[row] = own.d_gates + row * row_stride(s.gates() * H);
  }
  for (std::int64_t i = group.steps() - 1; i >= 0; --i) {
    for (std::int64_t row = 0; row < group.rows(); ++row) {
      if (i >= group.length(row)) continue;  // its last step is still to come
      if (i == group.length(row) - 1) {
        begin_sequence(own.dh + row * stride, arrays.d_last.h, group.sequence(row), H);
        begin_sequence(own.dc + row * stride, arrays.d_last.c, group.sequence(row), H);
      }
      step_backward(arrays, own, group, row, i, s);
    }
    weights.multiply(own.dh, stride, arrays.zeros, 0, d.data(), group.rows());
  }
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    add_state(arrays.d_start.h, own.dh + row * stride, group.sequence(row), H);
    add_state(arrays.d_start.c, own.dc + row * stride, group.sequence(row), H);
  }
  clear_padding(arrays, group, s);
}

/// The products over all steps that give dx and the weight gradients. Those of the same kind are
/// neighbours, so that the two directions share the work on x or dx.
std::vector<GemmProduct> products_over_steps(real* dx, const LstmParameterGradients* gradients,
                                             const BackwardArrays& arrays, const real* x,
                                             const LstmParameters* parameters, const LstmSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs, wide = s.gates() * H;
  std::vector<GemmProduct> products;
  for (std::int64_t k = 0; k < s.directions && dx != nullptr; ++k) {
    products.push_back({.m = rows,
                        .n = D,
                        .k = wide,
                        .a = arrays.d_gates + k * rows * wide,
                        .lda = wide,
                        .b = parameters[k].weight_ih,
                        .ldb = D,
                        .beta = 1,
                        .c = dx,
                        .ldc = D});
  }
  // gradient [G H, n] += D(a) [rows, G H]^T b [rows, n]
  const auto weight = [&](real* gradient, std::int64_t k, const real* b, std::int64_t n) {
    if (gradient == nullptr) return;
    products.push_back({.transpose_a = true,
                        .m = wide,
                        .n = n,
                        .k = rows,
                        .a = arrays.d_gates + k * rows * wide,
                        .lda = wide,
                        .b = b,
                        .ldb = n,
                        .beta = 1,
                        .c = gradient,
                        .ldc = n});
  };
  for (std::int64_t k = 0; k < s.directions; ++k) weight(gradients[k].weight_ih, k, x, D);
  for (std::int64_t k = 0; k < s.directions; ++k) {
    weight(gradients[k].weight_hh, k, arrays.previous + k * rows * H, H);
  }
  return products;
}

/// sums: [G H] of one group.
void add_biases(const LstmParameterGradients& g, const real* sums, std::int64_t count) {
  for (real* bias : {g.bias_ih, g.bias_hh}) {
    for (std::int64_t j = 0; j < count && bias != nullptr; ++j) bias[j] += sums[j];
  }
}

}  // namespace

void lstm_backward(real* dx, const StatePointers<real*>& d_start,
                   const LstmParameterGradients* gradients, const real* dy,
                   const StatePointers<const real*>& d_last, const real* y, const real* saved,
                   const real* x, const StatePointers<const real*>& start,
                   const LstmParameters* parameters, const std::int64_t* lengths,
                   const LstmSizes& s) {
  const std::int64_t K = s.directions, rows = s.batch * s.steps, H = s.hidden;
  const std::int64_t groups = lstm_group_count(s), units = K * groups, wide = s.gates() * H;
  const std::int64_t panels = PackedPanels::size(wide, H);
  Pieces memory(scratch(Pieces::size(K * rows * wide) + Pieces::size(K * rows * H) +
                        Pieces::size(padded_columns(H)) + K * Pieces::size(panels) +
                        units * GroupMemory::size(s)));
  const BackwardArrays arrays{.d_gates = memory.take(K * rows * wide),
                              .previous = memory.take(K * rows * H),
                              .d_start = d_start,
                              .d_last = d_last,
                              .start = start,
                              .dy = dy,
                              .y = y,
                              .saved = saved,
                              .zeros = memory.take_zeros(padded_columns(H))};
  std::vector<PackedPanels> weights;
  for (std::int64_t k = 0; k < K; ++k) {
    weights.emplace_back(memory.take(panels), parameters[k].weight_hh, false, wide, H);
  }
  std::vector<GroupMemory> own;
  for (std::int64_t unit = 0; unit < units; ++unit) own.emplace_back(memory, s);
  parallel_if(lstm_worth_threads(s), units, [&](std::int64_t unit) {
    recurrence_backward(arrays, own[unit], lstm_group(unit, lengths, s), weights[unit / groups], s);
  });
  for (std::int64_t unit = 0; unit < units; ++unit) {
    add_biases(gradients[unit / groups], own[unit].bias_sums, wide);
  }
  gemm_in_order(products_over_steps(dx, gradients, arrays, x, parameters, s));
}

}  // namespace serenade::cpu
