// The convolution fused with ReLU and max-pooling on the device against the CPU: every step,
// windows that divide a tile and windows that do not, rows and columns that fill no window, and the
// shapes of the first layers.

#include "tests/cuda/conv2d_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

const ConvCase kCases[] = {
    {{.C = 1,
      .H = 35,
      .W = 17,
      .K = 8,
      .R = 2,
      .S = 8,
      .pad_bottom = 1,
      .pad_left = 3,
      .pad_right = 4},
     2,
     1},
    {{.C = 1,
      .H = 9,
      .W = 35,
      .K = 8,
      .R = 8,
      .S = 2,
      .pad_top = 3,
      .pad_bottom = 4,
      .pad_right = 1},
     2,
     2},
    {{.C = 3, .H = 33, .W = 11, .K = 17, .R = 3, .S = 3, .pad_top = 1, .pad_bottom = 1},
     3,
     5,
     false},
    {{.N = 2,
      .C = 9,
      .H = 10,
      .W = 8,
      .K = 16,
      .R = 5,
      .S = 5,
      .pad_top = 2,
      .pad_bottom = 2,
      .pad_left = 2,
      .pad_right = 2},
     2,
     2},
};

}  // namespace

TEST_CASE("cuda conv2d: v2 pools and unpools as the CPU does") {
  for (const ConvCase& c : kCases) {
    check_steps(c, {.forward = cuda::conv2d_forward_v2_register_block,
                    .backward_input = cuda::conv2d_backward_input_v2_register_block,
                    .backward_weight = cuda::conv2d_backward_weight_v2_register_block});
  }
}

#ifndef SERENADE_DOUBLE

TEST_CASE("cuda conv2d: v3 pools and unpools as the CPU does") {
  for (const ConvCase& c : kCases) {
    check_steps(c, {.forward = cuda::conv2d_forward_v3_tensor_core,
                    .backward_input = cuda::conv2d_backward_input_v3_tensor_core,
                    .backward_weight = cuda::conv2d_backward_weight_v3_tensor_core,
                    .forward_tolerance = 1e-3,
                    .gradient_tolerance = 5e-3});
  }
}

#endif
