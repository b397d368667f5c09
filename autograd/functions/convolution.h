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
  std::array<std::int64_t, 2> dilation = {1, 1};  ///< steps from one tap to the next
  std::int64_t groups = 1;  ///< each of as many parts of the channels sees its own inputs only
};

/// Padding that keeps ceil(size / stride) outputs; the odd extra zero goes after (high side). At
/// stride 1: (k - 1) / 2 before, k / 2 after. `size`: height and width of the input.
Padding same_padding(std::array<std::int64_t, 2> kernel,
                     std::array<std::int64_t, 2> stride = {1, 1},
                     std::array<std::int64_t, 2> size = {0, 0});

/// Cross-correlation. x: [N, in, H, W], weight: [out, in / groups, KH, KW], bias: [out] or
/// undefined; result [N, out, (H + top + bottom - reach) / stride + 1, ..], where a kernel reaches
/// over dilation (KH - 1) + 1 rows. Groups are convolved one after the other.
/// unused_taps: bit r KW + s promises that weight[.., r, s] is 0 and that its gradient is
/// not read, so that a kernel may leave that tap out; see the function of that name below.
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {}, std::uint64_t unused_taps = 0);

struct Conv1dOptions {
  std::int64_t stride = 1;
  std::array<std::int64_t, 2> padding = {0, 0};  ///< before and after
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
};
/// The same of sequences. x: [N, in, T], weight: [out, in / groups, K], bias: [out] or undefined;
/// result [N, out, T'].
Variable conv1d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv1dOptions& options = {});

struct ConvTranspose2dOptions {
  std::array<std::int64_t, 2> stride = {1, 1};
  Padding padding = {};                                 ///< cut off the result
  std::array<std::int64_t, 2> output_padding = {0, 0};  ///< more rows and columns at the end
  std::array<std::int64_t, 2> dilation = {1, 1};
  std::int64_t groups = 1;
};
/// What conv2d with these options does to the gradient of its input: each element of x adds the
/// kernel, times itself, to the result. x: [N, in, H, W], weight: [in, out / groups, KH, KW], bias:
/// [out] or undefined; result [N, out, (H - 1) stride - top - bottom + reach + output_padding, ..].
Variable conv_transpose2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                          const ConvTranspose2dOptions& options = {});

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
