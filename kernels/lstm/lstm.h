#pragma once
// Long short-term memory and the plain recurrent layer over whole sequences, one or two directions.
//
// Cell `lstm` (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000; the form is
// cuDNN's and PyTorch's). With s the logistic function, per step and direction:
//   i = s(W_ii x + b_ii + W_hi h + b_hi)             input gate
//   f = s(W_if x + b_if + W_hf h + b_hf)             forget gate
//   g = tanh(W_ig x + b_ig + W_hg h + b_hg)          candidate
//   o = s(W_io x + b_io + W_ho h + b_ho)             output gate
//   c' = f c + i g          h' = o tanh(c')
// Cells `tanh` and `relu` (Elman 1990), one row of weights per unit and no c:
//   h' = tanh(W_i x + b_i + W_h h + b_h)          or max(0, the same)
//
// Sizes: N sequences (batch), T steps, D inputs, H hidden units, K directions (1 or 2), G gates: 4
// of an lstm in the order i, f, g, o; 1 of the others. Direction 0 reads forward from step 0;
// direction 1 reads backward from the last valid step of each sequence.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

enum class RecurrentCell { lstm, tanh, relu };

struct LstmSizes {
  std::int64_t batch = 1;       ///< N
  std::int64_t steps = 1;       ///< T
  std::int64_t inputs = 1;      ///< D
  std::int64_t hidden = 1;      ///< H
  std::int64_t directions = 1;  ///< K: 1 or 2
  RecurrentCell cell = RecurrentCell::lstm;

  bool has_cell_state() const { return cell == RecurrentCell::lstm; }
  std::int64_t gates() const { return has_cell_state() ? 4 : 1; }  ///< G
  /// Rows of H that a step leaves for the backward pass, S: i, f, g, o and c', or h' alone.
  std::int64_t saved_rows() const { return has_cell_state() ? 5 : 1; }
};

/// The weights of one direction, on the device of the call.
struct LstmParameters {
  const real* weight_ih = nullptr;  ///< [G H, D]
  const real* weight_hh = nullptr;  ///< [G H, H]
  const real* bias_ih = nullptr;    ///< [G H]; may be null: zeros
  const real* bias_hh = nullptr;    ///< [G H]; may be null: zeros
};

/// Where the gradients of one direction's weights are added. Any may be null: not wanted.
struct LstmParameterGradients {
  real* weight_ih = nullptr;  ///< [G H, D]
  real* weight_hh = nullptr;  ///< [G H, H]
  real* bias_ih = nullptr;    ///< [G H]
  real* bias_hh = nullptr;    ///< [G H]
};

/// A state of all sequences, in or out: [K, N, H] each. What may be null is said where it is used;
/// c is null without a cell state.
template <class Pointer>
struct StatePointers {
  Pointer h = nullptr;
  Pointer c = nullptr;
};

/// All steps of all directions.
///   y:          [N, T, K, H]  the state after each step; zero at and beyond a sequence's length.
///   last:       the state after the last valid step; null: not wanted.
///   saved:      [K, N, T, S, H]  for the backward pass; zero at and beyond a sequence's length.
///               Never null: it is also the workspace of the input projection.
///   x:          [N, T, D]; must be finite at padded steps too.
///   start:      the state before the first step read; null: zeros.
///   parameters: K entries, in host memory.
///   lengths:    N entries of 1 .. T, in host memory; may be null: all T.
DECLARE_KERNEL(void lstm_forward(real* y, const StatePointers<real*>& last, real* saved,
                                 const real* x, const StatePointers<const real*>& start,
                                 const LstmParameters* parameters, const std::int64_t* lengths,
                                 const LstmSizes& sizes));

/// Adds the gradients of all inputs.
///   dx:         [N, T, D]; may be null: not wanted.
///   d_start:    null: not wanted.
///   gradients:  K entries, in host memory.
///   dy:         [N, T, K, H]; values at and beyond a sequence's length are not read.
///   d_last:     null: zeros.
///   y, saved:   as lstm_forward left them; not changed.
///   others:     as given to lstm_forward.
DECLARE_KERNEL(void lstm_backward(
    real* dx, const StatePointers<real*>& d_start, const LstmParameterGradients* gradients,
    const real* dy, const StatePointers<const real*>& d_last, const real* y, const real* saved,
    const real* x, const StatePointers<const real*>& start, const LstmParameters* parameters,
    const std::int64_t* lengths, const LstmSizes& sizes));

namespace cpu {

/// The definition, one value at a time; same arguments. The oracle of the tests.
void lstm_forward_v0_definition(real* y, const StatePointers<real*>& last, real* saved,
                                const real* x, const StatePointers<const real*>& start,
                                const LstmParameters* parameters, const std::int64_t* lengths,
                                const LstmSizes& sizes);
void lstm_backward_v0_definition(real* dx, const StatePointers<real*>& d_start,
                                 const LstmParameterGradients* gradients, const real* dy,
                                 const StatePointers<const real*>& d_last, const real* y,
                                 const real* saved, const real* x,
                                 const StatePointers<const real*>& start,
                                 const LstmParameters* parameters, const std::int64_t* lengths,
                                 const LstmSizes& sizes);

}  // namespace cpu
}  // namespace serenade
