// Depthwise convolution on the device against the definition.

#include "kernels/depthwise/depthwise.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

TEST_CASE("cuda depthwise: forward and both gradients") {
  // One element; several kernels per channel, strides, dilation and uneven padding; more outputs
  // than a block has threads.
  const DepthwiseShape shapes[] = {{},
                                   {.N = 2,
                                    .C = 3,
                                    .H = 7,
                                    .W = 9,
                                    .M = 2,
                                    .R = 3,
                                    .S = 2,
                                    .stride_h = 2,
                                    .stride_w = 3,
                                    .dilation_h = 2,
                                    .dilation_w = 1,
                                    .pad_top = 1,
                                    .pad_bottom = 2,
                                    .pad_left = 3,
                                    .pad_right = 0},
                                   {.N = 3,
                                    .C = 2,
                                    .H = 8,
                                    .W = 8,
                                    .R = 5,
                                    .S = 5,
                                    .pad_top = 2,
                                    .pad_bottom = 2,
                                    .pad_left = 2,
                                    .pad_right = 2}};
  for (const DepthwiseShape& s : shapes) {
    CAPTURE(s.W);
    const std::int64_t inputs = s.N * s.C * s.H * s.W, taps = s.C * s.M * s.R * s.S;
    const std::int64_t outputs = s.N * s.C * s.M * s.out_h() * s.out_w();
    const Values x = random_values(inputs, 1), w = random_values(taps, 2),
                 bias = random_values(s.C * s.M, 3), dy = random_values(outputs, 4),
                 dx_before = random_values(inputs, 5), dw_before = random_values(taps, 6);
    const DeviceValues on_x(x), on_w(w), on_bias(bias), on_dy(dy);
    for (const bool biased : {true, false}) {
      Values y(dy.size());
      cpu::depthwise_conv2d_forward_v0(y.data(), x.data(), w.data(), biased ? bias.data() : nullptr,
                                       s);
      const Values got = run_repeatedly([&] {
        const DeviceValues result(dy.size());
        cuda::depthwise_conv2d_forward(result.data(), on_x.data(), on_w.data(),
                                       biased ? on_bias.data() : nullptr, s);
        return result.values();
      });
      CHECK(relative_error(got, y) < kForwardTolerance);
    }
    Values dx = dx_before, dw = dw_before;
    cpu::depthwise_conv2d_backward_input_v0(dx.data(), dy.data(), w.data(), s);
    cpu::depthwise_conv2d_backward_weight_v0(dw.data(), dy.data(), x.data(), s);
    const Values got_dx = run_repeatedly([&] {
      const DeviceValues result(dx_before);
      cuda::depthwise_conv2d_backward_input(result.data(), on_dy.data(), on_w.data(), s);
      return result.values();
    });
    CHECK(relative_error(got_dx, dx) < kGradientTolerance);
    const Values got_dw = run_repeatedly([&] {
      const DeviceValues result(dw_before);
      cuda::depthwise_conv2d_backward_weight(result.data(), on_dy.data(), on_x.data(), s);
      return result.values();
    });
    CHECK(relative_error(got_dw, dw) < kGradientTolerance);
  }
}
