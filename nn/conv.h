#pragma once
// Convolution and pooling layers for images [N, C, H, W] (speech: H = frequency bin, W = frame).

#include <array>
#include <optional>

#include "nn/layer.h"

namespace serenade {

/// Cross-correlation y = x * W + b. x: [N, in_channels, H, W]; result [N, out_channels, H', W']
/// with H' = ceil(H / stride) for 'same' padding, (H + top + bottom - KH) / stride + 1 for
/// explicit; a dilated kernel reaches over dilation (KH - 1) + 1 rows. Parameters: weight
/// [out_channels, in_channels / groups, KH, KW], Xavier uniform; bias [out_channels], zeros.
class Conv2d : public Layer {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t out_channels = 0;
    std::array<std::int64_t, 2> kernel_size = {0, 0};
    std::array<std::int64_t, 2> stride = {1, 1};
    std::optional<Padding> padding = {};  ///< not given: 'same', the odd zero on the high side
    bool bias = true;
    std::array<std::int64_t, 2> dilation = {1, 1};
    std::int64_t groups = 1;  ///< in_channels: depthwise
  };

  explicit Conv2d(const Options& options);
  Variable forward(const Variable& x) override;
  /// None with groups or dilation: what fuses and merges does not know them.
  std::optional<LinearForm> linear_form() override;

  const Options options;
  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

/// The same of sequences. x: [N, in_channels, T]; result [N, out_channels, T']. Parameters: weight
/// [out_channels, in_channels / groups, K], bias [out_channels].
class Conv1d : public Layer {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t out_channels = 0;
    std::int64_t kernel_size = 0;
    std::int64_t stride = 1;
    std::array<std::int64_t, 2> padding = {0, 0};  ///< before and after
    std::int64_t dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
  };

  explicit Conv1d(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

/// The transposed convolution: each element of x adds the kernel, times itself, to the result.
/// x: [N, in_channels, H, W]. Parameters: weight [in_channels, out_channels / groups, KH, KW], bias
/// [out_channels].
class ConvTranspose2d : public Layer {
 public:
  struct Options {
    std::int64_t in_channels = 0;
    std::int64_t out_channels = 0;
    std::array<std::int64_t, 2> kernel_size = {0, 0};
    std::array<std::int64_t, 2> stride = {1, 1};
    Padding padding = {};
    std::array<std::int64_t, 2> output_padding = {0, 0};
    std::array<std::int64_t, 2> dilation = {1, 1};
    std::int64_t groups = 1;
    bool bias = true;
  };

  explicit ConvTranspose2d(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
  Parameter weight;
  Parameter bias;  ///< undefined without bias
};

/// Largest value of each window; without a stride, windows lie beside each other. Incomplete ones
/// are dropped. x: [N, C, H, W]; result [N, C, H / window[0], W / window[1]] by default; else see
/// autograd/functions/pooling.h.
class MaxPool2d : public Layer {
 public:
  struct Options {
    std::array<std::int64_t, 2> window = {2, 2};
    std::array<std::int64_t, 2> stride = {0, 0};  ///< {0, 0}: that of the window
    std::array<std::int64_t, 2> padding = {0, 0};
    std::array<std::int64_t, 2> dilation = {1, 1};
  };

  explicit MaxPool2d(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
};

/// Mean of each window.
class AvgPool2d : public Layer {
 public:
  struct Options {
    std::array<std::int64_t, 2> window = {2, 2};
    std::array<std::int64_t, 2> stride = {0, 0};  ///< {0, 0}: that of the window
    std::array<std::int64_t, 2> padding = {0, 0};
    bool count_include_pad = true;
  };

  explicit AvgPool2d(const Options& options);
  Variable forward(const Variable& x) override;

  const Options options;
};

/// Mean, largest value of windows that make the result `size`: {1, 1} is over the whole map.
class AdaptiveAvgPool2d : public Layer {
 public:
  explicit AdaptiveAvgPool2d(std::array<std::int64_t, 2> chosen) : size(chosen) {}
  Variable forward(const Variable& x) override { return adaptive_avg_pool2d(x, size); }

  const std::array<std::int64_t, 2> size;
};
class AdaptiveMaxPool2d : public Layer {
 public:
  explicit AdaptiveMaxPool2d(std::array<std::int64_t, 2> chosen) : size(chosen) {}
  Variable forward(const Variable& x) override { return adaptive_max_pool2d(x, size); }

  const std::array<std::int64_t, 2> size;
};

}  // namespace serenade
