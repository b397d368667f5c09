// Forms of convolution: depthwise ones have kernels of their own (kernels/depthwise/depthwise.h).
// The others are computed by the plain one (kernels/conv2d/conv2d.h): groups one after the other, a
// dilated kernel as a larger one with zeros between its taps, sequences as images of one row, and
// the transposed convolution as the gradient of a convolution.

#include "autograd/functions/convolution_parts.h"

#include <algorithm>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/convolution_gradients.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/depthwise/depthwise.h"
#include "tensor/check.h"

namespace serenade {

namespace {

using Pair = std::array<std::int64_t, 2>;

void check_kernel(const char* op, const Variable& x, const Variable& weight, const Variable& bias,
                  const char* shapes) {
  check_defined(op, x, weight);
  check(x.dim() == 4 && weight.dim() == 4 && x.numel() > 0 && weight.numel() > 0, op, shapes,
        ", and no size 0; got input ", x.shape(), " and weight ", weight.shape());
  check_same_device(op, x, weight, bias);
}

void check_groups(const char* op, std::int64_t groups, std::int64_t channels,
                  const Variable& weight) {
  check(groups >= 1 && channels % groups == 0 && weight.size(0) % groups == 0, op,
        "groups must divide the channels of the input and the first size of the weight; got ",
        groups, " groups, ", channels, " channels and weight ", weight.shape());
}

// How far a kernel reaches along an axis.
std::int64_t reach(const char* op, std::int64_t taps, std::int64_t dilation) {
  check(dilation >= 1 && dilation <= kMaxElements / taps, op,
        "dilation must be at least 1, and the kernel reach over less than 2^58; got ", dilation);
  return dilation * (taps - 1) + 1;
}

// Appends `gap` zeros after each element along an axis, but the last.
Variable spread(const Variable& x, std::int64_t axis, std::int64_t gap) {
  if (gap == 0 || x.size(axis) == 1) return x;
  Shape apart = x.shape(), together = x.shape();
  const auto at = static_cast<std::size_t>(axis);
  apart.insert(apart.begin() + axis + 1, 1);
  together[at] *= gap + 1;
  const Variable padded = reshape(pad(reshape(x, apart), axis + 1, 0, gap), together);
  return slice(padded, axis, 0, together[at] - gap);
}

// The larger kernel that does what a dilated one does.
Variable dilated(const Variable& weight, Pair dilation) {
  return spread(spread(weight, 2, dilation[0] - 1), 3, dilation[1] - 1);
}

// The taps of a kernel [.., R, S] that lie between those of the dilated one, for conv2d; none where
// it has more than 64.
std::uint64_t taps_between(Pair taps, Pair dilation) {
  const Pair size = {dilation[0] * (taps[0] - 1) + 1, dilation[1] * (taps[1] - 1) + 1};
  if (size[0] > 64 || size[1] > 64 || size[0] * size[1] > 64) return 0;
  std::uint64_t between = 0;
  for (std::int64_t r = 0; r < size[0]; ++r) {
    for (std::int64_t s = 0; s < size[1]; ++s) {
      if (r % dilation[0] != 0 || s % dilation[1] != 0) {
        between |= std::uint64_t{1} << (r * size[1] + s);
      }
    }
  }
  return between;
}

Variable part_of_channels(const Variable& x, std::int64_t axis, std::int64_t groups,
                          std::int64_t group) {
  if (!x.defined()) return x;
  const std::int64_t size = x.size(axis) / groups;
  return slice(x, axis, group * size, size);
}

// A group for each channel of the input.
Variable depthwise(const Variable& x, const Variable& weight, const Variable& bias,
                   const Conv2dOptions& options) {
  const char* op = "conv2d";
  check(options.stride[0] >= 1 && options.stride[1] >= 1, op, "strides must be at least 1; got ",
        options.stride[0], " and ", options.stride[1]);
  const std::int64_t padded_h = x.size(2) + options.padding.top + options.padding.bottom,
                     padded_w = x.size(3) + options.padding.left + options.padding.right;
  element_count({x.size(0), x.size(1), padded_h, padded_w}, op);
  const DepthwiseShape shape = {.N = x.size(0),
                                .C = x.size(1),
                                .H = x.size(2),
                                .W = x.size(3),
                                .M = weight.size(0) / x.size(1),
                                .R = weight.size(2),
                                .S = weight.size(3),
                                // A longer stride takes no further step either.
                                .stride_h = std::min(options.stride[0], padded_h),
                                .stride_w = std::min(options.stride[1], padded_w),
                                .dilation_h = options.dilation[0],
                                .dilation_w = options.dilation[1],
                                .pad_top = options.padding.top,
                                .pad_bottom = options.padding.bottom,
                                .pad_left = options.padding.left,
                                .pad_right = options.padding.right};
  element_count({shape.N, weight.size(0), shape.out_h(), shape.out_w()}, op);
  element_count({shape.R * shape.S, shape.out_h(), shape.out_w()}, op);
  return convolved(op, x, weight, bias, shape);
}

// The transposed convolution with one group and without dilation.
Variable transposed(const Variable& x, const Variable& weight, const Pair& size,
                    const ConvTranspose2dOptions& options) {
  const Conv2dShape shape = {.N = x.size(0),  // of the convolution that goes the other way
                             .C = weight.size(1),
                             .H = size[0],
                             .W = size[1],
                             .K = x.size(1),
                             .R = weight.size(2),
                             .S = weight.size(3),
                             .stride_h = options.stride[0],
                             .stride_w = options.stride[1],
                             .pad_top = options.padding.top,
                             .pad_bottom = options.padding.bottom,
                             .pad_left = options.padding.left,
                             .pad_right = options.padding.right};
  return convolution_input_gradient(x, weight, shape);
}

}  // namespace

bool is_plain(const Conv2dOptions& options) {
  return options.groups == 1 && options.dilation == Pair{1, 1};
}

Variable conv2d_by_parts(const Variable& x, const Variable& weight, const Variable& bias,
                         const Conv2dOptions& options) {
  const char* op = "conv2d";
  check_kernel(op, x, weight, bias, "input must be [N, C, H, W] and weight [K, C / groups, R, S]");
  check_groups(op, options.groups, x.size(1), weight);
  check(weight.size(1) == x.size(1) / options.groups, op, "with ", options.groups,
        " groups the weight must have ", x.size(1) / options.groups, " input channels; got input ",
        x.shape(), " and weight ", weight.shape());
  check(!bias.defined() || bias.shape() == Shape{weight.size(0)}, op,
        "bias must have one number per output channel, [", weight.size(0), "]; got bias ",
        bias.defined() ? bias.shape() : Shape{});
  const Padding& p = options.padding;
  const Pair taps = {weight.size(2), weight.size(3)};
  const Pair reaches = {reach(op, taps[0], options.dilation[0]),
                        reach(op, taps[1], options.dilation[1])};
  check(std::min({p.top, p.bottom, p.left, p.right}) >= 0 &&
            std::max({p.top, p.bottom, p.left, p.right}) <= kMaxElements &&
            x.size(2) + p.top + p.bottom >= reaches[0] &&
            x.size(3) + p.left + p.right >= reaches[1],
        op, "the padded input must be at least as large as the dilated kernel; got input ",
        x.shape(), " and a kernel that reaches over ", reaches[0], " x ", reaches[1]);
  if (options.groups == x.size(1)) return depthwise(x, weight, bias, options);
  const Variable kernel = dilated(weight, options.dilation);
  const Pair dilation = {taps[0] == 1 ? 1 : options.dilation[0],
                         taps[1] == 1 ? 1 : options.dilation[1]};
  const std::uint64_t between = taps_between(taps, dilation);
  const Conv2dOptions plain = {.stride = options.stride, .padding = p};
  if (options.groups == 1) return conv2d(x, kernel, bias, plain, between);
  std::vector<Variable> parts;
  for (std::int64_t group = 0; group < options.groups; ++group) {
    parts.push_back(conv2d(part_of_channels(x, 1, options.groups, group),
                           part_of_channels(kernel, 0, options.groups, group),
                           part_of_channels(bias, 0, options.groups, group), plain, between));
  }
  return concat(parts, 1);
}

Variable conv1d(const Variable& x, const Variable& weight, const Variable& bias,
                const Conv1dOptions& options) {
  check_defined("conv1d", x, weight);
  check(x.dim() == 3 && weight.dim() == 3, "conv1d",
        "input must be [N, C, T] and weight [K, C / groups, S]; got input ", x.shape(),
        " and weight ", weight.shape());
  const Variable y =
      conv2d(reshape(x, {x.size(0), x.size(1), 1, x.size(2)}),
             reshape(weight, {weight.size(0), weight.size(1), 1, weight.size(2)}), bias,
             {.stride = {1, options.stride},
              .padding = {.left = options.padding[0], .right = options.padding[1]},
              .dilation = {1, options.dilation},
              .groups = options.groups});
  return reshape(y, {y.size(0), y.size(1), y.size(3)});
}

Variable conv_transpose2d(const Variable& x, const Variable& weight, const Variable& bias,
                          const ConvTranspose2dOptions& options) {
  const char* op = "conv_transpose2d";
  check_kernel(op, x, weight, bias, "input must be [N, C, H, W] and weight [C, K / groups, R, S]");
  check_groups(op, options.groups, x.size(1), weight);
  check(weight.size(0) == x.size(1), op, "the weight must have ", x.size(1),
        " input channels; got input ", x.shape(), " and weight ", weight.shape());
  const std::int64_t out = weight.size(1) * options.groups;
  check(!bias.defined() || bias.shape() == Shape{out}, op,
        "bias must have one number per output channel, [", out, "]; got bias ",
        bias.defined() ? bias.shape() : Shape{});
  const Padding& p = options.padding;
  const Pair before = {p.top, p.left}, after = {p.bottom, p.right};
  Pair size;
  for (std::size_t k = 0; k < 2; ++k) {
    const std::int64_t stride = options.stride[k], more = options.output_padding[k],
                       length = x.shape()[2 + k];
    check(stride >= 1 && stride <= kMaxElements / length, op,
          "strides must be at least 1, and the result smaller than 2^58; got ", stride);
    check(more >= 0 && more < stride, op, "output_padding must be 0 .. stride - 1; got ", more,
          " with stride ", stride);
    check(before[k] >= 0 && after[k] >= 0 && before[k] <= kMaxElements && after[k] <= kMaxElements,
          op, "padding must not be negative, nor beyond 2^58; got ", before[k], " and ", after[k]);
    size[k] = (length - 1) * stride - before[k] - after[k] +
              reach(op, weight.shape()[2 + k], options.dilation[k]) + more;
    check(size[k] >= 1, op, "padding must leave a result; got input ", x.shape(), " and size ",
          size[k]);
  }
  element_count({x.size(0), out, size[0], size[1]}, op);
  const Variable kernel = dilated(weight, options.dilation);
  std::vector<Variable> parts;
  for (std::int64_t group = 0; group < options.groups; ++group) {
    parts.push_back(transposed(part_of_channels(x, 1, options.groups, group),
                               part_of_channels(kernel, 0, options.groups, group), size, options));
  }
  const Variable y = parts.size() == 1 ? parts.front() : concat(parts, 1);
  return bias.defined() ? y + reshape(bias, {1, out, 1, 1}) : y;
}

}  // namespace serenade
