// Capsule layers: the shapes between convolution, votes and routing. The arithmetic is in
// autograd/functions.

#include "nn/capsule.h"

#include <algorithm>

#include "autograd/engine.h"
#include "nn/init.h"
#include "tensor/check.h"

namespace serenade {

namespace {

std::int64_t ceil_divide(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// 1 at steps before a sample's length, 0 from there on: [N, 1, 1, T].
Tensor step_mask(const Indices& lengths, std::int64_t steps, Device device) {
  const std::int64_t samples = static_cast<std::int64_t>(lengths.size());
  std::vector<real> mask;
  mask.reserve(static_cast<std::size_t>(samples * steps));
  for (const std::int64_t length : lengths) {
    for (std::int64_t t = 0; t < steps; ++t) mask.push_back(t < length ? real(1) : real(0));
  }
  return Tensor::from(mask, {samples, 1, 1, steps}, device);
}

/// Mean length of the capsules of which `counts` (if any) says how many rows per sample are valid.
/// capsules: [N, rows, J, D].
double mean_length(const Tensor& capsules, const Indices& counts) {
  if (!capsules.defined()) return 0;
  const NoGrad no_grad;
  const Tensor lengths = capsule_norm(capsules).value().to(Device::cpu).contiguous();
  const std::int64_t samples = lengths.size(0), rows = lengths.size(1), size = lengths.size(2);
  const real* at = lengths.data();
  double total = 0;
  std::int64_t count = 0;
  for (std::int64_t n = 0; n < samples; ++n, at += rows * size) {
    const std::int64_t valid = counts.empty() ? rows : counts[static_cast<std::size_t>(n)];
    for (std::int64_t i = 0; i < valid * size; ++i) total += at[i];
    count += valid * size;
  }
  return count > 0 ? total / static_cast<double>(count) : 0;
}

}  // namespace

PrimaryCapsules::PrimaryCapsules(const Options& chosen) : options(chosen) {
  check(options.in_channels > 0 && options.types > 0 && options.dim > 0, "PrimaryCapsules",
        "in_channels, types and dim must be positive; got ", options.in_channels, ", ",
        options.types, " and ", options.dim);
  check(options.kernel_size[0] > 0 && options.kernel_size[1] > 0 && options.stride[0] > 0 &&
            options.stride[1] > 0,
        "PrimaryCapsules", "kernel_size and stride must be positive; got ", options.kernel_size[0],
        " x ", options.kernel_size[1], " and ", options.stride[0], " x ", options.stride[1]);
  const std::int64_t channels = options.types * options.dim;
  weight = register_parameter(
      "weight", init::xavier_uniform({channels, options.in_channels, options.kernel_size[0],
                                      options.kernel_size[1]}));
  bias = register_parameter("bias", init::zeros({channels}));
}

Variable PrimaryCapsules::forward(const Variable& x) const {
  check(x.dim() == 4, "PrimaryCapsules", "input must be [N, C, F, T]; got ", x.shape());
  const Padding padding = same_padding(options.kernel_size, options.stride, {x.size(2), x.size(3)});
  const Variable y = conv2d(x, weight, bias, {.stride = options.stride, .padding = padding});
  // [N, types * dim, F', T'] -> [N, types, F', T', dim]: the components become the last axis.
  const Variable cut = reshape(y, {y.size(0), options.types, options.dim, y.size(2), y.size(3)});
  return squash(flatten(permute(cut, {0, 1, 3, 4, 2}), 1, 3));
}

std::int64_t PrimaryCapsules::capsule_count(std::int64_t bins, std::int64_t steps) const {
  return options.types * ceil_divide(bins, options.stride[0]) *
         ceil_divide(steps, options.stride[1]);
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

Variable CapsuleLayer::forward(const Variable& u, const Indices& lengths) const {
  return capsule_layer(
      u, weight, bias,
      {.iterations = options.iterations, .gradient = options.gradient, .lengths = lengths});
}

SequentialCapsules::SequentialCapsules(const Options& chosen)
    : options(chosen),
      primary({.in_channels = options.in_channels,
               .types = options.types,
               .dim = options.primary_dim,
               .kernel_size = options.kernel_size,
               .stride = options.stride}),
      window_caps({.in_capsules = primary.capsule_count(options.bins, options.window),
                   .out_capsules = options.window_capsules,
                   .in_dim = options.primary_dim,
                   .out_dim = options.window_dim,
                   .iterations = options.iterations,
                   .gradient = options.gradient,
                   .gain = options.vote_gain}),
      utterance_caps({.out_capsules = options.classes,
                      .in_dim = options.window_capsules * (options.window_dim + 1),
                      .out_dim = options.utterance_dim,
                      .iterations = options.iterations,
                      .gradient = options.gradient,
                      .shared = true,
                      .gain = options.vote_gain}) {
  check(options.window > 0 && options.shift > 0 && options.shift <= options.window,
        "SequentialCapsules", "window must be positive and shift in 1 .. window; got ",
        options.window, " and ", options.shift);
  register_module("primary", primary);
  register_module("window_caps", window_caps);
  register_module("utterance_caps", utterance_caps);
}

std::int64_t SequentialCapsules::window_count(std::int64_t steps) const {
  return 1 + ceil_divide(std::max<std::int64_t>(0, steps - options.window), options.shift);
}

Variable SequentialCapsules::forward(const Variable& x, const Indices& lengths) {
  check(x.dim() == 4 && x.size(1) == options.in_channels && x.size(2) == options.bins,
        "SequentialCapsules", "input must be [N, ", options.in_channels, ", ", options.bins,
        ", T]; got ", x.shape());
  const std::int64_t steps = x.size(3);
  check(lengths.empty() || static_cast<std::int64_t>(lengths.size()) == x.size(0),
        "SequentialCapsules", "lengths must be one per sample; got ", lengths.size(), " for ",
        x.shape());
  Indices counts;
  for (const std::int64_t length : lengths) {
    check(length >= 1 && length <= steps, "SequentialCapsules", "a length must be in 1 .. T; got ",
          length, " for ", x.shape());
    counts.push_back(window_count(length));
  }
  last_counts_ = counts;
  const Variable valid =
      lengths.empty() ? x : mul(x, Variable(step_mask(lengths, steps, x.device())));

  Variable vectors = window_vectors(valid);
  if (options.utterance_norm == UtteranceNorm::mean) vectors = scaled_by_count(vectors, counts);
  const Variable utterance = utterance_caps.forward(vectors, counts);
  last_utterance_capsules_ = utterance.value();
  return utterance;
}

/// One vector per window: [N, C, F, T] -> [N, windows, J * D + J].
Variable SequentialCapsules::window_vectors(const Variable& x) {
  const Variable cut = unfold(x, options.window, options.shift);  // [N, windows, C, F, size]
  const std::int64_t samples = cut.size(0), count = cut.size(1);
  const Variable v = window_caps.forward(primary.forward(flatten(cut, 0, 1)));
  last_window_capsules_ =
      v.value().reshape({samples, count, options.window_capsules, options.window_dim});
  return reshape(append_norms(v), {samples, count, -1});
}

/// Votes are linear in their capsule, so dividing the vectors by the number of windows divides the
/// votes. vectors: [N, windows, size].
Variable SequentialCapsules::scaled_by_count(const Variable& vectors, const Indices& counts) const {
  std::vector<real> scale(static_cast<std::size_t>(vectors.size(0)));
  for (std::size_t n = 0; n < scale.size(); ++n) {
    scale[n] = real(1) / static_cast<real>(counts.empty() ? vectors.size(1) : counts[n]);
  }
  return mul(vectors, Variable(Tensor::from(scale, {vectors.size(0), 1, 1}, vectors.device())));
}

double SequentialCapsules::mean_window_norm() const {
  return mean_length(last_window_capsules_, last_counts_);
}

double SequentialCapsules::mean_utterance_norm() const {
  if (!last_utterance_capsules_.defined()) return 0;
  const Shape& shape = last_utterance_capsules_.shape();
  return mean_length(last_utterance_capsules_.reshape({shape[0], 1, shape[1], shape[2]}), {});
}

}  // namespace serenade
