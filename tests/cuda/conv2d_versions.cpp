// Every step of the convolution's ladder on the device against the CPU: whole tiles and ragged
// edges, channels that fill no block, and all kernel widths, which are kernels of their own.

#include <string>
#include <vector>

#include "tests/cuda/conv2d_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// Stride 1. Channels beyond one block, one pixel, two tiles with a ragged edge, paddings wider than
// the kernel, rows that are whole Vec4s and rows that are not.
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

// More tiles than strips of the weight gradient: each strip has several.
const ConvCase kManyTiles = {{.N = 300, .C = 1, .H = 2, .W = 2, .K = 2, .R = 2, .S = 1}};

void check_all(const ConvSteps& steps) {
  for (const ConvCase& c : kShapes) check_steps(c, steps);
  for (const ConvCase& c : kKernels) check_steps(c, steps);
}

}  // namespace

TEST_CASE("cuda conv2d: v1 gives what the CPU does") {
  const ConvSteps steps = {.forward = cuda::conv2d_forward_v1_shared_tile};
  for (const ConvCase& c : kShapes) check_steps(c, steps);
  check_steps({{.N = 2,
                .C = 2,
                .H = 21,
                .W = 90,
                .K = 2,
                .R = 9,
                .S = 3,
                .stride_h = 2,
                .stride_w = 3,
                .pad_top = 4,
                .pad_bottom = 2,
                .pad_left = 1}},
              steps);
}

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

TEST_CASE("cuda conv2d: taps that no candidate covers may be left out") {
  const auto taps = [](const std::vector<std::string>& rows) {  // x: unused
    std::uint64_t bits = 0;
    int tap = 0;
    for (const std::string& row : rows) {
      for (const char c : row) bits |= std::uint64_t{c == 'x'} << tap++;
    }
    return bits;
  };
  const std::vector<std::vector<std::string>> patterns = {
      {".....x", "......", "......", "......", "......", "x....x"},  // 5x5, 4x6, 6x4
      {".....x", ".....x", ".....x", ".....x", ".....x", "x....x"},
      {"xxxxxx", "......", "......", "......", "......", "......"},
      {"......", "......", "xxxxxx", "......", "......", "......"},
      {"x.xxxx", "x.x...", "x.x...", "xxx...", "xxx..x", "xxx.xx", "xxxxxx", "xxx.xx"},
      {"x...x", ".....", ".....", ".....", "x...x"}};
  for (const std::vector<std::string>& pattern : patterns) {
    CAPTURE(pattern[0]);
    const auto height = static_cast<std::int64_t>(pattern.size());
    const auto width = static_cast<std::int64_t>(pattern[0].size());
    const ConvCase c = {{.C = 2,
                         .H = 9,
                         .W = 12,
                         .K = 3,
                         .R = height,
                         .S = width,
                         .pad_top = 2,
                         .pad_bottom = 1,
                         .pad_left = 2,
                         .pad_right = 3,
                         .unused_taps = taps(pattern)}};
    check_steps(c, {.forward = cuda::conv2d_forward_v2_register_block,
                    .backward_input = cuda::conv2d_backward_input_v2_register_block,
                    .backward_weight = cuda::conv2d_backward_weight_v2_register_block});
#ifndef SERENADE_DOUBLE
    check_steps(c, {.forward = cuda::conv2d_forward_v3_tensor_core,
                    .backward_input = cuda::conv2d_backward_input_v3_tensor_core,
                    .backward_weight = cuda::conv2d_backward_weight_v3_tensor_core,
                    .forward_tolerance = 1e-3,
                    .gradient_tolerance = 5e-3});
#endif
  }
}

TEST_CASE("cuda conv2d: strips of several tiles") {
  check_steps(kManyTiles, {.backward_weight = cuda::conv2d_backward_weight_v2_register_block});
#ifndef SERENADE_DOUBLE
  check_steps(kManyTiles, {.backward_weight = cuda::conv2d_backward_weight_v3_tensor_core,
                           .gradient_tolerance = 5e-3});
#endif
}

TEST_CASE("cuda conv2d: the version in use") {
  using cuda::ConvPass, cuda::ConvVersion;
  const Conv2dShape hot{.C = 16, .H = 64, .W = 50, .K = 16, .R = 5, .S = 5};
  for (const ConvPass pass : {ConvPass::forward, ConvPass::forward_pooled, ConvPass::backward_input,
                              ConvPass::backward_weight}) {
    CHECK(cuda::conv2d_version(hot, pass, false, 2, 2) == ConvVersion::register_block);
    CHECK(cuda::conv2d_version(hot, pass, true, 2, 2) ==
          (sizeof(real) == 4 ? ConvVersion::tensor_core : ConvVersion::register_block));
  }
  const Conv2dShape first{.H = 64, .W = 50, .K = 8, .R = 2, .S = 8};
  CHECK(cuda::conv2d_version(first, ConvPass::forward_pooled, true, 2, 1) ==
        ConvVersion::register_block);
  CHECK(cuda::conv2d_version(first, ConvPass::forward_pooled, true, 33, 1) == ConvVersion::plain);
  Conv2dShape strided = hot;
  strided.stride_w = 2;
  CHECK(cuda::conv2d_version(strided, ConvPass::forward, true) == ConvVersion::shared_tile);
  CHECK(cuda::conv2d_version(strided, ConvPass::forward_pooled, true) == ConvVersion::plain);
  CHECK(cuda::conv2d_version(strided, ConvPass::backward_weight, true) == ConvVersion::plain);
  const Conv2dShape tall{.H = 600, .W = 600, .R = 500, .S = 500};
  CHECK(cuda::conv2d_version(tall, ConvPass::forward, true) == ConvVersion::plain);
}
