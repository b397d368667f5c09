#pragma once
// Recurrent layers and attention. Conventions: autograd/functions.h.

#include <cstdint>
#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tensor/enum_names.h"

namespace serenade {

/// Where the reset gate acts: after the recurrent product (cuDNN, PyTorch) or on the state before
/// it (Cho et al. 2014).
enum class GruReset { after, before };
inline EnumNames<GruReset> enum_names(GruReset) {
  return {{GruReset::after, "after"}, {GruReset::before, "before"}};
}

/// The weights of one direction; gates stacked in the order r, z, n.
struct GruWeights {
  Variable weight_ih;  ///< [3 H, D]
  Variable weight_hh;  ///< [3 H, H]
  Variable bias_ih;    ///< [3 H]
  Variable bias_hh;  ///< [3 H], or undefined: one bias per gate. Not allowed with GruReset::before.
};

struct GruOptions {
  GruReset reset = GruReset::after;
  Indices lengths = {};  ///< one per sequence, 1 .. T; empty: all T. Outputs beyond are zero.
};

/// Gated recurrent unit over whole sequences, in one direction, or in two where `directions` has
/// two entries (forward, then backward). x: [N, T, D]; h0: [directions, N, H] or undefined (zeros);
/// result [N, T, directions * H], forward half first.
///   r = s(W_ir x + b_ir + W_hr h + b_hr)      z = s(W_iz x + b_iz + W_hz h + b_hz)
///   n = tanh(W_in x + b_in + r * (W_hn h + b_hn))   [after]
///   n = tanh(W_in x + b_in + W_hn (r * h))          [before]
///   h' = (1 - z) n + z h
Variable gru(const Variable& x, const std::vector<GruWeights>& directions, const Variable& h0 = {},
             const GruOptions& options = {});
/// The final state of each direction out of gru()'s result: step lengths[n] - 1 of the forward
/// half, step 0 of the backward half. Result [directions, N, H].
Variable gru_last_state(const Variable& output, std::int64_t directions,
                        const Indices& lengths = {});

struct AttentionWeights {
  Variable proj_weight, proj_bias;          ///< [C, D], [C]
  Variable bottom_up;                       ///< [C]
  Variable top_down_weight, top_down_bias;  ///< [classes, C], [classes]
};

struct AttentionOptions {
  bool relu = true;
  Indices lengths = {};  ///< steps at and beyond a sequence's length get no attention
};

/// Attention pooling (Li et al. 2018; Girdhar & Ramanan 2017): z_t = relu(W h_t + b);
/// a = softmax over time of z_t . bottom_up; score_k = sum_t a_t (top_down_k . z_t + b_k).
/// h: [N, T, D]; result [N, classes].
Variable attention_pooling(const Variable& h, const AttentionWeights& weights,
                           const AttentionOptions& options = {});

}  // namespace serenade
