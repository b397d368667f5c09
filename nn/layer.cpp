#include "nn/layer.h"

#include <string>
#include <utility>

#include "tensor/check.h"

namespace serenade {

Conv2dOptions LinearForm::conv2d_options(const Variable& x) const {
  check(x.dim() == 4, "convolution", "input must be [N, C, H, W]; got ", x.shape());
  const std::array<std::int64_t, 2> kernel_size = {weight.size(2), weight.size(3)};
  return {
      .stride = stride,
      .padding = padding ? *padding : same_padding(kernel_size, stride, {x.size(2), x.size(3)})};
}

Variable LinearForm::operator()(const Variable& x) const {
  if (!is_convolution()) return linear(x, weight, bias);
  return conv2d(x, weight, bias, conv2d_options(x), unused_taps);
}

Layer& Sequential::add(std::unique_ptr<Layer> layer) {
  check(layer != nullptr, "Sequential", "a layer must be given; got none");
  register_module(std::to_string(layers_.size()), *layer);
  layers_.push_back(std::move(layer));
  return *layers_.back();
}

Variable Sequential::forward(const Variable& x) {
  Variable y = x;
  for (const std::unique_ptr<Layer>& layer : layers_) y = layer->forward(y);
  return y;
}

}  // namespace serenade
