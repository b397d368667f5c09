#pragma once
// Depthwise convolution: every channel of x has kernels of its own, M of them (Chollet 2017; M = 1
// in MobileNets and in the cells of DARTS).
//
//   y[n, cM+m, i, j] = bias[cM+m] + sum_{r,s} weight[cM+m, r, s] x[n, c, h, w],
//   h = i*stride_h + r*dilation_h - pad_top,  w = j*stride_w + s*dilation_w - pad_left,
//
// with x = 0 outside the image: R S products for each output, where a full convolution has C R S.

#include <cstdint>

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/host_device.h"

namespace serenade {

/// All sizes, strides and dilations are at least 1, pads at least 0, and the padded image is at
/// least as large as the dilated kernel.
struct DepthwiseShape {
  std::int64_t N = 1;  ///< samples
  std::int64_t C = 1;  ///< channels of x
  std::int64_t H = 1;  ///< rows of x
  std::int64_t W = 1;  ///< columns of x
  std::int64_t M = 1;  ///< kernels per channel
  std::int64_t R = 1;  ///< kernel rows
  std::int64_t S = 1;  ///< kernel columns
  std::int64_t stride_h = 1;
  std::int64_t stride_w = 1;
  std::int64_t dilation_h = 1;
  std::int64_t dilation_w = 1;
  std::int64_t pad_top = 0;
  std::int64_t pad_bottom = 0;
  std::int64_t pad_left = 0;
  std::int64_t pad_right = 0;

  SERENADE_HOST_DEVICE std::int64_t padded_h() const { return H + pad_top + pad_bottom; }
  SERENADE_HOST_DEVICE std::int64_t padded_w() const { return W + pad_left + pad_right; }
  SERENADE_HOST_DEVICE std::int64_t out_h() const {
    return (padded_h() - (R - 1) * dilation_h - 1) / stride_h + 1;
  }
  SERENADE_HOST_DEVICE std::int64_t out_w() const {
    return (padded_w() - (S - 1) * dilation_w - 1) / stride_w + 1;
  }
};

/// y: [N, C M, out_h, out_w]; x: [N, C, H, W]; weight: [C M, R, S]; bias: [C M] or null.
DECLARE_KERNEL(void depthwise_conv2d_forward(real* y, const real* x, const real* weight,
                                             const real* bias, const DepthwiseShape& shape));

/// dx += the gradient of x. dx: [N, C, H, W]; dy: [N, C M, out_h, out_w].
DECLARE_KERNEL(void depthwise_conv2d_backward_input(real* dx, const real* dy, const real* weight,
                                                    const DepthwiseShape& shape));

/// dweight += the gradient of weight. dweight: [C M, R, S].
DECLARE_KERNEL(void depthwise_conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                                                     const DepthwiseShape& shape));

namespace cpu {

/// The definitions.
void depthwise_conv2d_forward_v0(real* y, const real* x, const real* weight, const real* bias,
                                 const DepthwiseShape& shape);
void depthwise_conv2d_backward_input_v0(real* dx, const real* dy, const real* weight,
                                        const DepthwiseShape& shape);
void depthwise_conv2d_backward_weight_v0(real* dweight, const real* dy, const real* x,
                                         const DepthwiseShape& shape);

}  // namespace cpu

}  // namespace serenade
