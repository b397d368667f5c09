// The recurrent layers in use (v1), after the GRU's (kernels/gru/cpu/forward.cpp), in two moves:
//   1. input projection of all steps as one matrix product, both directions sharing x, straight
//      into `saved`;
//   2. recurrence: a group of sequences of one direction walks through its steps together. A step
//      is one product with W_hh, packed once per call, and one pass over the gates. The group's
//      state lies in rows of its own, side by side: rows of y are often a multiple of 4 KB apart,
//      and would push each other out of the first-level cache.
// Groups share the threads without a barrier, and are the same for any number of them.
//
// Formulas: kernels/lstm/lstm.h. The backward pass: kernels/lstm/cpu/backward.cpp.

#include <algorithm>
#include <vector>

#include "kernels/gemm/cpu/packed.h"
#include "kernels/gemm/cpu/panels.h"
#include "kernels/lstm/cpu/groups.h"
#include "kernels/lstm/cpu/lstm_simd.h"
#include "kernels/lstm/lstm.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/pieces.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(LstmSimd, lstm_simd);

namespace {

/// The recurrent weights of one direction, and both of its biases.
struct ForwardWeights {
  PackedPanels hh;   ///< h [H] to the gates [G H]
  const real* bias;  ///< [padded G H]: b_ih + b_hh

  static std::int64_t size(const LstmSizes& s) {
    const std::int64_t columns = s.gates() * s.hidden;
    return Pieces::size(PackedPanels::size(s.hidden, columns)) +
           Pieces::size(padded_columns(columns));
  }

  ForwardWeights(Pieces& memory, const LstmParameters& p, const LstmSizes& s) {
    const std::int64_t H = s.hidden, columns = s.gates() * H;
    hh = PackedPanels(memory.take(PackedPanels::size(H, columns)), p.weight_hh, true, H, columns);
    real* sums = memory.take_zeros(padded_columns(columns));
    for (const real* given : {p.bias_ih, p.bias_hh}) {
      for (std::int64_t j = 0; j < columns && given != nullptr; ++j) sums[j] += given[j];
    }
    bias = sums;
  }
};

/// Working memory of one group.
struct GroupMemory {
  real *product, *h, *c;  ///< [rows, row_stride(G H)], twice [rows, row_stride(H)]

  static std::int64_t size(const LstmSizes& s) {
    return Pieces::size(lstm_rows(s) * row_stride(s.gates() * s.hidden)) +
           2 * Pieces::size(lstm_rows(s) * row_stride(s.hidden));
  }
  GroupMemory(Pieces& memory, const LstmSizes& s)
      : product(memory.take(lstm_rows(s) * row_stride(s.gates() * s.hidden))),
        h(memory.take_zeros(lstm_rows(s) * row_stride(s.hidden))),
        c(memory.take_zeros(lstm_rows(s) * row_stride(s.hidden))) {}
};

/// The arrays of one call.
struct ForwardArrays {
  real *y, *saved;
  StatePointers<real*> last;
  StatePointers<const real*> start;
};

/// Zeros at and beyond the lengths.
void clear_padding(const ForwardArrays& arrays, const SequenceGroup& group, const LstmSizes& s) {
  const std::int64_t H = s.hidden, width = s.saved_rows() * H;
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    for (std::int64_t t = group.length(row); t < s.steps; ++t) {
      std::fill_n(arrays.saved + group.at(row, t) * width, width, real(0));
      std::fill_n(arrays.y + group.output(row, t) * H, H, real(0));
    }
  }
}

/// One row of a state of all sequences, [K, N, H], from or to a row that the group keeps.
void read_state(real* own, const real* all, std::int64_t sequence, std::int64_t H) {
  if (all != nullptr) std::copy_n(all + sequence * H, H, own);
}
void write_state(real* all, const real* own, std::int64_t sequence, std::int64_t H) {
  if (all != nullptr) std::copy_n(own, H, all + sequence * H);
}

void step_cell(real* y, real* saved, const real* product, real* h, real* c, const LstmSizes& s) {
  const LstmSimd& simd = lstm_simd();
  switch (s.cell) {
    case RecurrentCell::lstm:
      return simd.lstm_cell(y, h, c, saved, product, s.hidden);
    case RecurrentCell::tanh:
      return simd.tanh_cell(y, h, saved, product, s.hidden);
    case RecurrentCell::relu:
      return simd.relu_cell(y, h, saved, product, s.hidden);
  }
}

void recurrence_forward(const ForwardArrays& arrays, const GroupMemory& own,
                        const SequenceGroup& group, const ForwardWeights& weights,
                        const LstmSizes& s) {
  const std::int64_t H = s.hidden, stride = row_stride(H), wide = row_stride(s.gates() * H);
  std::vector<const real*> h(static_cast<std::size_t>(group.rows()));
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    h[row] = own.h + row * stride;
    read_state(own.h + row * stride, arrays.start.h, group.sequence(row), H);
    read_state(own.c + row * stride, arrays.start.c, group.sequence(row), H);
  }
  for (std::int64_t i = 0; i < group.steps(); ++i) {
    weights.hh.multiply(own.product, wide, weights.bias, 0, h.data(), group.rows());
    for (std::int64_t row = 0; row < group.rows(); ++row) {
      if (i >= group.length(row)) continue;  // this sequence has ended and keeps its state
      const std::int64_t t = group.time(row, i);
      step_cell(arrays.y + group.output(row, t) * H,
                arrays.saved + group.at(row, t) * s.saved_rows() * H, own.product + row * wide,
                own.h + row * stride, own.c + row * stride, s);
    }
  }
  for (std::int64_t row = 0; row < group.rows(); ++row) {
    write_state(arrays.last.h, own.h + row * stride, group.sequence(row), H);
    write_state(arrays.last.c, own.c + row * stride, group.sequence(row), H);
  }
  clear_padding(arrays, group, s);
}

void project_inputs(real* saved, const real* x, const LstmParameters* parameters,
                    const LstmSizes& s) {
  const std::int64_t rows = s.batch * s.steps, H = s.hidden, D = s.inputs;
  std::vector<GemmProduct> products;
  for (std::int64_t k = 0; k < s.directions; ++k) {
    products.push_back({.transpose_b = true,
                        .m = rows,
                        .n = s.gates() * H,
                        .k = D,
                        .a = x,
                        .lda = D,
                        .b = parameters[k].weight_ih,
                        .ldb = D,
                        .c = saved + k * rows * s.saved_rows() * H,
                        .ldc = s.saved_rows() * H});
  }
  gemm_in_order(products);
}

}  // namespace

void lstm_forward(real* y, const StatePointers<real*>& last, real* saved, const real* x,
                  const StatePointers<const real*>& start, const LstmParameters* parameters,
                  const std::int64_t* lengths, const LstmSizes& s) {
  project_inputs(saved, x, parameters, s);
  const std::int64_t groups = lstm_group_count(s), units = s.directions * groups;
  Pieces memory(scratch(s.directions * ForwardWeights::size(s) + units * GroupMemory::size(s)));
  std::vector<ForwardWeights> weights;
  for (std::int64_t k = 0; k < s.directions; ++k) weights.emplace_back(memory, parameters[k], s);
  std::vector<GroupMemory> own;
  for (std::int64_t unit = 0; unit < units; ++unit) own.emplace_back(memory, s);
  const ForwardArrays arrays{y, saved, last, start};
  parallel_if(lstm_worth_threads(s), units, [&](std::int64_t unit) {
    recurrence_forward(arrays, own[unit], lstm_group(unit, lengths, s), weights[unit / groups], s);
  });
}

}  // namespace serenade::cpu
