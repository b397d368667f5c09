// Every step of the convolution's ladder on the device against the CPU: whole tiles and ragged
// edges, channels that fill no block, and all kernel widths, which are kernels of their own.

#include "tests/cuda/conv2d_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// Stride 1. Channels beyond one block, one pixel, two tiles with a ragged edge, paddings wider than
// the kernel, rows that are whole Quads and rows that are not.
const ConvCase kShapes[] = {
    {{}},
    {{.N = 2,
      .C = 3,
      .H = 33,
      .W = 34,
      .K = 5,
      .R = 3,
      .S = 3,
      .pad_top = 1,
      .pad_bottom = 1,
      .pad_left = 1,
      .pad_right = 1}},
    {{.C = 17,
      .H = 6,
      .W = 36,
      .K = 18,
      .R = 2,
      .S = 4,
      .pad_top = 3,
      .pad_left = 5,
      .pad_right = 2}},
    {{.C = 9,
      .H = 20,
      .W = 8,
      .K = 16,
      .R = 5,
      .S = 5,
      .pad_top = 2,
      .pad_bottom = 2,
      .pad_left = 2,
      .pad_right = 2},
     0,
     0,
     false},
};

// Kernel heights and widths.
const ConvCase kKernels[] = {
    {{.C = 2, .H = 9, .W = 12, .K = 3, .R = 8, .S = 1}},
    {{.C = 2, .H = 9, .W = 12, .K = 3, .R = 7, .S = 2}},
    {{.C = 2, .H = 9, .W = 12, .K = 3, .R = 6, .S = 6}},
    {{.C = 2, .H = 9, .W = 12, .K = 3, .R = 4, .S = 7}},
    {{.C = 2, .H = 9, .W = 12, .K = 3, .R = 1, .S = 8, .pad_left = 3, .pad_right = 4}},
};

void check_all(const ConvSteps& steps) {
  for (const ConvCase& c : kShapes) check_steps(c, steps);
  for (const ConvCase& c : kKernels) check_steps(c, steps);
}

}  // namespace

TEST_CASE("cuda conv2d: v2 gives what the CPU does") {
  check_all({.forward = cuda::conv2d_forward_v2_register_block,
             .backward_input = cuda::conv2d_backward_input_v2_register_block,
             .backward_weight = cuda::conv2d_backward_weight_v2_register_block});
}

#ifndef SERENADE_DOUBLE

TEST_CASE("cuda conv2d: v3 gives what the CPU does, but for the rounding of its factors") {
  check_all({.forward = cuda::conv2d_forward_v3_tensor_core,
             .backward_input = cuda::conv2d_backward_input_v3_tensor_core,
             .backward_weight = cuda::conv2d_backward_weight_v3_tensor_core,
             .forward_tolerance = 1e-3,
             .gradient_tolerance = 5e-3});
}

#endif
