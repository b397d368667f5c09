#include "apps/ser/models/systems.h"

#include <array>
#include <optional>

#include "apps/ser/common/error.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/mixed_op.h"
#include "nn/attention.h"
#include "nn/conv.h"
#include "nn/dropout.h"
#include "nn/linear.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

constexpr std::int64_t kBranchChannels = 8;  // of conv1 and of conv2
constexpr std::int64_t kChannels = 16;
constexpr std::int64_t kBinPooling = 32;  // 2 * 2 * 2 * 4
constexpr std::int64_t kStepPooling = 4;  // 2 * 2

// How a layer is made: the one candidate of a genotype, or all of them.
struct Recipe {
  SearchSpace space;
  std::optional<Genotype> genotype;  // absent: a supernet
  Mode mode = Mode::none;
  bool equal_gain = false;

  const std::vector<std::string>& candidates(const std::string& layer) const {
    return space.choices[space.choice_index(layer)].candidates;
  }
  real gain(const std::string& layer) const {
    const auto n = static_cast<std::int64_t>(candidates(layer).size());
    return equal_gain ? real(1) : supernet_gain(mode, n);
  }
};

// One convolution of the network: a single kernel, or a mixture.
class ConvStage {
 public:
  ConvStage(const Recipe& recipe, const std::string& layer, std::int64_t in, std::int64_t out) {
    if (recipe.genotype) {
      single_ = std::make_unique<Conv2d>(
          Conv2d::Options{.in_channels = in,
                          .out_channels = out,
                          .kernel_size = parse_kernel(recipe.genotype->candidate(layer))});
    } else {
      mixed_ =
          std::make_unique<MixedConv2d>(MixedConv2d::Options{.in_channels = in,
                                                             .out_channels = out,
                                                             .kernels = recipe.candidates(layer),
                                                             .gain = recipe.gain(layer)});
    }
  }

  Module& module() { return single_ ? static_cast<Module&>(*single_) : *mixed_; }

  // The convolution itself, to be run beside another; observe() then sees its channels of the
  // output.
  ConvBranch branch() const {
    return single_ ? ConvBranch{single_->weight, single_->bias} : mixed_->merged();
  }
  void observe(const Variable& y, std::int64_t first_channel) const {
    if (!mixed_ || !mixed_->watching()) return;
    const NoGrad no_grad;
    mixed_->observe(slice(y, 1, first_channel, kBranchChannels));
  }

  Variable relu_maxpool(const Variable& x, std::array<std::int64_t, 2> window) const {
    return single_ ? single_->forward_relu_maxpool(x, window)
                   : mixed_->forward_relu_maxpool(x, window);
  }

 private:
  std::unique_ptr<Conv2d> single_;
  std::unique_ptr<MixedConv2d> mixed_;
};

// The convolutional part that both systems share. x: [N, 1, F, T]; result [N, 16, F / 32, T / 4].
class SharedCnn : public Module {
 public:
  explicit SharedCnn(const Recipe& recipe)
      : conv1_(recipe, "conv1", 1, kBranchChannels),
        conv2_(recipe, "conv2", 1, kBranchChannels),
        conv3_(recipe, "conv3", kChannels, kChannels),
        conv4_(recipe, "conv4", kChannels, kChannels) {
    register_module("conv1", conv1_.module());
    register_module("conv2", conv2_.module());
    register_module("conv3", conv3_.module());
    register_module("conv4", conv4_.module());
  }

  Variable forward(const Variable& x) const {
    // ReLU and pooling treat every channel alone, so they are done before the concatenation, where
    // they fuse with the convolutions.
    const Variable branches =
        conv2d_relu_maxpool_branches(x, {conv1_.branch(), conv2_.branch()}, {2, 1});
    conv1_.observe(branches, 0);
    conv2_.observe(branches, kBranchChannels);
    const Variable body = conv4_.relu_maxpool(conv3_.relu_maxpool(branches, {2, 2}), {2, 2});
    return max_pool2d(body, {4, 1});
  }

 private:
  ConvStage conv1_, conv2_, conv3_, conv4_;
};

// What both systems do first: bring an utterance shorter than one pooled step to that length with
// zeros (the mean of normalised features), and run the convolutions.
Variable cnn_features(const SharedCnn& cnn, const Variable& x, std::int64_t bins) {
  check(x.dim() == 4 && x.size(1) == 1 && x.size(2) == bins && x.size(3) >= 1, "system",
        "spectrograms must be [N, 1, ", bins, ", T]; got ", x.shape());
  const std::int64_t missing = kStepPooling - x.size(3);
  return cnn.forward(missing > 0 ? pad(x, 3, 0, missing) : x);
}

class GruAttentionSystem : public System {
 public:
  GruAttentionSystem(const SystemOptions& options, const Recipe& recipe)
      : options_(options),
        cnn_(recipe),
        gru_({.input_size = kChannels * (options.bins / kBinPooling),
              .hidden_size = options.gru_cells,
              .bidirectional = true,
              .bias = options.gru_bias,
              .reset = options.gru_reset}),
        dropout_({.p = options.dropout}) {
    register_module("cnn", cnn_);
    register_module("gru", gru_);
    register_module("dropout", dropout_);
    const std::int64_t states = 2 * options.gru_cells;
    if (recipe.genotype) {
      attention_ = std::make_unique<AttentionPooling>(AttentionPooling::Options{
          .input_size = states,
          .channels = parse_width(recipe.genotype->candidate("attention")),
          .classes = options.classes,
          .relu = options.attention_relu});
      register_module("attention", *attention_);
    } else {
      mixed_attention_ = std::make_unique<MixedAttention>(
          MixedAttention::Options{.input_size = states,
                                  .channels = recipe.candidates("attention"),
                                  .classes = options.classes,
                                  .relu = options.attention_relu,
                                  .gain = recipe.gain("attention")});
      register_module("attention", *mixed_attention_);
    }
  }

  Variable forward(const Variable& x) override {
    const Variable features = cnn_features(cnn_, x, options_.bins);
    // [N, 16, F', T'] to one vector per step, feature = channel * F' + bin.
    const Variable steps = flatten(permute(features, {0, 3, 1, 2}), 2);
    Variable states = gru_.forward(steps);
    if (options_.attention_scope == AttentionScope::final) {
      const Variable last = gru_.last_state(states);
      states = reshape(last, {last.size(0), 1, last.size(1)});
    }
    states = dropout_.forward(states);
    return attention_ ? attention_->forward(states) : mixed_attention_->forward(states);
  }

 private:
  SystemOptions options_;
  SharedCnn cnn_;
  GRU gru_;
  Dropout dropout_;
  std::unique_ptr<AttentionPooling> attention_;
  std::unique_ptr<MixedAttention> mixed_attention_;
};

class CapsuleSystem : public System {
 public:
  CapsuleSystem(const SystemOptions& options, const Recipe& recipe)
      : options_(options),
        cnn_(recipe),
        capsules_({.in_channels = kChannels,
                   .bins = options.bins / kBinPooling,
                   .classes = options.classes,
                   .iterations = options.routing_iterations,
                   .gradient = options.routing_gradient,
                   .utterance_norm = options.utterance_norm,
                   .vote_gain = options.vote_gain}),
        dropout_({.p = options.dropout}) {
    register_module("cnn", cnn_);
    register_module("capsules", capsules_);
    register_module("dropout", dropout_);
    const std::int64_t features = options.classes * (capsules_.options.utterance_dim + 1);
    std::int64_t width = 0;
    if (recipe.genotype) {
      width = parse_width(recipe.genotype->candidate("dense"));
      dense_ =
          std::make_unique<Linear>(Linear::Options{.in_features = features, .out_features = width});
      register_module("dense", *dense_);
    } else {
      mixed_dense_ =
          std::make_unique<MixedLinear>(MixedLinear::Options{.in_features = features,
                                                             .widths = recipe.candidates("dense"),
                                                             .gain = recipe.gain("dense")});
      width = mixed_dense_->widest();
      register_module("dense", *mixed_dense_);
    }
    out_ = std::make_unique<Linear>(
        Linear::Options{.in_features = width, .out_features = options.classes});
    register_module("out", *out_);
  }

  Variable forward(const Variable& x) override {
    const Variable utterance = capsules_.forward(cnn_features(cnn_, x, options_.bins));
    const Variable features = dropout_.forward(append_norms(utterance));
    return out_->forward(
        relu(dense_ ? dense_->forward(features) : mixed_dense_->forward(features)));
  }

  CapsuleNorms capsule_norms() const override {
    return {capsules_.mean_window_norm(), capsules_.mean_utterance_norm()};
  }

 private:
  SystemOptions options_;
  SharedCnn cnn_;
  SequentialCapsules capsules_;
  Dropout dropout_;
  std::unique_ptr<Linear> dense_;
  std::unique_ptr<MixedLinear> mixed_dense_;
  std::unique_ptr<Linear> out_;
};

void check_options(const SystemOptions& options) {
  if (options.name != kGruAtt && options.name != kSeqCap) {
    throw InputError("unknown system '" + options.name + "'; there are " + kGruAtt + " and " +
                     kSeqCap);
  }
  check(options.bins >= kBinPooling, "system", "at least ", kBinPooling,
        " frequency bins are needed (they are pooled by that); got ", options.bins);
  check(options.classes >= 2, "system", "at least two classes; got ", options.classes);
}

std::unique_ptr<System> make(const SystemOptions& options, const Recipe& recipe) {
  if (options.name == kGruAtt) return std::make_unique<GruAttentionSystem>(options, recipe);
  return std::make_unique<CapsuleSystem>(options, recipe);
}

}  // namespace

SearchSpace search_space(const SystemOptions& options) {
  check_options(options);
  const std::vector<std::string> wide = {"2x8", "2x7", "2x6", "1x9", "1x10", "3x5"};
  const std::vector<std::string> tall = {"8x2", "7x2", "6x2", "9x1", "10x1", "5x3"};
  const std::vector<std::string> body = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"};
  const std::vector<std::string> widths = {"32", "48", "64", "80"};
  const bool transposed = options.conv2_set == Conv2Set::transposed;
  SearchSpace space;
  space.choices = {
      {.name = "conv1", .candidates = wide, .inputs = {"input"}},
      {.name = "conv2", .candidates = transposed ? tall : wide, .inputs = {"input"}},
      {.name = "conv3", .candidates = body, .inputs = {"conv1", "conv2"}},
      {.name = "conv4", .candidates = body},
      {.name = options.name == kGruAtt ? "attention" : "dense", .candidates = widths},
  };
  return space;
}

Genotype baseline_genotype(const SystemOptions& options) {
  const SearchSpace space = search_space(options);
  // conv2's hand-made 8x2 is only in the transposed set; the literal set starts with 2x8.
  return make_genotype(space, {0, 0, 0, 0, 2});
}

std::unique_ptr<System> make_system(const SystemOptions& options, const Genotype& genotype) {
  Recipe recipe{.space = search_space(options), .genotype = genotype};
  check_genotype(genotype, recipe.space);
  return make(options, recipe);
}

std::unique_ptr<System> make_supernet(const SystemOptions& options, Mode mode, bool equal_gain) {
  return make(options, Recipe{.space = search_space(options),
                              .genotype = std::nullopt,
                              .mode = mode,
                              .equal_gain = equal_gain});
}

std::vector<PartCount> part_counts(const Module& system) {
  std::vector<PartCount> parts;
  for (const auto& [name, module] : system.children()) {
    if (module->parameter_count() == 0) continue;
    // Capsules are three parts of the paper's text; the others are one each.
    if (name == "capsules") {
      for (const PartCount& inner : part_counts(*module)) {
        parts.push_back({name + "." + inner.name, inner.parameters});
      }
    } else {
      parts.push_back({name, module->parameter_count()});
    }
  }
  return parts;
}

std::int64_t count_parameters(const SystemOptions& options, const Genotype& genotype) {
  return make_system(options, genotype)->parameter_count();
}

std::string to_string(AttentionScope scope) {
  return scope == AttentionScope::sequence ? "sequence" : "final";
}

std::string to_string(Conv2Set set) { return set == Conv2Set::transposed ? "transposed" : "same"; }

AttentionScope attention_scope(const std::string& word) {
  if (word == "sequence") return AttentionScope::sequence;
  if (word == "final") return AttentionScope::final;
  throw InputError("attention_scope must be sequence or final; got '" + word + "'");
}

Conv2Set conv2_set(const std::string& word) {
  if (word == "transposed") return Conv2Set::transposed;
  if (word == "same") return Conv2Set::same;
  throw InputError("conv2_set must be transposed or same; got '" + word + "'");
}

}  // namespace serenade::ser
