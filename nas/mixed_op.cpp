#include "nas/mixed_op.h"

#include <algorithm>
#include <cmath>

#include "autograd/engine.h"
#include "nas/search_space.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/linear.h"
#include "tensor/check.h"

namespace serenade {

namespace {

void multiply(Variable& parameter, real gain) {
  if (gain == 1) return;
  const NoGrad no_graph;
  parameter.value().copy_(affine(parameter, gain).value());
}

// c[i] as a tensor of one element, which broadcasts.
Variable entry(const Variable& c, std::size_t i) {
  return slice(c, 0, static_cast<std::int64_t>(i), 1);
}

// Adds a term to a sum that may not have begun.
void accumulate(Variable& total, const Variable& term) {
  total = total.defined() ? add(total, term) : term;
}

}  // namespace

real supernet_gain(Mode mode, std::int64_t n) {
  const bool mixes = mode == Mode::joint || mode == Mode::dropout;
  return mixes ? std::sqrt(static_cast<real>(n)) : real(1);
}

// MixedOp -----------------------------------------------------------------------------------------

MixedOp::MixedOp(std::vector<std::string> candidates)
    : candidates_(std::move(candidates)), update_counts_(candidates_.size(), 0) {
  check(!candidates_.empty(), "MixedOp", "there must be at least one candidate; got none");
  alpha_ = register_parameter("alpha", Tensor({candidate_count()}));
  path_ = full_path(candidate_count());
  register_module("ops", ops_);
}

std::vector<double> MixedOp::probabilities() const {
  const NoGrad no_graph;
  const std::vector<real> a = softmax(alpha_, 0).value().to(Device::cpu).to_vector();
  return {a.begin(), a.end()};
}

std::int64_t MixedOp::choice() const {
  const std::vector<real> alpha = alpha_.value().to(Device::cpu).to_vector();
  return std::max_element(alpha.begin(), alpha.end()) - alpha.begin();
}

void MixedOp::set_path(Path path) {
  check(path.active.size() == candidates_.size() && path.active_count() >= 1, "MixedOp",
        "the path must have one digit per candidate, and not all 0; got '", path.to_string(),
        "' for ", candidates_.size());
  path_ = std::move(path);
}

void MixedOp::set_update_counts(std::vector<std::int64_t> counts) {
  check(counts.size() == candidates_.size(), "MixedOp",
        "there must be one count per candidate; got ", counts.size(), " for ", candidates_.size());
  update_counts_ = std::move(counts);
}

void MixedOp::count_update() {
  for (std::size_t i = 0; i < update_counts_.size(); ++i) update_counts_[i] += path_.active[i];
}

std::vector<Variable> MixedOp::candidate_parameters(std::int64_t i) const {
  check(0 <= i && i < candidate_count(), "MixedOp", "the candidate must be one of 0 .. ",
        candidate_count() - 1, "; got ", i);
  return ops_.children()[static_cast<std::size_t>(i)].second->parameters();
}

Variable MixedOp::observed(const Variable& y) const {
  if (watching_) watched_ = y.detach();
  return y;
}

double MixedOp::activation_rms() const {
  if (watched_.defined()) {
    const NoGrad no_graph;
    activation_rms_ = std::sqrt(static_cast<double>(mean(mul(watched_, watched_)).item()));
    watched_ = Variable();
  }
  return activation_rms_;
}

std::vector<NamedMixedOp> find_mixed_ops(Module& module) {
  std::vector<NamedMixedOp> found;
  for (const auto& [name, part] : module.named_modules()) {
    if (auto* op = dynamic_cast<MixedOp*>(part)) found.push_back({name, op});
  }
  return found;
}

// MixedConv2d -------------------------------------------------------------------------------------

MixedConv2d::MixedConv2d(const Options& options) : MixedOp(options.kernels), naive_(options.naive) {
  for (const std::string& kernel : options.kernels) {
    layers_.push_back(
        std::make_unique<Conv2d>(Conv2d::Options{.in_channels = options.in_channels,
                                                 .out_channels = options.out_channels,
                                                 .kernel_size = parse_kernel(kernel)}));
    register_candidate(*layers_.back());
    multiply(layers_.back()->weight, options.gain);
    weights_.push_back(layers_.back()->weight);
    biases_.push_back(layers_.back()->bias);
  }
}

MixedConv2d::~MixedConv2d() = default;

Variable MixedConv2d::forward(const Variable& x) const {
  if (!path().uses_alpha) {
    const auto chosen = static_cast<std::size_t>(path().first_active());
    return observed(layers_[chosen]->forward(x));
  }
  const Variable c = coefficients();
  return observed(naive_ ? mixed_conv2d_naive(x, weights_, biases_, c, path().active)
                         : mixed_conv2d(x, weights_, biases_, c, path().active));
}

Variable MixedConv2d::forward_relu_maxpool(const Variable& x,
                                           std::array<std::int64_t, 2> window) const {
  if (naive_ && path().uses_alpha) {
    const Variable mixed = mixed_conv2d_naive(x, weights_, biases_, coefficients(), path().active);
    return observed(max_pool2d(relu(mixed), window));
  }
  const auto [kernel, bias] = merged();
  const Conv2dOptions same{.padding = same_padding({kernel.size(2), kernel.size(3)})};
  const std::uint64_t unused = path().uses_alpha ? unused_taps(weights_, path().active) : 0;
  return observed(conv2d_relu_maxpool(x, kernel, bias, same, window, unused));
}

ConvBranch MixedConv2d::merged() const {
  if (!path().uses_alpha) {
    const auto chosen = static_cast<std::size_t>(path().first_active());
    return {weights_[chosen], biases_[chosen]};
  }
  const Variable c = coefficients();
  return {mixed_kernel(weights_, c, path().active), mixed_bias(biases_, c, path().active)};
}

// MixedLinear -------------------------------------------------------------------------------------

MixedLinear::MixedLinear(const Options& options)
    : MixedOp(options.widths), in_features_(options.in_features), naive_(options.naive) {
  for (const std::string& width : options.widths) {
    const std::int64_t out = parse_width(width);
    layers_.push_back(std::make_unique<Linear>(
        Linear::Options{.in_features = in_features_, .out_features = out}));
    register_candidate(*layers_.back());
    multiply(layers_.back()->weight, options.gain);
    weights_.push_back(layers_.back()->weight);
    biases_.push_back(layers_.back()->bias);
    widest_ = std::max(widest_, out);
  }
}

MixedLinear::~MixedLinear() = default;

Variable MixedLinear::forward(const Variable& x) const {
  const Variable c = coefficients();
  const std::vector<bool>& active = path().active;
  if (naive_) {
    Variable total;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (!active[i]) continue;
      const Variable y = layers_[i]->forward(x);
      accumulate(total, mul(pad(y, -1, 0, widest_ - y.size(-1)), entry(c, i)));
    }
    return observed(total);
  }
  // A weight is stored row after row, so padding it with rows of zeros is padding its numbers, read
  // as a vector, with zeros at the end: what mixed_bias does.
  std::vector<Variable> rows;
  for (const Variable& weight : weights_) rows.push_back(flatten(weight));
  const Variable merged = reshape(mixed_bias(rows, c, active), {-1, in_features_});
  const Variable y = linear(x, merged, mixed_bias(biases_, c, active));
  return observed(y.size(-1) == widest_ ? y : pad(y, -1, 0, widest_ - y.size(-1)));
}

// MixedAttention ----------------------------------------------------------------------------------

MixedAttention::MixedAttention(const Options& options) : MixedOp(options.channels) {
  for (const std::string& channels : options.channels) {
    layers_.push_back(std::make_unique<AttentionPooling>(
        AttentionPooling::Options{.input_size = options.input_size,
                                  .channels = parse_width(channels),
                                  .classes = options.classes,
                                  .relu = options.relu}));
    register_candidate(*layers_.back());
    multiply(layers_.back()->top_down.weight, options.gain);
  }
}

MixedAttention::~MixedAttention() = default;

Variable MixedAttention::forward(const Variable& h, const Indices& lengths) const {
  if (!path().uses_alpha) {
    const auto chosen = static_cast<std::size_t>(path().first_active());
    return observed(layers_[chosen]->forward(h, lengths));
  }
  const Variable c = coefficients();
  Variable total;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    if (path().active[i]) accumulate(total, mul(layers_[i]->forward(h, lengths), entry(c, i)));
  }
  return observed(total);
}

}  // namespace serenade
