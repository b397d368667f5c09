#pragma once
// What the tests of the convolution on the device share: one convolution with its arrays, and the
// CPU's answers to it.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cuda/versions.h"
#include "tests/cuda/device_case.h"

namespace serenade::test {

struct ConvCase {
  Conv2dShape shape;
  std::int64_t pool_h = 0, pool_w = 0;  ///< 0: no pooling
  bool with_bias = true;

  bool pooled() const { return pool_h > 0; }
};

inline std::string text(const ConvCase& c) {
  const Conv2dShape& s = c.shape;
  const auto by = [](std::int64_t a, std::int64_t b) {
    return std::to_string(a) + " x " + std::to_string(b);
  };
  std::string text = std::to_string(s.N) + " of " + std::to_string(s.C) + " to " +
                     std::to_string(s.K) + " channels, image " + by(s.H, s.W) + ", kernel " +
                     by(s.R, s.S) + ", stride " + by(s.stride_h, s.stride_w);
  if (c.pooled()) text += ", pool " + by(c.pool_h, c.pool_w);
  return text;
}

/// Whether element i of a weight belongs to a tap that kernels may leave out.
inline bool is_unused(const Conv2dShape& s, std::size_t i) {
  return (s.unused_taps >> i % static_cast<std::size_t>(s.R * s.S) & 1) != 0;
}

/// The arrays of a case, and the CPU's results. Gradients begin at `before`, not at zero.
struct ConvNumbers {
  Values x, weight, bias, dy;
  std::vector<std::uint8_t> index;  // of the pooled forward
  Values y, dx_before, dx, dweight_before, dweight, dbias_before, dbias;

  explicit ConvNumbers(const ConvCase& c) {
    const Conv2dShape& s = c.shape;
    const std::int64_t outputs =
        s.N * s.K *
        (c.pooled() ? (s.out_h() / c.pool_h) * (s.out_w() / c.pool_w) : s.out_h() * s.out_w());
    x = random_values(s.N * s.C * s.H * s.W, 1);
    weight = random_values(s.K * s.C * s.R * s.S, 2);
    for (std::size_t i = 0; i < weight.size(); ++i) {
      if (is_unused(s, i)) weight[i] = 0;
    }
    bias = random_values(s.K, 3);
    dy = random_values(outputs, 4);
    y.resize(static_cast<std::size_t>(outputs));
    index.resize(c.pooled() ? y.size() : 0);
    dx = dx_before = random_values(static_cast<std::int64_t>(x.size()), 5);
    dweight = dweight_before = random_values(static_cast<std::int64_t>(weight.size()), 6);
    dbias = dbias_before = random_values(s.K, 7);
    const real* offset = c.with_bias ? bias.data() : nullptr;
    if (c.pooled()) {
      cpu::conv2d_relu_maxpool_forward(y.data(), index.data(), x.data(), weight.data(), offset, s,
                                       c.pool_h, c.pool_w);
      cpu::conv2d_relu_maxpool_backward_input(dx.data(), dy.data(), index.data(), weight.data(), s,
                                              c.pool_h, c.pool_w);
      cpu::conv2d_relu_maxpool_backward_weight(dweight.data(), dy.data(), index.data(), x.data(), s,
                                               c.pool_h, c.pool_w);
      cpu::conv2d_relu_maxpool_backward_bias(dbias.data(), dy.data(), index.data(), s, c.pool_h,
                                             c.pool_w);
    } else {
      cpu::conv2d_forward(y.data(), x.data(), weight.data(), offset, s);
      cpu::conv2d_backward_input(dx.data(), dy.data(), weight.data(), s);
      cpu::conv2d_backward_weight(dweight.data(), dy.data(), x.data(), s);
      cpu::conv2d_backward_bias(dbias.data(), dy.data(), s);
    }
  }
};

/// The steps under test. A step that is not there is not tested.
struct ConvSteps {
  void (*forward)(const cuda::ConvSink&, const real*, const real*, const real*,
                  const Conv2dShape&) = nullptr;
  void (*backward_input)(real*, const cuda::ConvSource&, const real*, const Conv2dShape&) = nullptr;
  void (*backward_weight)(real*, const cuda::ConvSource&, const real*,
                          const Conv2dShape&) = nullptr;
  double forward_tolerance = kForwardTolerance;
  double gradient_tolerance = kGradientTolerance;
};

/// Runs the steps on a case and checks them against the CPU.
void check_steps(const ConvCase& c, const ConvSteps& steps);

}  // namespace serenade::test
