// Capsule layers: the shapes between convolution, votes and routing. The arithmetic is in
// autograd/functions.

#include "nn/capsule.h"

#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

PrimaryCapsules::PrimaryCapsules(const Options& chosen) : options(chosen) {
  check(options.in_channels > 0 && options.types > 0 && options.dim > 0, "PrimaryCapsules",
        "in_channels, types and dim must be positive; got ", options.in_channels, ", ",
        options.types, " and ", options.dim);
  check(options.kernel_size[0] > 0 && options.kernel_size[1] > 0 && options.stride[0] > 0 &&
            options.stride[1] > 0,
        "PrimaryCapsules", "kernel_size and stride must be positive; got ", options.kernel_size[0],
        " x ", options.kernel_size[1], " and ", options.stride[0], " x ", options.stride[1]);
  const std::int64_t channels = element_count({options.types, options.dim}, "PrimaryCapsules");
  weight = register_parameter(
      "weight", init::xavier_uniform({channels, options.in_channels, options.kernel_size[0],
                                      options.kernel_size[1]}));
  bias = register_parameter("bias", init::zeros({channels}));
}

Variable PrimaryCapsules::forward(const Variable& x) {
  check(x.dim() == 4, "PrimaryCapsules", "input must be [N, C, F, T]; got ", x.shape());
  const Variable y = conv2d(
      x, weight, bias, {.stride = options.stride, .padding = padding_of(x.size(2), x.size(3))});
  // [N, types * dim, F', T'] -> [N, types, F', T', dim]: the components become the last axis.
  const Variable cut = reshape(y, {y.size(0), options.types, options.dim, y.size(2), y.size(3)});
  return squash(flatten(permute(cut, {0, 1, 3, 4, 2}), 1, 3));
}

std::int64_t PrimaryCapsules::capsule_count(std::int64_t bins, std::int64_t steps) const {
  const Padding p = padding_of(bins, steps);
  const auto places = [&](std::int64_t padded, std::size_t axis) {
    check(padded >= options.kernel_size[axis], "PrimaryCapsules", "a padded image of ", padded,
          " must hold the kernel of ", options.kernel_size[axis]);
    return (padded - options.kernel_size[axis]) / options.stride[axis] + 1;
  };
  return options.types * places(bins + p.top + p.bottom, 0) * places(steps + p.left + p.right, 1);
}

Padding PrimaryCapsules::padding_of(std::int64_t bins, std::int64_t steps) const {
  return options.padding ? *options.padding
                         : same_padding(options.kernel_size, options.stride, {bins, steps});
}

CapsuleLayer::CapsuleLayer(const Options& chosen) : options(chosen) {
  check(options.shared || options.in_capsules > 0, "CapsuleLayer",
        "in_capsules must be positive unless the weights are shared; got ", options.in_capsules);
  check(options.out_capsules > 0 && options.in_dim > 0 && options.out_dim > 0, "CapsuleLayer",
        "out_capsules, in_dim and out_dim must be positive; got ", options.out_capsules, ", ",
        options.in_dim, " and ", options.out_dim);
  check(options.iterations > 0, "CapsuleLayer", "iterations must be positive; got ",
        options.iterations);
  const std::int64_t matrices = options.shared ? 1 : options.in_capsules;
  weight = register_parameter(
      "weight", init::vote_init({matrices, options.out_capsules, options.in_dim, options.out_dim},
                                options.gain));
  if (options.bias) {
    bias = register_parameter("bias", init::zeros({options.out_capsules, options.out_dim}));
  }
}

Variable CapsuleLayer::forward(const Variable& u, const Indices& lengths) {
  return capsule_layer(
      u, weight, bias,
      {.iterations = options.iterations, .gradient = options.gradient, .lengths = lengths});
}

}  // namespace serenade
