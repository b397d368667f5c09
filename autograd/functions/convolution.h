#pragma once
// Convolution, alone and with pooling. Conventions: autograd/functions.h.

#include <array>
#include <cstdint>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

struct Padding {
  std::int64_t top = 0, bottom = 0, left = 0, right = 0;
};

struct Conv2dOptions {
  std::array<std::int64_t, 2> stride = {1, 1};
  Padding padding = {};
};

/// Padding that keeps ceil(size / stride) outputs; the odd extra zero goes after (high side). At
/// stride 1: (k - 1) / 2 before, k / 2 after. `size`: height and width of the input.
Padding same_padding(std::array<std::int64_t, 2> kernel,
                     std::array<std::int64_t, 2> stride = {1, 1},
                     std::array<std::int64_t, 2> size = {0, 0});

/// Cross-correlation. x: [N, in, H, W], weight: [out, in, KH, KW], bias: [out] or undefined;
/// result [N, out, (H + top + bottom - KH) / stride + 1, ..].
/// unused_taps: bit r KW + s promises that weight[.., r, s] is 0 and that its gradient is
/// not read, so that a kernel may leave that tap out; see the function of that name below.
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {}, std::uint64_t unused_taps = 0);

/// max_pool2d(relu(conv2d(x, weight, bias, options)), window) in one pass: the map before pooling
/// is never stored, only a byte per pooled element. unused_taps: as for conv2d.
Variable conv2d_relu_maxpool(const Variable& x, const Variable& weight, const Variable& bias,
                             const Conv2dOptions& options, std::array<std::int64_t, 2> window,
                             std::uint64_t unused_taps = 0);

/// One of several convolutions of the same input: stride 1, 'same' padding. bias may be undefined.
struct ConvBranch {
  Variable weight;  ///< [out_i, in, KH_i, KW_i]
  Variable bias;    ///< [out_i]
};
/// concat of conv2d_relu_maxpool(x, branch, window) of every branch over channels. Large maps are
/// written straight into the result and their gradients are read from it: no copies.
Variable conv2d_relu_maxpool_branches(const Variable& x, const std::vector<ConvBranch>& branches,
                                      std::array<std::int64_t, 2> window);

}  // namespace serenade
