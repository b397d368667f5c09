#pragma once
// oneDNN as a peer, through its public C++ interface of version 2. Without the library at configure
// time every function here answers "not there".

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/gru/gru.h"
#include "tests/bench/peers/contest.h"

namespace serenade::bench::onednn {

/// Whether this build has it, and the version of the library that runs.
bool found();
std::string version();

enum class Pass {
  forward,  ///< with bias
  fused,    ///< with bias and ReLU, then max-pooling that keeps its indices
  input,    ///< gradient of the input
  weight    ///< gradient of the weights, without the bias
};

/// What tensors look like before and after.
enum class Layout {
  best,  ///< what oneDNN chooses ("any", blocked); nothing is reordered in the timed call
  plain  ///< NCHW in, NCHW out: reorders to and from its own layouts are in the timed call
};

/// A convolution; pool: window of the fused pass. Empty where oneDNN has no primitive for it.
std::optional<Contender> convolution(Pass pass, const Conv2dShape& shape, Layout layout,
                                     std::array<std::int64_t, 2> pool = {2, 2});
/// A depthwise one; there is no fused pass.
std::optional<Contender> convolution(Pass pass, const DepthwiseShape& shape, Layout layout);

/// A bidirectional GRU with the reset gate after the recurrent product (its lbr_gru), all weights
/// in its best layout; the backward pass gives all gradients.
std::optional<Contender> gru(bool backward, const GruSizes& sizes);

}  // namespace serenade::bench::onednn
