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

std::optional<LinearForm> Conv2d::linear_form() {
  return LinearForm{
      .weight = weight, .bias = bias, .stride = options.stride, .padding = options.padding};
}

Variable Conv2d::forward(const Variable& x) { return (*linear_form())(x); }

MaxPool2d::MaxPool2d(const Options& chosen) : options(chosen) {
  check(options.window[0] > 0 && options.window[1] > 0, "MaxPool2d",
        "window must be positive; got ", options.window[0], " x ", options.window[1]);
}

Variable MaxPool2d::forward(const Variable& x) {
  return max_pool2d(x, options.window, {options.stride, options.padding, options.dilation});
}

AvgPool2d::AvgPool2d(const Options& chosen) : options(chosen) {
  check(options.window[0] > 0 && options.window[1] > 0, "AvgPool2d",
        "window must be positive; got ", options.window[0], " x ", options.window[1]);
}

Variable AvgPool2d::forward(const Variable& x) {
  return avg_pool2d(x, options.window,
                    {options.stride, options.padding, options.count_include_pad});
}

}  // namespace serenade
