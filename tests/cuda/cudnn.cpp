// cuDNN's convolutions and GRU against ours on the CPU, where cuDNN is there. Elsewhere: that it
// says so.

#include "kernels/conv2d/cuda/cudnn.h"

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "tests/cuda/device_case.h"
#include "tests/yardsticks/cudnn_gru.h"

using namespace serenade;
using namespace serenade::test;

namespace {

/// Pads alike and not alike, strides, one channel.
const Conv2dShape kShapes[] = {
    {.N = 2,
     .C = 3,
     .H = 9,
     .W = 11,
     .K = 4,
     .R = 3,
     .S = 3,
     .pad_top = 1,
     .pad_bottom = 1,
     .pad_left = 1,
     .pad_right = 1},
    {.N = 2,
     .C = 1,
     .H = 10,
     .W = 12,
     .K = 8,
     .R = 2,
     .S = 8,
     .pad_bottom = 1,
     .pad_left = 3,
     .pad_right = 4},
    {.N = 3,
     .C = 16,
     .H = 6,
     .W = 10,
     .K = 64,
     .R = 5,
     .S = 5,
     .stride_h = 4,
     .stride_w = 2,
     .pad_top = 1,
     .pad_bottom = 2,
     .pad_left = 1,
     .pad_right = 2},
};

void check_convolution(const Conv2dShape& p) {
  const Values x = random_values(p.N * p.C * p.H * p.W, 1);
  const Values weight = random_values(p.K * p.C * p.R * p.S, 2);
  const Values bias = random_values(p.K, 3);
  const Values dy = random_values(p.N * p.K * p.out_h() * p.out_w(), 4);
  Values y(dy.size()), dx(x.size(), 1), dweight(weight.size(), 1);
  cpu::conv2d_forward(y.data(), x.data(), weight.data(), bias.data(), p);
  cpu::conv2d_backward_input(dx.data(), dy.data(), weight.data(), p);
  cpu::conv2d_backward_weight(dweight.data(), dy.data(), x.data(), p);

  const DeviceValues x_on(x), weight_on(weight), bias_on(bias), dy_on(dy), y_on(y.size());
  const auto gradients_begin_at_1 = [](std::size_t count) { return Values(count, 1); };
  CHECK(relative_error(run_repeatedly([&] {
                         cuda::conv2d_forward_cudnn(y_on.data(), x_on.data(), weight_on.data(),
                                                    bias_on.data(), p);
                         return y_on.values();
                       }),
                       y) < kForwardTolerance);
  CHECK(relative_error(run_repeatedly([&] {
                         const DeviceValues dx_on(gradients_begin_at_1(dx.size()));
                         cuda::conv2d_backward_input_cudnn(dx_on.data(), dy_on.data(),
                                                           weight_on.data(), p);
                         return dx_on.values();
                       }),
                       dx) < kGradientTolerance);
  CHECK(relative_error(run_repeatedly([&] {
                         const DeviceValues dweight_on(gradients_begin_at_1(dweight.size()));
                         cuda::conv2d_backward_weight_cudnn(dweight_on.data(), dy_on.data(),
                                                            x_on.data(), p);
                         return dweight_on.values();
                       }),
                       dweight) < kGradientTolerance);
}

void check_gru(const GruSizes& p, const std::int64_t* lengths) {
  const std::int64_t H = p.hidden, K = p.directions;
  const Values x = random_values(p.batch * p.steps * p.inputs, 5);
  const Values h0 = random_values(K * p.batch * H, 6);
  std::vector<Values> weights;  // four per direction
  for (std::int64_t k = 0; k < K; ++k) {
    for (const std::int64_t count : {3 * H * p.inputs, 3 * H * H, 3 * H, 3 * H}) {
      weights.push_back(random_values(count, 7 + weights.size()));
      for (real& w : weights.back()) w *= real(0.3);
    }
  }
  std::vector<GruParameters> on_host, on_device;
  std::vector<std::unique_ptr<DeviceValues>> copies;
  for (const Values& w : weights) copies.push_back(std::make_unique<DeviceValues>(w));
  for (std::size_t k = 0; k < static_cast<std::size_t>(4 * K); k += 4) {
    on_host.push_back(
        {weights[k].data(), weights[k + 1].data(), weights[k + 2].data(), weights[k + 3].data()});
    on_device.push_back(
        {copies[k]->data(), copies[k + 1]->data(), copies[k + 2]->data(), copies[k + 3]->data()});
  }
  Values y(static_cast<std::size_t>(p.batch * p.steps * K * H));
  Values saved(y.size() * 4);
  cpu::gru_forward(y.data(), saved.data(), x.data(), h0.data(), on_host.data(), lengths, p);

  const Values dy = random_values(static_cast<std::int64_t>(y.size()), 8);
  Values dx(x.size(), 0), expected;
  std::vector<Values> dweights;
  for (const Values& w : weights) dweights.emplace_back(w.size(), 1);
  std::vector<GruParameterGradients> gradients;
  for (std::size_t k = 0; k < dweights.size(); k += 4) {
    gradients.push_back({dweights[k].data(), dweights[k + 1].data(), dweights[k + 2].data(),
                         dweights[k + 3].data()});
  }
  cpu::gru_backward(dx.data(), nullptr, gradients.data(), dy.data(), y.data(), saved.data(),
                    x.data(), h0.data(), on_host.data(), lengths, p);
  for (const Values& d : dweights) expected.insert(expected.end(), d.begin(), d.end());

  const DeviceValues x_on(x), h0_on(h0), dy_on(dy), y_on(y.size()), dx_on(x.size());
  CHECK(relative_error(run_repeatedly([&] {
                         cuda::CudnnGru gru(on_device.data(), lengths, p);
                         gru.forward(y_on.data(), x_on.data(), h0_on.data());
                         return y_on.values();
                       }),
                       y) < kForwardTolerance);
  const Values actual = run_repeatedly([&] {
    std::vector<std::unique_ptr<DeviceValues>> sums;
    std::vector<GruParameterGradients> to;
    for (const Values& w : weights) {
      sums.push_back(std::make_unique<DeviceValues>(Values(w.size(), 1)));
    }
    for (std::size_t k = 0; k < sums.size(); k += 4) {
      to.push_back(
          {sums[k]->data(), sums[k + 1]->data(), sums[k + 2]->data(), sums[k + 3]->data()});
    }
    cuda::CudnnGru gru(on_device.data(), lengths, p);
    gru.forward(y_on.data(), x_on.data(), h0_on.data());
    gru.backward(dx_on.data(), dy_on.data());
    gru.add_gradients(to.data());
    Values all;
    for (const auto& sum : sums) {
      const Values values = sum->values();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  });
  CHECK(relative_error(actual, expected) < kGradientTolerance);
  Values actual_dx = dx_on.values();  // whatever cuDNN leaves beyond a sequence's end
  for (std::int64_t row = 0; lengths != nullptr && row < p.batch * p.steps; ++row) {
    if (row % p.steps < lengths[row / p.steps]) continue;
    std::fill_n(actual_dx.begin() + row * p.inputs, p.inputs, real(0));
  }
  CHECK(relative_error(actual_dx, dx) < kGradientTolerance);
}

}  // namespace

TEST_CASE("cuda cudnn: convolutions agree with ours on the CPU") {
  if (!cuda::cudnn_available(nullptr)) return;
  for (const Conv2dShape& p : kShapes) check_convolution(p);
}

TEST_CASE("cuda cudnn: the GRU agrees with ours on the CPU") {
  if (!cuda::cudnn_available(nullptr)) return;
  const std::int64_t lengths[] = {3, 5, 1};
  check_gru({.batch = 3, .steps = 5, .inputs = 4, .hidden = 8}, nullptr);
  check_gru({.batch = 3, .steps = 5, .inputs = 4, .hidden = 8, .directions = 2}, lengths);
}

TEST_CASE("cuda cudnn: where it is missing, one sentence says why") {
  std::string reason;
  if (cuda::cudnn_available(&reason)) {
    CHECK(reason.empty());
    return;
  }
  CHECK_FALSE(reason.empty());
  CHECK(reason.find('\n') == std::string::npos);
  CHECK_THROWS_AS(cuda::conv2d_forward_cudnn(nullptr, nullptr, nullptr, nullptr, kShapes[0]),
                  std::runtime_error);
  const GruParameters parameters;
  CHECK_THROWS_AS(cuda::CudnnGru(&parameters, nullptr, GruSizes{}), std::runtime_error);
}
