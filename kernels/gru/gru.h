#pragma once
// Gated recurrent unit over whole sequences, one or two directions (Cho et al. 2014; the form with
// the reset gate after the recurrent product is cuDNN's and PyTorch's). With s the logistic
// function, per step and direction:
//   r = s(W_ir x + b_ir + W_hr h + b_hr)             reset gate
//   z = s(W_iz x + b_iz + W_hz h + b_hz)             update gate
//   n = tanh(W_in x + b_in + r * (W_hn h + b_hn))    candidate, reset after
//   n = tanh(W_in x + b_in + W_hn (r * h))           candidate, reset before
//   h' = (1 - z) n + z h
//
// Sizes: N sequences (batch), T steps, D inputs, H hidden units, K directions (1 or 2). Direction 0
// reads forward from step 0; direction 1 reads backward from the last valid step of each sequence.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

struct GruSizes {
  std::int64_t batch = 1;       ///< N
  std::int64_t steps = 1;       ///< T
  std::int64_t inputs = 1;      ///< D
  std::int64_t hidden = 1;      ///< H
  std::int64_t directions = 1;  ///< K: 1 or 2
  bool reset_after = true;      ///< where the reset gate acts
};

/// The weights of one direction, on the device of the call; gates stacked in the order r, z, n.
struct GruParameters {
  const real* weight_ih = nullptr;  ///< [3 H, D]
  const real* weight_hh = nullptr;  ///< [3 H, H]
  const real* bias_ih = nullptr;    ///< [3 H]; may be null: zeros
  const real* bias_hh = nullptr;    ///< [3 H]; may be null: zeros; must be null with reset before
};

/// Where the gradients of one direction's weights are added. Any may be null: not wanted.
struct GruParameterGradients {
  real* weight_ih = nullptr;  ///< [3 H, D]
  real* weight_hh = nullptr;  ///< [3 H, H]
  real* bias_ih = nullptr;    ///< [3 H]
  real* bias_hh = nullptr;    ///< [3 H]
};

/// All steps of all directions.
///   y:          [N, T, K, H]  the state after each step; zero at and beyond a sequence's length.
///   saved:      [K, N, T, 4, H]  for the backward pass: r, z, n, m, where m = W_hn h + b_hn (reset
///               after) or r * h (reset before); zero at and beyond a sequence's length. Never
///               null: it is also the workspace of the input projection.
///   x:          [N, T, D]; must be finite at padded steps too.
///   h0:         [K, N, H]  state before the first step read; may be null: zeros.
///   parameters: K entries, in host memory.
///   lengths:    N entries of 1 .. T, in host memory; may be null: all T.
DECLARE_KERNEL(void gru_forward(real* y, real* saved, const real* x, const real* h0,
                                const GruParameters* parameters, const std::int64_t* lengths,
                                const GruSizes& sizes));

/// Adds the gradients of all inputs.
///   dx:         [N, T, D]; may be null: not wanted.
///   dh0:        [K, N, H]; may be null: not wanted.
///   gradients:  K entries, in host memory.
///   dy:         [N, T, K, H]; values at and beyond a sequence's length are not read.
///   y, saved:   as gru_forward left them; not changed.
///   others:     as given to gru_forward.
DECLARE_KERNEL(void gru_backward(real* dx, real* dh0, const GruParameterGradients* gradients,
                                 const real* dy, const real* y, const real* saved, const real* x,
                                 const real* h0, const GruParameters* parameters,
                                 const std::int64_t* lengths, const GruSizes& sizes));

namespace cpu {

/// The definition, one value at a time; same arguments. The oracle of the tests.
void gru_forward_v0_definition(real* y, real* saved, const real* x, const real* h0,
                               const GruParameters* parameters, const std::int64_t* lengths,
                               const GruSizes& sizes);
void gru_backward_v0_definition(real* dx, real* dh0, const GruParameterGradients* gradients,
                                const real* dy, const real* y, const real* saved, const real* x,
                                const real* h0, const GruParameters* parameters,
                                const std::int64_t* lengths, const GruSizes& sizes);

}  // namespace cpu
}  // namespace serenade
