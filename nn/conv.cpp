#include "nn/conv.h"

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

Conv2d::Conv2d(const Options& chosen) : options(chosen) {
  const auto [height, width] = options.kernel_size;
  check(options.in_channels > 0 && options.out_channels > 0, "Conv2d",
        "in_channels and out_channels must be positive; got ", options.in_channels, " and ",
        options.out_channels);
  check(height > 0 && width > 0, "Conv2d", "kernel_size must be positive; got ", height, " x ",
        width);
  check(options.stride[0] > 0 && options.stride[1] > 0, "Conv2d", "stride must be positive; got ",
        options.stride[0], " x ", options.stride[1]);
  weight = register_parameter(
      "weight", init::xavier_uniform({options.out_channels, options.in_channels, height, width}));
  if (options.bias) bias = register_parameter("bias", init::zeros({options.out_channels}));
}

Conv2dOptions Conv2d::for_input(const Variable& x) const {
  check(x.dim() == 4, "Conv2d", "input must be [N, C, H, W]; got ", x.shape());
  const Padding padding =
      options.padding ? *options.padding
                      : same_padding(options.kernel_size, options.stride, {x.size(2), x.size(3)});
  return {.stride = options.stride, .padding = padding};
}

Variable Conv2d::forward(const Variable& x) const { return conv2d(x, weight, bias, for_input(x)); }

Variable Conv2d::forward_relu_maxpool(const Variable& x, std::array<std::int64_t, 2> window) const {
  return conv2d_relu_maxpool(x, weight, bias, for_input(x), window);
}

MaxPool2d::MaxPool2d(const Options& chosen) : options(chosen) {
  check(options.window[0] > 0 && options.window[1] > 0, "MaxPool2d",
        "window must be positive; got ", options.window[0], " x ", options.window[1]);
}

Variable MaxPool2d::forward(const Variable& x) const { return max_pool2d(x, options.window); }

}  // namespace serenade
