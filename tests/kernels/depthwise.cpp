// Depthwise convolution in use against the definition, for every instruction set and thread count.

#include "kernels/depthwise/depthwise.h"

#include <limits>
#include <vector>

#include "tests/golden.h"
#include "tests/kernels/isa.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

// Around one, two and four vectors of any width; strides that divide nothing; taps beyond the
// image; a kernel that reaches further than its padding, and padding further than the kernel.
const DepthwiseShape kShapes[] = {
    {},
    {.N = 2,
     .C = 3,
     .H = 8,
     .W = 8,
     .R = 3,
     .S = 3,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.N = 1,
     .C = 2,
     .H = 9,
     .W = 33,
     .M = 2,
     .R = 5,
     .S = 5,
     .pad_top = 2,
     .pad_bottom = 2,
     .pad_left = 2,
     .pad_right = 2},
    {.N = 3,
     .C = 4,
     .H = 11,
     .W = 17,
     .R = 3,
     .S = 3,
     .stride_h = 2,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.N = 2,
     .C = 2,
     .H = 20,
     .W = 70,
     .R = 5,
     .S = 5,
     .dilation_h = 2,
     .dilation_w = 2,
     .pad_top = 4,
     .pad_bottom = 4,
     .pad_left = 4,
     .pad_right = 4},
    {.N = 2,
     .C = 1,
     .H = 16,
     .W = 16,
     .M = 3,
     .R = 4,
     .S = 2,
     .stride_h = 3,
     .stride_w = 2,
     .dilation_h = 1,
     .dilation_w = 3,
     .pad_top = 0,
     .pad_bottom = 2,
     .pad_left = 5,
     .pad_right = 0},
    {.N = 1, .C = 3, .H = 1, .W = 130, .R = 1, .S = 7, .pad_left = 9, .pad_right = 1},
    {.N = 2, .C = 2, .H = 5, .W = 5, .R = 5, .S = 5},
    {.N = 1,
     .C = 2,
     .H = 2,
     .W = 3,
     .R = 2,
     .S = 2,
     .stride_h = 4,
     .stride_w = 5,
     .pad_top = 3,
     .pad_bottom = 3,
     .pad_left = 4,
     .pad_right = 4},
    // Enough work for several threads.
    {.N = 4,
     .C = 6,
     .H = 24,
     .W = 40,
     .R = 3,
     .S = 3,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1}};

Tensor output_of(const DepthwiseShape& s, std::uint64_t seed) {
  return random_tensor({s.N, s.C * s.M, s.out_h(), s.out_w()}, seed);
}

}  // namespace

TEST_CASE("depthwise: any instruction set gives the definition, any number of threads the same") {
  for (const DepthwiseShape& s : kShapes) {
    CAPTURE(s.W);
    CAPTURE(s.stride_w);
    const Tensor x = random_tensor({s.N, s.C, s.H, s.W}, 1),
                 w = random_tensor({s.C * s.M, s.R, s.S}, 2), bias = random_tensor({s.C * s.M}, 3),
                 dy = output_of(s, 4);
    Tensor y(dy.shape()), dx = random_tensor(x.shape(), 5), dw = random_tensor(w.shape(), 6);
    const Tensor dx_before = dx.clone(), dw_before = dw.clone();
    cpu::depthwise_conv2d_forward_v0(y.data(), x.data(), w.data(), bias.data(), s);
    cpu::depthwise_conv2d_backward_input_v0(dx.data(), dy.data(), w.data(), s);
    cpu::depthwise_conv2d_backward_weight_v0(dw.data(), dy.data(), x.data(), s);
    for_each_isa([&] {
      std::vector<std::vector<real>> first;
      for (const int threads : {1, 3}) {
        cpu::set_threads(threads);
        Tensor got(y.shape()), got_dx = dx_before.clone(), got_dw = dw_before.clone();
        cpu::depthwise_conv2d_forward(got.data(), x.data(), w.data(), bias.data(), s);
        cpu::depthwise_conv2d_backward_input(got_dx.data(), dy.data(), w.data(), s);
        cpu::depthwise_conv2d_backward_weight(got_dw.data(), dy.data(), x.data(), s);
        check_close(got, y, "result");
        check_close(got_dx, dx, "gradient of the input");
        check_close(got_dw, dw, "gradient of the weight");
        std::vector<std::vector<real>> all = {got.to_vector(), got_dx.to_vector(),
                                              got_dw.to_vector()};
        if (first.empty()) first = all;
        CHECK(all == first);
      }
    });
  }
}

TEST_CASE("depthwise: what is infinite reaches those that see it, and no others") {
  const DepthwiseShape s = {.N = 1,
                            .C = 2,
                            .H = 6,
                            .W = 21,
                            .R = 3,
                            .S = 3,
                            .pad_top = 1,
                            .pad_bottom = 1,
                            .pad_left = 1,
                            .pad_right = 1};
  const real infinity = std::numeric_limits<real>::infinity();
  Tensor x = Tensor::ones({1, 2, 6, 21}), w = Tensor::ones({2, 3, 3});
  x.data()[20] = infinity;  // end of the first row of channel 0
  for_each_isa([&] {
    Tensor y({1, 2, 6, 21}), dw({2, 3, 3});
    cpu::depthwise_conv2d_forward(y.data(), x.data(), w.data(), nullptr, s);
    for (std::int64_t i = 0; i < y.numel(); ++i) {
      const std::int64_t row = i / 21, column = i % 21;
      const bool sees = row <= 1 && column >= 19;
      CHECK((y.data()[i] == infinity) == sees);
      CHECK((y.data()[i] - y.data()[i] == 0) != sees);
    }
    // Taps under which no output sees it keep their sums, though it lies beside what they read.
    const Tensor dy = Tensor::ones({1, 2, 6, 21});
    Tensor expected({2, 3, 3});
    cpu::depthwise_conv2d_backward_weight_v0(expected.data(), dy.data(), x.data(), s);
    cpu::depthwise_conv2d_backward_weight(dw.data(), dy.data(), x.data(), s);
    int finite = 0;
    for (std::int64_t i = 0; i < dw.numel(); ++i) {
      CHECK(dw.data()[i] == expected.data()[i]);
      finite += dw.data()[i] < infinity;
    }
    CHECK(finite == 9 + 5);
  });
}
