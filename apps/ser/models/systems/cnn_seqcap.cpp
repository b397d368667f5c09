// CNN_SeqCap (Wu et al., ICASSP 2019 and 2022): convolutions, capsules per window and per
// utterance, dense, ReLU, dense. 703,540 parameters with 4,096 bins.

#include "apps/ser/models/sequential_capsules.h"
#include "apps/ser/models/shared_cnn.h"
#include "autograd/functions.h"
#include "nn/dropout.h"
#include "nn/linear.h"

namespace serenade::ser {

namespace {

class CnnSeqCap : public Recognizer {
 public:
  CnnSeqCap(const RecognizerOptions& options, Builder& builder)
      : cnn_(options, builder),
        capsules_({.in_channels = SharedCnn::kChannels,
                   .bins = cnn_.output_bins(),
                   .classes = options.classes,
                   .iterations = options.routing_iterations,
                   .gradient = options.routing_gradient,
                   .utterance_norm = options.utterance_norm,
                   .vote_gain = options.vote_gain}),
        dropout_({.p = options.dropout}),
        dense_(builder.choose(
            "dense", {.in_channels = options.classes * (capsules_.options.utterance_dim + 1)})),
        out_({.in_features = builder.width("dense"), .out_features = options.classes}) {
    register_module("cnn", cnn_);
    register_module("capsules", capsules_);
    register_module("dropout", dropout_);
    register_module("dense", *dense_);
    register_module("out", out_);
  }

  Variable forward(const Variable& x) override {
    const Variable utterance = capsules_.forward(cnn_.forward(x));
    const Variable features = dropout_.forward(append_norms(utterance));
    return out_.forward(relu(dense_->forward(features)));
  }

  std::int64_t macs(std::int64_t frames) override {
    return cnn_.macs(frames) + capsules_.macs(SharedCnn::output_steps(frames)) +
           weight_count(*dense_) + weight_count(out_);
  }

  CapsuleNorms capsule_norms() const override {
    return {capsules_.mean_window_norm(), capsules_.mean_utterance_norm()};
  }

 private:
  SharedCnn cnn_;
  SequentialCapsules capsules_;
  Dropout dropout_;
  std::unique_ptr<Layer> dense_;
  Linear out_;
};

SearchSpace space_of(const RecognizerOptions& options) {
  SearchSpace space = cnn_search_space(options);
  space.choices.push_back(
      {.name = "dense", .candidates = {"32", "48", "64", "80"}, .kind = "width"});
  return space;
}

}  // namespace

SystemRow cnn_seqcap_system() {
  return {.name = kSeqCap,
          .summary = "convolutions, capsules over windows and utterance, two dense layers",
          .search_space = space_of,
          .baseline =
              [](const RecognizerOptions& options) {
                return make_genotype(space_of(options), {0, 0, 0, 0, 2});
              },
          .make = [](const RecognizerOptions& options,
                     Builder& builder) { return std::make_unique<CnnSeqCap>(options, builder); }};
}

}  // namespace serenade::ser
