#pragma once
// Long short-term memory and the plain recurrent layer. Conventions: autograd/functions.h.

#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tensor/enum_names.h"

namespace serenade {

/// The weights of one direction. G: 4 gates of lstm, stacked in the order i, f, g, o; 1 of rnn. A
/// bias may be undefined: zeros.
struct RecurrentWeights {
  Variable weight_ih;  ///< [G H, D]
  Variable weight_hh;  ///< [G H, H]
  Variable bias_ih;    ///< [G H]
  Variable bias_hh;    ///< [G H]
};

/// The state of all sequences: [directions, N, H] each. Before the first step either may be
/// undefined: zeros.
struct LstmState {
  Variable h;
  Variable c;  ///< what the cells remember
};

struct LstmOptions {
  Indices lengths = {};  ///< one per sequence, 1 .. T; empty: all T. Outputs beyond are zero.
};

struct LstmResult {
  Variable output;  ///< [N, T, directions * H], forward half first
  LstmState last;   ///< after the last valid step read (step 0 of the backward direction)
};

/// Long short-term memory (Hochreiter & Schmidhuber 1997; Gers et al. 2000; cuDNN's and PyTorch's
/// form) over whole sequences, in one direction, or in two where `directions` has two entries:
/// forward, then backward, which starts at the last valid step. x: [N, T, D].
///   i = s(W_ii x + b_ii + W_hi h + b_hi)        f = s(W_if x + b_if + W_hf h + b_hf)
///   g = tanh(W_ig x + b_ig + W_hg h + b_hg)     o = s(W_io x + b_io + W_ho h + b_ho)
///   c' = f c + i g                              h' = o tanh(c')
LstmResult lstm(const Variable& x, const std::vector<RecurrentWeights>& directions,
                const LstmState& start = {}, const LstmOptions& options = {});

enum class RnnNonlinearity { tanh, relu };
inline EnumNames<RnnNonlinearity> enum_names(RnnNonlinearity) {
  return {{RnnNonlinearity::tanh, "tanh"}, {RnnNonlinearity::relu, "relu"}};
}

struct RnnOptions {
  RnnNonlinearity nonlinearity = RnnNonlinearity::tanh;
  Indices lengths = {};  ///< as of lstm
};

struct RnnResult {
  Variable output;  ///< [N, T, directions * H], forward half first
  Variable last;    ///< [directions, N, H]: after the last valid step read
};

/// The plain recurrent layer (Elman 1990): h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(0, the
/// same). x, directions: as of lstm; h0: [directions, N, H] or undefined (zeros).
RnnResult rnn(const Variable& x, const std::vector<RecurrentWeights>& directions,
              const Variable& h0 = {}, const RnnOptions& options = {});

}  // namespace serenade
