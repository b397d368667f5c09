#pragma once
// Two-dimensional convolution (cross-correlation, as in every deep learning library):
//
//   y[n,k,i,j] = bias[k] + sum_{c,r,s} weight[k,c,r,s] x[n,c, i*stride_h + r - pad_top,
//                                                             j*stride_w + s - pad_left]
//
// with x = 0 outside the image, and the same followed by ReLU and max-pooling in one pass.
// The steps of the ladders are declared in kernels/conv2d/cpu/versions.h and cuda/versions.h.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// Sizes of one convolution. All sizes and strides are at least 1, pads at least 0, and the padded
/// image is at least as large as the kernel.
struct Conv2dShape {
  std::int64_t N = 1;  ///< samples
  std::int64_t C = 1;  ///< input channels
  std::int64_t H = 1;  ///< input rows
  std::int64_t W = 1;  ///< input columns
  std::int64_t K = 1;  ///< output channels
  std::int64_t R = 1;  ///< kernel rows
  std::int64_t S = 1;  ///< kernel columns
  std::int64_t stride_h = 1;
  std::int64_t stride_w = 1;
  std::int64_t pad_top = 0;
  std::int64_t pad_bottom = 0;
  std::int64_t pad_left = 0;
  std::int64_t pad_right = 0;
  /// Bit r S + s: weight[.., r, s] is 0 and its gradient is not read, so a kernel may leave the
  /// products and the gradient of that tap out, or not. For R S <= 64.
  std::uint64_t unused_taps = 0;

  std::int64_t out_h() const { return (H + pad_top + pad_bottom - R) / stride_h + 1; }
  std::int64_t out_w() const { return (W + pad_left + pad_right - S) / stride_w + 1; }
};

/// The index that conv2d_relu_maxpool_forward writes where no element of a window is positive.
inline constexpr std::uint8_t kKilledByRelu = 255;

/// y: [N, K, out_h, out_w]; x: [N, C, H, W]; weight: [K, C, R, S]; bias: [K] or null.
DECLARE_KERNEL(void conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                                   const Conv2dShape& shape));

/// dx += the transposed convolution of dy with weight. dx: [N, C, H, W]; dy: [N, K, out_h, out_w].
DECLARE_KERNEL(void conv2d_backward_input(real* dx, const real* dy, const real* weight,
                                          const Conv2dShape& shape));

/// dweight[k,c,r,s] += sum over samples and pixels of dy times the x it was computed from. dweight:
/// [K, C, R, S].
DECLARE_KERNEL(void conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                                           const Conv2dShape& shape));

/// dbias[k] += sum of dy[:, k]. dbias: [K].
DECLARE_KERNEL(void conv2d_backward_bias(real* dbias, const real* dy, const Conv2dShape& shape));

/// y = maxpool(relu(conv(x))) with windows of pool_h x pool_w that do not overlap; rows and columns
/// that fill no whole window are dropped. y: [N, K, out_h / pool_h, out_w / pool_w]; index: the
/// same shape, the position (row-major, the first on ties) of the maximum in its window, or
/// kKilledByRelu. pool_h * pool_w <= 255. The map before pooling is never stored as a whole.
DECLARE_KERNEL(void conv2d_relu_maxpool_forward(real* y, std::uint8_t* index, const real* x,
                                                const real* weight, const real* bias,
                                                const Conv2dShape& shape, std::int64_t pool_h,
                                                std::int64_t pool_w));

/// The backward kernels of the fused forward: dy is the gradient of the pooled map, index what the
/// forward wrote; both [N, K, out_h / pool_h, out_w / pool_w]. All of them add.
DECLARE_KERNEL(void conv2d_relu_maxpool_backward_input(real* dx, const real* dy,
                                                       const std::uint8_t* index,
                                                       const real* weight, const Conv2dShape& shape,
                                                       std::int64_t pool_h, std::int64_t pool_w));
DECLARE_KERNEL(void conv2d_relu_maxpool_backward_weight(real* dweight, const real* dy,
                                                        const std::uint8_t* index, const real* x,
                                                        const Conv2dShape& shape,
                                                        std::int64_t pool_h, std::int64_t pool_w));
DECLARE_KERNEL(void conv2d_relu_maxpool_backward_bias(real* dbias, const real* dy,
                                                      const std::uint8_t* index,
                                                      const Conv2dShape& shape, std::int64_t pool_h,
                                                      std::int64_t pool_w));

/// One of several convolutions of the same x, whose pooled results lie side by side in one map of
/// `channels` channels: [N, channels, out_h / pool_h, out_w / pool_w]. Their N, C, H, W, out_h and
/// out_w are the same.
struct Conv2dBranch {
  Conv2dShape shape;
  std::int64_t first_channel = 0;  ///< of its shape.K channels in the map
  const real* weight = nullptr;    ///< [K, C, R, S]
  const real* bias = nullptr;      ///< [K], or null; the backward needs none
  real* dweight = nullptr;         ///< [K, C, R, S], of the backward: null: not wanted
  real* dbias = nullptr;           ///< [K], the same
};

/// conv2d_relu_maxpool_forward for `count` branches. y, index: the joined map; x: [N, C, H, W].
DECLARE_KERNEL(void conv2d_relu_maxpool_branches_forward(
    real* y, std::uint8_t* index, const real* x, const Conv2dBranch* branches, std::int64_t count,
    std::int64_t channels, std::int64_t pool_h, std::int64_t pool_w));

/// Adds to dx [N, C, H, W], or null, and to dweight and dbias of every branch that has them. dy,
/// index: the joined map.
DECLARE_KERNEL(void conv2d_relu_maxpool_branches_backward(
    real* dx, const Conv2dBranch* branches, std::int64_t count, const real* dy,
    const std::uint8_t* index, const real* x, std::int64_t channels, std::int64_t pool_h,
    std::int64_t pool_w));

}  // namespace serenade
