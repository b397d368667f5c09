// Convolution, alone and with pooling (formulas: kernels/conv2d/conv2d.h).

#include <algorithm>
#include <iterator>
#include <limits>
#include <memory>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "autograd/functions/convolution_gradients.h"
#include "autograd/functions/convolution_parts.h"
#include "autograd/functions/optional.h"
#include "autograd/functions/pointwise.h"
#include "autograd/functions/positions.h"
#include "kernels/conv2d/conv2d.h"
#include "kernels/runtime/ceil_div.h"
#include "tensor/check.h"

namespace serenade {

namespace {

Conv2dShape checked_shape(const char* op, const Variable& x, const Variable& weight,
                          const Variable& bias, const Conv2dOptions& options,
                          std::uint64_t unused_taps = 0) {
  check_defined(op, x, weight);
  check(x.dim() == 4 && weight.dim() == 4, op,
        "input must be [N, C, H, W] and weight [K, C, R, S]; got input ", x.shape(), " and weight ",
        weight.shape());
  check(x.size(1) == weight.size(1), op, "weight of shape ", weight.shape(),
        " expects input to have ", weight.size(1), " channels; got input ", x.shape(), " with ",
        x.size(1), " channels");
  check(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)), op,
        "bias must have one number per output channel, [", weight.size(0), "]; got bias ",
        bias.defined() ? bias.shape() : Shape{}, " and weight ", weight.shape());
  check_same_device(op, x, weight, bias);
  check(x.numel() > 0 && weight.numel() > 0, op, "no size may be 0; got input ", x.shape(),
        " and weight ", weight.shape());
  check(options.stride[0] >= 1 && options.stride[1] >= 1, op, "strides must be at least 1; got ",
        options.stride[0], " and ", options.stride[1]);
  const Padding& pad = options.padding;
  check(std::min({pad.top, pad.bottom, pad.left, pad.right}) >= 0 &&
            std::max({pad.top, pad.bottom, pad.left, pad.right}) <= kMaxElements,
        op, "padding must not be negative, nor beyond 2^58; got top ", pad.top, ", bottom ",
        pad.bottom, ", left ", pad.left, ", right ", pad.right);
  const std::int64_t padded_h = x.size(2) + pad.top + pad.bottom;
  const std::int64_t padded_w = x.size(3) + pad.left + pad.right;
  check(padded_h >= weight.size(2) && padded_w >= weight.size(3), op,
        "the padded input must be at least as large as the kernel; got input ", x.shape(),
        ", padded to ", padded_h, " x ", padded_w, ", and weight ", weight.shape());
  element_count({x.size(0), x.size(1), padded_h, padded_w}, op);
  const Conv2dShape shape = {.N = x.size(0),
                             .C = x.size(1),
                             .H = x.size(2),
                             .W = x.size(3),
                             .K = weight.size(0),
                             .R = weight.size(2),
                             .S = weight.size(3),
                             // A longer stride takes no further step either.
                             .stride_h = std::min(options.stride[0], padded_h),
                             .stride_w = std::min(options.stride[1], padded_w),
                             .pad_top = pad.top,
                             .pad_bottom = pad.bottom,
                             .pad_left = pad.left,
                             .pad_right = pad.right,
                             .unused_taps = unused_taps};
  element_count({shape.N, shape.K, shape.out_h(), shape.out_w()}, op);
  // The product's work: a row of the unfolded input per weight of a kernel.
  element_count({shape.C * shape.R * shape.S, shape.out_h(), shape.out_w()}, op);
  return shape;
}

}  // namespace

Padding same_padding(std::array<std::int64_t, 2> kernel, std::array<std::int64_t, 2> stride,
                     std::array<std::int64_t, 2> size) {
  std::int64_t before[2];
  std::int64_t after[2];
  for (int axis = 0; axis < 2; ++axis) {
    check(std::min(kernel[axis], stride[axis]) >= 1 &&
              std::max({kernel[axis], stride[axis], size[axis]}) <= kMaxElements,
          "same_padding",
          "kernel and stride must be at least 1, and no size beyond 2^58; got kernel ",
          kernel[axis], ", stride ", stride[axis], " and size ", size[axis]);
    check(stride[axis] == 1 || size[axis] >= 1, "same_padding",
          "with a stride the size of the input must be given; got size ", size[axis],
          " and stride ", stride[axis]);
    std::int64_t total = kernel[axis] - 1;
    if (stride[axis] > 1) {
      const std::int64_t outputs = ceil_div(size[axis], stride[axis]);
      const std::int64_t reach = (outputs - 1) * stride[axis] + kernel[axis];
      total = std::max<std::int64_t>(reach - size[axis], 0);
    }
    before[axis] = total / 2;
    after[axis] = total - total / 2;
  }
  return {.top = before[0], .bottom = after[0], .left = before[1], .right = after[1]};
}

Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias,
                const Conv2dOptions& options, std::uint64_t unused_taps) {
  if (!is_plain(options)) {
    check(unused_taps == 0, "conv2d", "unused taps are those of one group without dilation");
    return conv2d_by_parts(x, weight, bias, options);
  }
  const Conv2dShape shape = checked_shape("conv2d", x, weight, bias, options, unused_taps);
  return convolved("conv2d", x, weight, bias, shape);
}

namespace {

// The gradient of the map [N, K, H, W] before pooling and relu.
Variable unpooled_map(const Variable& dy, const Storage& positions,
                      const std::array<std::int64_t, 2>& window, const Shape& map) {
  std::vector<std::uint8_t> found = positions_on_host<std::uint8_t>(positions);
  std::vector<real> alive(found.size(), 1);
  for (std::size_t n = 0; n < found.size(); ++n) {
    if (found[n] != kKilledByRelu) continue;
    found[n] = 0;
    alive[n] = 0;
  }
  const Indices places =
      places_of_blocks(found, dy.size(2), dy.size(3), window[0], window[1], map[3]);
  return unpooled(kept(dy, Tensor::from(alive, dy.shape()).to(dy.device())), places, map);
}

}  // namespace

Variable conv2d_relu_maxpool(const Variable& x, const Variable& weight, const Variable& bias,
                             const Conv2dOptions& options, std::array<std::int64_t, 2> window,
                             std::uint64_t unused_taps) {
  if (!is_plain(options)) {
    return max_pool2d(relu(conv2d(x, weight, bias, options, unused_taps)), window);
  }
  const Conv2dShape shape =
      checked_shape("conv2d_relu_maxpool", x, weight, bias, options, unused_taps);
  const auto [pool_h, pool_w] = window;
  check(pool_h >= 1 && pool_w >= 1 && shape.out_h() >= pool_h && shape.out_w() >= pool_w,
        "conv2d_relu_maxpool",
        "window must be at least 1 x 1 and fit the convolution's output; got window ", pool_h,
        " x ", pool_w, " and output ", Shape{shape.N, shape.K, shape.out_h(), shape.out_w()});
  // A position in a larger window does not fit the byte that is kept of it.
  if (pool_h * pool_w > kKilledByRelu) {
    return max_pool2d(relu(conv2d(x, weight, bias, options, unused_taps)), window);
  }
  const Tensor input = x.value().contiguous();
  const Tensor kernel = weight.value().contiguous();
  const Tensor offset = contiguous_or_none(bias);
  Tensor y = Tensor::empty({shape.N, shape.K, shape.out_h() / pool_h, shape.out_w() / pool_w},
                           input.device());
  const auto positions = position_storage<std::uint8_t>(y.numel(), input.device());
  KERNEL(input.device(), conv2d_relu_maxpool_forward, y.data(),
         static_cast<std::uint8_t*>(positions->data()), input.data(), kernel.data(),
         pointer_or_null(offset), shape, window[0], window[1]);
  return make_result("conv2d_relu_maxpool", y, {x, weight, bias},
                     [input, kernel, shape, positions, window](const Tensor& dy, Gradients& d) {
                       if (d.create_graph()) {
                         const Variable map =
                             unpooled_map(d.dy(), *positions, window,
                                          {shape.N, shape.K, shape.out_h(), shape.out_w()});
                         if (d.wants(0)) {
                           const Variable weight = d.input(1, kernel);
                           d.add(0, convolution_input_gradient(map, weight, shape));
                         }
                         if (d.wants(1)) {
                           const Variable x = d.input(0, input);
                           d.add(1, convolution_weight_gradient(map, x, shape));
                         }
                         if (d.wants(2)) d.add(2, sum(map, {0, 2, 3}));
                         return;
                       }
                       const auto* index = static_cast<const std::uint8_t*>(positions->data());
                       if (d.wants(0)) {
                         KERNEL(dy.device(), conv2d_relu_maxpool_backward_input, d[0].data(),
                                dy.data(), index, kernel.data(), shape, window[0], window[1]);
                       }
                       if (d.wants(1)) {
                         KERNEL(dy.device(), conv2d_relu_maxpool_backward_weight, d[1].data(),
                                dy.data(), index, input.data(), shape, window[0], window[1]);
                       }
                       if (d.wants(2)) {
                         KERNEL(dy.device(), conv2d_relu_maxpool_backward_bias, d[2].data(),
                                dy.data(), index, shape, window[0], window[1]);
                       }
                     });
}

namespace {

// From so many elements of one sample's pooled map on, writing the branches into one map costs less
// than copying them there.
constexpr std::int64_t kJoinedFrom = std::int64_t{1} << 17;

// One branch, ready to be convolved.
struct PlacedBranch {
  Conv2dShape shape;
  Tensor weight;
  Tensor bias;
  std::int64_t first_channel = 0;
};

std::vector<Conv2dBranch> kernel_branches(const std::vector<PlacedBranch>& placed) {
  std::vector<Conv2dBranch> branches;
  for (const PlacedBranch& branch : placed) {
    branches.push_back({.shape = branch.shape,
                        .first_channel = branch.first_channel,
                        .weight = branch.weight.data(),
                        .bias = pointer_or_null(branch.bias)});
  }
  return branches;
}

// Inputs are x, then weight and bias of each branch; dy is the gradient of the map before pooling.
void add_branch_gradients(Gradients& d, const Variable& dy, const Tensor& input,
                          const std::vector<PlacedBranch>& placed) {
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const Conv2dShape& shape = placed[i].shape;
    const Variable part = slice(dy, 1, placed[i].first_channel, shape.K);
    const Variable kernel = d.input(1 + 2 * i, placed[i].weight);
    if (d.wants(0)) d.add(0, convolution_input_gradient(part, kernel, shape));
    if (d.wants(1 + 2 * i)) {
      d.add(1 + 2 * i, convolution_weight_gradient(part, d.input(0, input), shape));
    }
    if (d.wants(2 + 2 * i)) d.add(2 + 2 * i, sum(part, {0, 2, 3}));
  }
}

Conv2dOptions same_options(const Variable& weight) {
  return {.padding = same_padding({weight.size(2), weight.size(3)})};
}

}  // namespace

Variable conv2d_relu_maxpool_branches(const Variable& x, const std::vector<ConvBranch>& branches,
                                      std::array<std::int64_t, 2> window) {
  const char* op = "conv2d_relu_maxpool_branches";
  check_defined(op, x);
  check(!branches.empty(), op, "needs at least one branch; got none");
  std::vector<PlacedBranch> placed;
  std::vector<Variable> inputs = {x};
  std::int64_t channels = 0;
  for (const auto& [weight, bias] : branches) {
    check(weight.defined() && weight.dim() == 4, op, "weights must be [out, in, KH, KW]; got ",
          weight.defined() ? weight.shape() : Shape{});
    PlacedBranch branch{.shape = checked_shape(op, x, weight, bias, same_options(weight)),
                        .weight = weight.value().contiguous(),
                        .bias = contiguous_or_none(bias),
                        .first_channel = channels};
    channels += branch.shape.K;
    placed.push_back(std::move(branch));
    inputs.insert(inputs.end(), {weight, bias});
  }
  check(window[0] >= 1 && window[1] >= 1 && x.size(2) >= window[0] && x.size(3) >= window[1], op,
        "window must be at least 1 x 1 and fit the input; got window ", window[0], " x ", window[1],
        " and input ", x.shape());
  const std::int64_t samples = x.size(0);
  const std::int64_t height = x.size(2) / window[0], width = x.size(3) / window[1];
  const std::int64_t plane = height * width;
  element_count({samples, channels, height, width}, op);
  if (channels * plane < kJoinedFrom || window[0] * window[1] > kKilledByRelu) {
    std::vector<Variable> parts;
    for (const auto& [weight, bias] : branches) {
      parts.push_back(conv2d_relu_maxpool(x, weight, bias, same_options(weight), window));
    }
    return concat(parts, 1);
  }
  const Tensor input = x.value().contiguous();
  Tensor y = Tensor::empty({samples, channels, height, width}, input.device());
  const auto positions = position_storage<std::uint8_t>(y.numel(), input.device());
  const std::vector<Conv2dBranch> parts = kernel_branches(placed);
  KERNEL(input.device(), conv2d_relu_maxpool_branches_forward, y.data(),
         static_cast<std::uint8_t*>(positions->data()), input.data(), parts.data(),
         std::ssize(parts), channels, window[0], window[1]);
  for (PlacedBranch& branch : placed) branch.bias = Tensor();  // backward needs none
  return make_result(op, y, inputs,
                     [placed, input, positions, channels, window](const Tensor& dy, Gradients& d) {
                       // Inputs are x, then weight and bias of each branch.
                       if (d.create_graph()) {
                         Shape map = input.shape();
                         map[1] = channels;
                         const Variable whole = unpooled_map(d.dy(), *positions, window, map);
                         return add_branch_gradients(d, whole, input, placed);
                       }
                       std::vector<Conv2dBranch> parts = kernel_branches(placed);
                       for (std::size_t i = 0; i < parts.size(); ++i) {
                         if (d.wants(1 + 2 * i)) parts[i].dweight = d[1 + 2 * i].data();
                         if (d.wants(2 + 2 * i)) parts[i].dbias = d[2 + 2 * i].data();
                       }
                       KERNEL(dy.device(), conv2d_relu_maxpool_branches_backward,
                              d.wants(0) ? d[0].data() : nullptr, parts.data(), std::ssize(parts),
                              dy.data(), static_cast<const std::uint8_t*>(positions->data()),
                              input.data(), channels, window[0], window[1]);
                     });
}

}  // namespace serenade
