// CNN_GRU_att (Wu et al., ICASSP 2022, after Li et al., Interspeech 2018): convolutions, a
// bidirectional GRU of 64 cells per direction over the time steps, attention pooling. 833,076
// parameters with 4,096 bins.

#include "apps/ser/models/shared_cnn.h"
#include "autograd/functions.h"
#include "nn/attention.h"
#include "nn/dropout.h"

namespace serenade::ser {

namespace {

class CnnGruAtt : public Recognizer {
 public:
  CnnGruAtt(const RecognizerOptions& options, Builder& builder)
      : scope_(options.attention_scope),
        cnn_(options, builder),
        gru_({.input_size = SharedCnn::kChannels * cnn_.output_bins(),
              .hidden_size = options.gru_cells,
              .bidirectional = true,
              .bias = options.gru_bias,
              .reset = options.gru_reset}),
        dropout_({.p = options.dropout}),
        attention_(builder.choose("attention", [&](const std::string& channels, real gain) {
          auto layer = std::make_unique<AttentionPooling>(
              AttentionPooling::Options{.input_size = 2 * options.gru_cells,
                                        .channels = parse_width(channels),
                                        .classes = options.classes,
                                        .relu = options.attention_relu});
          // Scores are linear in the class-specific maps.
          scale_weight(layer->top_down.weight, gain);
          return layer;
        })) {
    register_module("cnn", cnn_);
    register_module("gru", gru_);
    register_module("dropout", dropout_);
    register_module("attention", *attention_);
  }

  Variable forward(const Variable& x) override {
    // [N, 16, F', T'] to one vector per step, feature = channel * F' + bin.
    const Variable steps = flatten(permute(cnn_.forward(x), {0, 3, 1, 2}), 2);
    Variable states = gru_.forward(steps);
    if (scope_ == AttentionScope::final) {
      const Variable last = gru_.last_state(states);
      states = reshape(last, {last.size(0), 1, last.size(1)});
    }
    return attention_->forward(dropout_.forward(states));
  }

  std::int64_t macs(std::int64_t frames) override {
    const std::int64_t steps = SharedCnn::output_steps(frames);
    const std::int64_t attended = scope_ == AttentionScope::final ? 1 : steps;
    return cnn_.macs(frames) + weight_count(gru_) * steps + weight_count(*attention_) * attended;
  }

 private:
  AttentionScope scope_;
  SharedCnn cnn_;
  GRU gru_;
  Dropout dropout_;
  std::unique_ptr<Layer> attention_;
};

SearchSpace space_of(const RecognizerOptions& options) {
  SearchSpace space = cnn_search_space(options);
  space.choices.push_back({.name = "attention", .candidates = {"32", "48", "64", "80"}});
  return space;
}

}  // namespace

SystemRow cnn_gru_att_system() {
  return {.name = kGruAtt,
          .summary = "convolutions, bidirectional GRU, attention pooling",
          .search_space = space_of,
          .baseline =
              [](const RecognizerOptions& options) {
                return make_genotype(space_of(options), {0, 0, 0, 0, 2});
              },
          .make = [](const RecognizerOptions& options,
                     Builder& builder) { return std::make_unique<CnnGruAtt>(options, builder); }};
}

}  // namespace serenade::ser
