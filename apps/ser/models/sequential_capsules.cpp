#include "apps/ser/models/sequential_capsules.h"

#include <algorithm>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/ceil_div.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

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
  return 1 + ceil_div(std::max<std::int64_t>(0, steps - options.window), options.shift);
}

std::int64_t SequentialCapsules::macs(std::int64_t steps) const {
  const auto routing = [](const CapsuleLayer::Options& layer, std::int64_t in_capsules) {
    return (2 * layer.iterations - 1) * in_capsules * layer.out_capsules * layer.out_dim;
  };
  const std::int64_t windows = window_count(steps);
  const std::int64_t places = window_caps.options.in_capsules / options.types;
  const std::int64_t per_window = primary.weight.numel() * places + window_caps.weight.numel() +
                                  routing(window_caps.options, window_caps.options.in_capsules);
  return windows * (per_window + utterance_caps.weight.numel()) +
         routing(utterance_caps.options, windows);
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
  Variable utterance = utterance_caps.forward(vectors, counts);
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

}  // namespace serenade::ser
