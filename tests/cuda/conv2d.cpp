// The convolution on the device against the CPU's: the plain version on all kinds of shapes, and
// the functions that the layers above call.

#include "kernels/conv2d/conv2d.h"

#include <cmath>
#include <limits>

#include "kernels/runtime/cuda_device.h"
#include "tests/cuda/conv2d_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

const ConvCase kCases[] = {
    {{}},
    {{.N = 2, .C = 3, .H = 7, .W = 9, .K = 2, .R = 3, .S = 2, .pad_top = 1, .pad_left = 1}},
    {{.C = 2,
      .H = 9,
      .W = 8,
      .K = 3,
      .R = 3,
      .S = 3,
      .stride_h = 2,
      .stride_w = 3,
      .pad_top = 1,
      .pad_bottom = 2,
      .pad_right = 1},
     0,
     0,
     false},
    {{.C = 1,
      .H = 4,
      .W = 5,
      .K = 2,
      .R = 2,
      .S = 1,
      .pad_top = 3,
      .pad_bottom = 3,
      .pad_left = 2,
      .pad_right = 1}},
    {{.N = 2, .C = 1, .H = 11, .W = 10, .K = 3, .R = 2, .S = 3, .pad_right = 2}, 2, 1},
    {{.C = 2, .H = 9, .W = 11, .K = 2, .R = 3, .S = 3, .stride_w = 2, .pad_top = 1}, 2, 3, false},
    {{.N = 2, .C = 2, .H = 70, .W = 65, .K = 1, .R = 1, .S = 1}},  // several chunks of pixels
    {{.C = 1, .H = 91, .W = 92, .K = 1, .R = 1, .S = 2}},          // and pieces of a plane
};

const ConvSteps kPlain = {.forward = cuda::conv2d_forward_v0_plain,
                          .backward_input = cuda::conv2d_backward_input_v0_plain,
                          .backward_weight = cuda::conv2d_backward_weight_v0_plain};

// The public functions as steps.
const ConvSteps kPublic = {
    .forward =
        [](const cuda::ConvSink& y, const real* x, const real* weight, const real* bias,
           const Conv2dShape& s) {
          if (y.index == nullptr) return cuda::conv2d_forward(y.data, x, weight, bias, s);
          cuda::conv2d_relu_maxpool_forward(y.data, y.index, x, weight, bias, s, y.pool_h,
                                            y.pool_w);
        },
    .backward_input =
        [](real* dx, const cuda::ConvSource& dy, const real* weight, const Conv2dShape& s) {
          if (dy.index == nullptr) return cuda::conv2d_backward_input(dx, dy.data, weight, s);
          cuda::conv2d_relu_maxpool_backward_input(dx, dy.data, dy.index, weight, s, dy.pool_h,
                                                   dy.pool_w);
        },
    .backward_weight =
        [](real* dweight, const cuda::ConvSource& dy, const real* x, const Conv2dShape& s) {
          if (dy.index == nullptr) return cuda::conv2d_backward_weight(dweight, dy.data, x, s);
          cuda::conv2d_relu_maxpool_backward_weight(dweight, dy.data, dy.index, x, s, dy.pool_h,
                                                    dy.pool_w);
        }};

}  // namespace

TEST_CASE("cuda conv2d: v0 gives what the CPU does") {
  for (const ConvCase& c : kCases) check_steps(c, kPlain);
}

TEST_CASE("cuda conv2d: what the layers call gives what the CPU does") {
  for (const ConvCase& c : kCases) check_steps(c, kPublic);
}

TEST_CASE("cuda conv2d: what the layers call rounds to TF32 where that is allowed") {
  cuda::set_float32_math(Float32Math::tf32);
  ConvSteps steps = kPublic;
  steps.forward_tolerance = 1e-3;
  steps.gradient_tolerance = 5e-3;
  check_steps({{.C = 8, .H = 6, .W = 9, .K = 9, .R = 3, .S = 2, .pad_top = 1}}, steps);
  check_steps({{.C = 8, .H = 6, .W = 9, .K = 9, .R = 2, .S = 3, .pad_left = 2}, 2, 1}, steps);
  cuda::set_float32_math(Float32Math::exact);
}

TEST_CASE("cuda conv2d: the gradient of the bias") {
  for (const ConvCase& c : kCases) {
    CAPTURE(text(c));
    const ConvNumbers n(c);
    const DeviceValues dy(n.dy);
    const DeviceVector<std::uint8_t> index(n.index);
    const Values dbias = run_repeatedly([&] {
      DeviceValues to(n.dbias_before);
      if (c.pooled()) {
        cuda::conv2d_relu_maxpool_backward_bias(to.data(), dy.data(), index.data(), c.shape,
                                                c.pool_h, c.pool_w);
      } else {
        cuda::conv2d_backward_bias(to.data(), dy.data(), c.shape);
      }
      return to.values();
    });
    CHECK(relative_error(dbias, n.dbias) < kGradientTolerance);
  }
}

TEST_CASE("cuda conv2d: a NaN reaches the windows that see it and no others") {
  const Conv2dShape s{.H = 8,
                      .W = 8,
                      .K = 1,
                      .R = 3,
                      .S = 3,
                      .pad_top = 1,
                      .pad_bottom = 1,
                      .pad_left = 1,
                      .pad_right = 1};
  Values x(64, real(1));
  x[3 * 8 + 4] = std::numeric_limits<real>::quiet_NaN();
  const DeviceValues image(x), weight(Values(9, real(1)));
  DeviceValues y(16);
  DeviceVector<std::uint8_t> index(16);
  cuda::conv2d_relu_maxpool_forward(y.data(), index.data(), image.data(), weight.data(), nullptr, s,
                                    2, 2);
  const Values pooled = y.values();
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      // Outputs 2..4 x 3..5 see it.
      const bool sees = (i == 1 || i == 2) && (j == 1 || j == 2);
      CHECK(std::isnan(pooled[i * 4 + j]) == sees);
    }
  }
}
