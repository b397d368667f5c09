#include "nn/conv.h"

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

namespace {

void check_channels(const char* name, std::int64_t in, std::int64_t out, std::int64_t groups) {
  check(in > 0 && out > 0, name, "in_channels and out_channels must be positive; got ", in, " and ",
        out);
  check(groups > 0 && in % groups == 0 && out % groups == 0, name,
        "groups must divide in_channels and out_channels; got ", groups, " for ", in, " and ", out);
}

void check_positive(const char* name, const char* what, std::array<std::int64_t, 2> sizes) {
  check(sizes[0] > 0 && sizes[1] > 0, name, what, " must be positive; got ", sizes[0], " x ",
        sizes[1]);
}

}  // namespace

Conv2d::Conv2d(const Options& chosen) : options(chosen) {
  check_channels("Conv2d", options.in_channels, options.out_channels, options.groups);
  check_positive("Conv2d", "kernel_size", options.kernel_size);
  check_positive("Conv2d", "stride", options.stride);
  check_positive("Conv2d", "dilation", options.dilation);
  weight = register_parameter(
      "weight", init::xavier_uniform({options.out_channels, options.in_channels / options.groups,
                                      options.kernel_size[0], options.kernel_size[1]}));
  if (options.bias) bias = register_parameter("bias", init::zeros({options.out_channels}));
}

std::optional<LinearForm> Conv2d::linear_form() {
  if (options.groups != 1 || options.dilation != std::array<std::int64_t, 2>{1, 1}) return {};
  return LinearForm{
      .weight = weight, .bias = bias, .stride = options.stride, .padding = options.padding};
}

Variable Conv2d::forward(const Variable& x) {
  if (const std::optional<LinearForm> form = linear_form()) return (*form)(x);
  check(x.defined() && x.dim() == 4, "Conv2d", "the input must be [N, C, H, W]; got ",
        x.defined() ? x.shape() : Shape{});
  const auto reach = [&](std::size_t k) {
    return options.dilation[k] * (options.kernel_size[k] - 1) + 1;
  };
  const Padding padding =
      options.padding ? *options.padding
                      : same_padding({reach(0), reach(1)}, options.stride, {x.size(2), x.size(3)});
  return conv2d(x, weight, bias, {options.stride, padding, options.dilation, options.groups});
}

Conv1d::Conv1d(const Options& chosen) : options(chosen) {
  check_channels("Conv1d", options.in_channels, options.out_channels, options.groups);
  check_positive("Conv1d", "kernel_size and stride", {options.kernel_size, options.stride});
  weight = register_parameter(
      "weight", init::xavier_uniform({options.out_channels, options.in_channels / options.groups,
                                      options.kernel_size}));
  if (options.bias) bias = register_parameter("bias", init::zeros({options.out_channels}));
}

Variable Conv1d::forward(const Variable& x) {
  return conv1d(x, weight, bias,
                {options.stride, options.padding, options.dilation, options.groups});
}

ConvTranspose2d::ConvTranspose2d(const Options& chosen) : options(chosen) {
  check_channels("ConvTranspose2d", options.in_channels, options.out_channels, options.groups);
  check_positive("ConvTranspose2d", "kernel_size", options.kernel_size);
  check_positive("ConvTranspose2d", "stride", options.stride);
  weight = register_parameter(
      "weight", init::xavier_uniform({options.in_channels, options.out_channels / options.groups,
                                      options.kernel_size[0], options.kernel_size[1]}));
  if (options.bias) bias = register_parameter("bias", init::zeros({options.out_channels}));
}

Variable ConvTranspose2d::forward(const Variable& x) {
  return conv_transpose2d(
      x, weight, bias,
      {options.stride, options.padding, options.output_padding, options.dilation, options.groups});
}

MaxPool2d::MaxPool2d(const Options& chosen) : options(chosen) {
  check_positive("MaxPool2d", "window", options.window);
}

Variable MaxPool2d::forward(const Variable& x) {
  return max_pool2d(x, options.window, {options.stride, options.padding, options.dilation});
}

AvgPool2d::AvgPool2d(const Options& chosen) : options(chosen) {
  check_positive("AvgPool2d", "window", options.window);
}

Variable AvgPool2d::forward(const Variable& x) {
  return avg_pool2d(x, options.window,
                    {options.stride, options.padding, options.count_include_pad});
}

}  // namespace serenade
