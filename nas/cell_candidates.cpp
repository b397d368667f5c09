#include "nas/cell_candidates.h"

#include "autograd/functions.h"
#include "nn/conv.h"
#include "nn/normalisation.h"
#include "tensor/check.h"

namespace serenade {

namespace {

using Pair = std::array<std::int64_t, 2>;
using Numbers = std::vector<std::int64_t>;

std::unique_ptr<Layer> conv1x1(std::int64_t in, std::int64_t out, Pair stride = {1, 1}) {
  return std::make_unique<Conv2d>(Conv2d::Options{.in_channels = in,
                                                  .out_channels = out,
                                                  .kernel_size = {1, 1},
                                                  .stride = stride,
                                                  .padding = Padding(),
                                                  .bias = false});
}

std::unique_ptr<Layer> norm(std::int64_t channels, bool affine) {
  return std::make_unique<BatchNorm2d>(
      BatchNorm2d::Options{.num_features = channels, .affine = affine});
}

class FactorizedReduce : public Layer {
 public:
  FactorizedReduce(std::int64_t in, std::int64_t out, bool affine)
      : even_(conv1x1(in, out / 2, {2, 2})),
        odd_(conv1x1(in, out - out / 2, {2, 2})),
        norm_(norm(out, affine)) {
    check(out % 2 == 0, "factorized_reduce", "out_channels must be even; got ", out);
    register_module("even", *even_);
    register_module("odd", *odd_);
    register_module("norm", *norm_);
  }

  Variable forward(const Variable& x) override {
    check(x.dim() == 4 && x.size(2) % 2 == 0 && x.size(3) % 2 == 0, "factorized_reduce",
          "images must be [N, C, H, W] with even H and W; got ", x.shape());
    const Variable positive = relu(x);
    const Variable shifted = slice(slice(positive, 2, 1, x.size(2) - 1), 3, 1, x.size(3) - 1);
    return norm_->forward(concat({even_->forward(positive), odd_->forward(shifted)}, 1));
  }

 private:
  std::unique_ptr<Layer> even_, odd_, norm_;
};

class Pooling : public Layer {
 public:
  Pooling(bool largest, std::int64_t window, Pair stride)
      : largest_(largest), window_(window), stride_(stride) {}

  Variable forward(const Variable& x) override {
    const Pair window = {window_, window_}, padding = {window_ / 2, window_ / 2};
    if (largest_) return max_pool2d(x, window, {.stride = stride_, .padding = padding});
    return avg_pool2d(x, window,
                      {.stride = stride_, .padding = padding, .count_include_pad = false});
  }

 private:
  bool largest_;
  std::int64_t window_;
  Pair stride_;
};

// ReLU, depthwise convolution, 1x1 convolution, normalisation.
void add_separable(Sequential& layers, std::int64_t channels, std::int64_t kernel, Pair stride,
                   std::int64_t dilation, bool affine) {
  const std::int64_t border = dilation * (kernel - 1) / 2;
  layers.add(std::make_unique<ReLU>());
  layers.add(
      std::make_unique<Conv2d>(Conv2d::Options{.in_channels = channels,
                                               .out_channels = channels,
                                               .kernel_size = {kernel, kernel},
                                               .stride = stride,
                                               .padding = Padding{border, border, border, border},
                                               .bias = false,
                                               .dilation = {dilation, dilation},
                                               .groups = channels}));
  layers.add(conv1x1(channels, channels));
  layers.add(norm(channels, affine));
}

void check_site(const char* name, const Site& site, const Numbers& window) {
  check(site.in_channels == site.out_channels, name, "keeps the number of channels; got ",
        site.in_channels, " to ", site.out_channels);
  check(window[0] == window[1] && window[0] % 2 == 1, name,
        "windows must be square and of odd size; got ", window[0], " x ", window[1]);
}

CandidateTable::Row pooling(const char* name, const char* summary, bool largest, bool searching) {
  return {name, summary, [=](const Site& site, const Numbers& window) {
            check_site(name, site, window);
            auto layers = std::make_unique<Sequential>();
            layers->add(std::make_unique<Pooling>(largest, window[0], site.stride));
            if (searching) layers->add(norm(site.out_channels, false));
            return layers;
          }};
}

}  // namespace

std::unique_ptr<Layer> conv_norm(std::int64_t in_channels, std::int64_t out_channels,
                                 std::int64_t kernel, std::int64_t padding) {
  auto layers = std::make_unique<Sequential>();
  layers->add(std::make_unique<Conv2d>(
      Conv2d::Options{.in_channels = in_channels,
                      .out_channels = out_channels,
                      .kernel_size = {kernel, kernel},
                      .padding = Padding{padding, padding, padding, padding},
                      .bias = false}));
  layers->add(norm(out_channels, true));
  return layers;
}

std::unique_ptr<Layer> relu_conv_norm(std::int64_t in_channels, std::int64_t out_channels,
                                      bool affine) {
  auto layers = std::make_unique<Sequential>();
  layers->add(std::make_unique<ReLU>());
  layers->add(conv1x1(in_channels, out_channels));
  layers->add(norm(out_channels, affine));
  return layers;
}

std::unique_ptr<Layer> factorized_reduce(std::int64_t in_channels, std::int64_t out_channels,
                                         bool affine) {
  return std::make_unique<FactorizedReduce>(in_channels, out_channels, affine);
}

CandidateTable cell_candidates(bool searching) {
  const bool affine = !searching;
  const auto standard = [](const char* name) {
    return [=](const Site& site, const Numbers&) { return standard_candidates().make(name, site); };
  };
  return CandidateTable(
      {{"none", "zero: the connection is cut", standard("none")},
       {"skip_connect", "the input itself; at stride 2, half of it by 1x1 convolutions",
        [=](const Site& site, const Numbers& numbers) {
          if (site.stride == Pair{1, 1}) return standard("skip_connect")(site, numbers);
          check(site.stride == Pair{2, 2}, "skip_connect", "the stride must be 1 or 2; got ",
                site.stride[0], " x ", site.stride[1]);
          return factorized_reduce(site.in_channels, site.out_channels, affine);
        }},
       pooling("max_pool_*x*", "largest value of each window", true, searching),
       pooling("avg_pool_*x*", "mean of each window", false, searching),
       {"sep_conv_*x*", "twice a depthwise and a 1x1 convolution",
        [=](const Site& site, const Numbers& kernel) -> std::unique_ptr<Layer> {
          check_site("sep_conv", site, kernel);
          auto layers = std::make_unique<Sequential>();
          add_separable(*layers, site.in_channels, kernel[0], site.stride, 1, affine);
          add_separable(*layers, site.in_channels, kernel[0], {1, 1}, 1, affine);
          return layers;
        }},
       {"dil_conv_*x*", "a dilated depthwise and a 1x1 convolution",
        [=](const Site& site, const Numbers& kernel) -> std::unique_ptr<Layer> {
          check_site("dil_conv", site, kernel);
          auto layers = std::make_unique<Sequential>();
          add_separable(*layers, site.in_channels, kernel[0], site.stride, 2, affine);
          return layers;
        }}});
}

}  // namespace serenade
