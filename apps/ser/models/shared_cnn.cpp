#include "apps/ser/models/shared_cnn.h"

#include <algorithm>

#include "autograd/functions.h"
#include "nn/fused.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

constexpr std::int64_t kBranchChannels = 8;  // of conv1 and of conv2

}  // namespace

SearchSpace cnn_search_space(const RecognizerOptions& options) {
  const std::vector<std::string> wide = {"2x8", "2x7", "2x6", "1x9", "1x10", "3x5"};
  const std::vector<std::string> tall = {"8x2", "7x2", "6x2", "9x1", "10x1", "5x3"};
  const std::vector<std::string> body = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"};
  const bool transposed = options.conv2_set == Conv2Set::transposed;
  return {.choices =
              {{.name = "conv1", .candidates = wide, .inputs = {"input"}, .kind = "conv"},
               {.name = "conv2",
                .candidates = transposed ? tall : wide,
                .inputs = {"input"},
                .kind = "conv"},
               {.name = "conv3", .candidates = body, .inputs = {"conv1", "conv2"}, .kind = "conv"},
               {.name = "conv4", .candidates = body, .kind = "conv"}},
          .system = options.name};
}

SharedCnn::SharedCnn(const RecognizerOptions& options, Builder& builder)
    : bins_(options.bins),
      conv1_(builder.choose("conv1", {.in_channels = 1, .out_channels = kBranchChannels})),
      conv2_(builder.choose("conv2", {.in_channels = 1, .out_channels = kBranchChannels})),
      conv3_(builder.choose("conv3", {.in_channels = kChannels, .out_channels = kChannels})),
      conv4_(builder.choose("conv4", {.in_channels = kChannels, .out_channels = kChannels})) {
  register_module("conv1", *conv1_);
  register_module("conv2", *conv2_);
  register_module("conv3", *conv3_);
  register_module("conv4", *conv4_);
}

Variable SharedCnn::forward(const Variable& x) {
  check(x.dim() == 4 && x.size(1) == 1 && x.size(2) == bins_ && x.size(3) >= 1, "system",
        "spectrograms must be [N, 1, ", bins_, ", T]; got ", x.shape());
  const std::int64_t missing = kStepPooling - x.size(3);
  const Variable input = missing > 0 ? pad(x, 3, 0, missing) : x;
  // ReLU and pooling treat every channel alone, so they are done before the concatenation, where
  // they fuse with the convolutions.
  Variable y = relu_maxpool_branches({conv1_.get(), conv2_.get()}, input, {2, 1});
  y = relu_maxpool(*conv3_, y, {2, 2});
  y = relu_maxpool(*conv4_, y, {2, 2});
  return max_pool2d(y, {4, 1});
}

std::int64_t SharedCnn::output_steps(std::int64_t frames) {
  return std::max(frames, kStepPooling) / kStepPooling;
}

std::int64_t SharedCnn::macs(std::int64_t frames) const {
  const std::int64_t steps = std::max(frames, kStepPooling);
  return (weight_count(*conv1_) + weight_count(*conv2_)) * bins_ * steps +
         weight_count(*conv3_) * (bins_ / 2) * steps +
         weight_count(*conv4_) * (bins_ / 4) * (steps / 2);
}

}  // namespace serenade::ser
