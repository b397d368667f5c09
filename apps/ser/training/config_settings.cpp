// The table of settings: one row each.

#include <charconv>
#include <sstream>

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/common/error.h"
#include "apps/ser/corpus/label_choice.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/search.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

template <class Number>
Number parse_number(const std::string& key, const std::string& text, Number low, Number high) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool in_range = value >= low && value <= high;  // false for nan
  if (error != std::errc() || end != text.data() + text.size() || !in_range) {
    std::ostringstream message;
    message << key << " must be a " << (std::is_integral_v<Number> ? "whole number" : "number")
            << " from " << low << " to " << high << "; got '" << text << "'";
    throw InputError(message.str());
  }
  return value;
}

bool parse_bool(const std::string& key, const std::string& text) {
  if (text == "true" || text == "yes" || text == "1") return true;
  if (text == "false" || text == "no" || text == "0") return false;
  throw InputError(key + " must be true or false; got '" + text + "'");
}

std::string number_text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};  // of 24 characters at most
}

// Makers of table rows. `field` gives the member of a Config that the setting stands for.

template <class Field>
Setting text_setting(std::string key, std::string values, std::string help, Field field) {
  return {key, help, values, [=](const Config& c) { return field(const_cast<Config&>(c)); },
          [=](Config& c, const std::string& text) { field(c) = text; }};
}

template <class Field>
Setting int_setting(std::string key, std::int64_t low, std::int64_t high, std::string help,
                    Field field) {
  return {key, help, "INT",
          [=](const Config& c) { return std::to_string(field(const_cast<Config&>(c))); },
          [=](Config& c, const std::string& text) {
            using Number = std::remove_reference_t<decltype(field(c))>;
            field(c) = static_cast<Number>(parse_number<std::int64_t>(key, text, low, high));
          }};
}

template <class Field>
Setting real_setting(std::string key, double low, double high, std::string help, Field field) {
  return {key, help, "NUMBER",
          [=](const Config& c) { return number_text(field(const_cast<Config&>(c))); },
          [=](Config& c, const std::string& text) {
            field(c) = parse_number<double>(key, text, low, high);
          }};
}

template <class Field>
Setting bool_setting(std::string key, std::string help, Field field) {
  return {key, help, "true|false",
          [=](const Config& c) { return field(const_cast<Config&>(c)) ? "true" : "false"; },
          [=](Config& c, const std::string& text) { field(c) = parse_bool(key, text); }};
}

// One of the words of an enum.
template <NamedEnum E, class Field>
Setting word_setting(std::string key, std::string help, Field field) {
  return {key, help, join(enum_words<E>(), "|"),
          [=](const Config& c) { return std::string(to_string(field(const_cast<Config&>(c)))); },
          [=](Config& c, const std::string& text) { field(c) = parse_setting<E>(key, text); }};
}

// One of several names.
template <class Field>
Setting name_setting(std::string key, std::string help, std::vector<std::string> names,
                     Field field) {
  return {key, help, join(names, "|"),
          [=](const Config& c) { return field(const_cast<Config&>(c)); },
          [=](Config& c, const std::string& text) {
            field(c) = names[find_setting_word(key, text, names)];
          }};
}

Setting of_supernets(Setting setting) {
  setting.of_supernets = true;
  return setting;
}

template <class Row>
std::vector<std::string> names_of(const std::vector<Row>& rows) {
  std::vector<std::string> names;
  for (const Row& row : rows) names.push_back(row.name);
  return names;
}

#define FIELD(member) ([](Config & c) -> auto& { return c.member; })

// What they mean is checked when they are given, and a map is kept as it was then.
std::vector<Setting> label_settings() {
  return {
      name_setting("label_set", "which recordings count; default: impro4 for IEMOCAP",
                   label_set_names(), FIELD(label_set)),
      {"labels", "the classes, separated by commas; default: those of the label set", "A,B,..",
       [](const Config& c) { return c.labels; },
       [](Config& c, const std::string& text) { c.labels = join(label_names(text), ","); }},
      {"map", R"(what labels count as: a file like {"excited": "happy", "boredom": null})", "JSON",
       [](const Config& c) { return c.label_map; },
       [](Config& c, const std::string& text) { c.label_map = label_map_text(text); }},
  };
}

std::vector<Setting> corpus_settings() {
  return {
      text_setting("corpus", "PATH", "folder of the corpus, or a CSV manifest", FIELD(corpus)),
      name_setting("corpus_kind", "how the corpus is read; auto looks at the files", corpus_names(),
                   FIELD(corpus_kind)),
      text_setting("cache", "PATH", "folder where computed features are kept", FIELD(cache)),
      word_setting<CorpusMemory>("corpus_memory",
                                 "on a GPU: features in its memory, or sent from the host's; auto: "
                                 "in its memory if they fit",
                                 FIELD(corpus_memory)),
      word_setting<Direction>("direction", "which speaker of the held-out session tests",
                              FIELD(direction)),
      int_setting("folds", 0, 1000, "hold out only the first so many sessions; 0: all",
                  FIELD(folds)),
  };
}

std::vector<Setting> front_end_settings() {
  Setting preset{"preset", "front end; sets the next nine settings",
                 join(feature_preset_names(), "|"), [](const Config& c) { return c.preset; },
                 [](Config& c, const std::string& text) {
                   c.features = feature_preset(text);
                   c.preset = text;
                 }};
  return {
      preset,
      int_setting("n_fft", 2, 1 << 20, "points of the DFT", FIELD(features.n_fft)),
      int_setting("bins", 1, 1 << 19, "frequency bins kept (not for mel, pcen)",
                  FIELD(features.bins)),
      int_setting("window", 1, 1 << 16, "window in samples at 16 kHz", FIELD(features.window)),
      int_setting("hop_length", 1, 1 << 16, "samples from one window to the next",
                  FIELD(features.hop_length)),
      word_setting<FeatureKind>("feature", "value of a bin", FIELD(features.kind)),
      real_setting("offset", 0, 1e6, "added inside the logarithm", FIELD(features.offset)),
      int_setting("n_mels", 1, 4096, "bands of mel and pcen", FIELD(features.n_mels)),
      real_setting("trim", 0, 200,
                   "cut off edges so many dB below a recording's loudest 10 ms; 0: none",
                   FIELD(features.trim)),
      word_setting<RecordingLevel>("level", "as recorded, or all at one loudness (EBU R 128)",
                                   FIELD(features.level)),
      word_setting<NormalisationKind>("normalisation", "zero mean, unit variance over what",
                                      FIELD(normalisation)),
      int_setting("segment_frames", 4, 100000, "frames of a training segment",
                  FIELD(segments.length)),
      int_setting("segment_minimum", 1, 100000, "shorter tails are dropped",
                  FIELD(segments.minimum)),
  };
}

std::vector<Setting> training_settings() {
  return {
      int_setting("epochs", 1, 100000, "epochs of training one architecture", FIELD(epochs)),
      bool_setting("final",
                   "after the folds, train the run's model on all speakers (train, search)",
                   FIELD(final_model)),
      of_supernets(
          int_setting("search_epochs", 1, 100000, "epochs of the supernet", FIELD(search_epochs))),
      int_setting("batch_size", 1, 100000, "segments per step", FIELD(batch_size)),
      real_setting("learning_rate", 0, 100,
                   "a constant rate; 0: the paper's 1e-3, 5e-4, 2e-4, 1e-4", FIELD(learning_rate)),
      of_supernets(real_setting("alpha_learning_rate", 0, 100,
                                "of bi-level alphas, constant; joint ones have the weights' rate",
                                FIELD(search.alpha_learning_rate))),
      real_setting("gain_augment", 0, 60,
                   "each epoch, training recordings are up to so many dB louder or softer",
                   FIELD(gain_augment)),
      int_setting("seed", 0, INT64_MAX, "of all random numbers", FIELD(seed)),
  };
}

std::vector<Setting> search_settings() {
  return {
      of_supernets(word_setting<Bilevel>(
          "bilevel", "alphas and weights in turn, or one after the other", FIELD(search.bilevel))),
      of_supernets(int_setting("architecture_epochs", 1, 100000, "second stage of two_stage",
                               FIELD(search.architecture_epochs))),
      of_supernets(word_setting<SupernetGain>(
          "supernet_gain",
          "of mixed layers' initial weights: 1, or that which keeps a layer's scale",
          FIELD(supernet_gain))),
      text_setting("genotype", "FILE", "architecture to train (train); default: the hand-made one",
                   FIELD(genotype)),
  };
}

// Those that only some strategies read (StrategyOptions says more about each).
std::vector<Setting> strategy_settings() {
  constexpr int kMost = 1000000;
  const std::vector<std::string> trained_alone = {"random",    "evolution", "bayesian",
                                                  "reinforce", "halving",   "zero_cost"};
  const std::vector<std::string> with_noise = {"gumbel", "gdas"};
  std::vector<Setting> settings;
  const auto of = [&settings](const std::vector<std::string>& strategies, Setting setting) {
    setting.strategies = strategies;
    settings.push_back(std::move(setting));
  };
  of({"dropout"}, int_setting("num_masked", 0, 1000, "candidates masked per choice and step",
                              FIELD(search.num_masked)));
  of({"dropout"}, bool_setting("renormalize", "divide by the survivors' sum, not by (N - m) / N",
                               FIELD(search.renormalize)));
  of({"operation_dropout"},
     real_setting("drop_probability", 0, 0.999, "of a candidate in the last epoch; rises from 0",
                  FIELD(search.drop_probability)));
  of(with_noise, real_setting("temperature", 1e-6, 1e6, "in the first epoch; falls evenly",
                              FIELD(search.temperature)));
  of(with_noise, real_setting("final_temperature", 1e-6, 1e6, "in the last epoch",
                              FIELD(search.final_temperature)));
  of({"sdarts"},
     real_setting("perturbation", 0, 1000, "of alpha in the last epoch; rises from a tenth of it",
                  FIELD(search.perturbation)));
  of({"sdarts"}, int_setting("adversarial_steps", 0, 1000,
                             "of gradient ascent (the paper: 7); 0: random perturbations",
                             FIELD(search.adversarial_steps)));
  of({"darts_es"},
     int_setting("stop_after", 0, 100000, "epochs that are never the answer of a stop",
                 FIELD(search.stop_after)));
  of({"darts_es"},
     real_setting("stop_factor", 1e-6, 1e6, "growth of the eigenvalue that ends the search",
                  FIELD(search.stop_factor)));
  of({"darts_pt"}, int_setting("tuning_epochs", 1, 100000, "epochs between two decisions",
                               FIELD(search.tuning_epochs)));
  of({"spos"},
     bool_setting("fair", "every candidate once in N steps, in random order", FIELD(search.fair)));
  of({"spos", "enas"}, int_setting("child_population", 1, kMost,
                                   "children per generation; enas: drawn for the answer",
                                   FIELD(search.child_population)));
  of({"spos"}, int_setting("child_generations", 1, kMost, "generations after the last epoch",
                           FIELD(search.child_generations)));
  of(trained_alone,
     int_setting("trials", 1, kMost, "architectures to train; halving: to begin with",
                 FIELD(search.trials)));
  of({"evolution"},
     int_setting("population", 1, kMost, "the last so many are alive; the first so many are random",
                 FIELD(search.population)));
  of({"evolution"}, int_setting("tournament", 1, kMost, "of them drawn to find a parent",
                                FIELD(search.tournament)));
  of({"bayesian"}, int_setting("random_trials", 1, kMost, "random ones before the first model",
                               FIELD(search.random_trials)));
  of({"reinforce"}, real_setting("policy_learning_rate", 1e-9, 1e9, "of the policy, per score",
                                 FIELD(search.policy_learning_rate)));
  of({"reinforce", "enas"},
     real_setting("baseline_decay", 0, 1, "of the moving average of scores or losses",
                  FIELD(search.baseline_decay)));
  of({"halving"},
     int_setting("reduction", 2, 1000, "one of so many goes on, with so many times the epochs",
                 FIELD(search.reduction)));
  of({"zero_cost"},
     int_setting("scored", 0, kMost, "random ones that are ranked; 0: ten times the trials",
                 FIELD(search.scored)));
  return settings;
}

std::vector<Setting> system_settings() {
  return {
      word_setting<Conv2Set>("conv2_set", "candidates of conv2: conv1's transposed, or the same",
                             FIELD(options.conv2_set)),
      real_setting("dropout", 0, 0.95, "on the classifier's features", FIELD(options.dropout)),
      word_setting<GruBias>("gru_bias", "bias vectors per gate", FIELD(options.gru_bias)),
      word_setting<GruReset>("gru_reset", "reset gate after or before the recurrent product",
                             FIELD(options.gru_reset)),
      word_setting<AttentionScope>("attention_scope",
                                   "attend over all GRU steps, or see the final states only",
                                   FIELD(options.attention_scope)),
      bool_setting("attention_relu", "ReLU in the attention layer", FIELD(options.attention_relu)),
      int_setting("routing_iterations", 1, 100, "of dynamic routing",
                  FIELD(options.routing_iterations)),
      word_setting<RoutingGradient>("routing_gradient", "through every iteration, or the last only",
                                    FIELD(options.routing_gradient)),
      word_setting<UtteranceNorm>("utterance_norm", "utterance routing: sum or mean over windows",
                                  FIELD(options.utterance_norm)),
      real_setting("vote_gain", 1e-6, 1e6, "gain of the initial vote weights",
                   FIELD(options.vote_gain)),
  };
}

std::vector<Setting> all_settings() {
  std::vector<Setting> all = {
      name_setting("system", "which recogniser", names_of(systems()), FIELD(system)),
      name_setting("strategy", "how the architecture is found", names_of(strategies()),
                   FIELD(strategy)),
  };
  for (const auto& group :
       {label_settings(), corpus_settings(), front_end_settings(), training_settings(),
        search_settings(), strategy_settings(), system_settings()}) {
    all.insert(all.end(), group.begin(), group.end());
  }
  return all;
}

#undef FIELD

}  // namespace

const std::vector<Setting>& config_settings() {
  static const std::vector<Setting> settings = all_settings();
  return settings;
}

}  // namespace serenade::ser
