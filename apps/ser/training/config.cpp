#include "apps/ser/training/config.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/common/json_input.h"
#include "apps/ser/corpus/label_choice.h"
#include "apps/ser/features/level_change.h"
#include "apps/ser/training/search.h"
#include "tensor/check.h"
#include "tensor/files.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

// What keys were called before, and are called now.
const std::map<std::string, std::string> kFormerKeys = {
    {"dft", "n_fft"},
    {"shift", "hop_length"},
    {"mel_bands", "n_mels"},
    {"masked", "num_masked"},
    {"random_architectures", "trials"},
    {"mode", "strategy"},
    {"modes", "strategies"}};  // of table2 and replay

// A JSON value as the text that a setting reads.
std::string value_text(const std::string& source, const std::string& key, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  throw InputError(source + ": the value of '" + key +
                   "' must be a text, a number, true or false; got " + value.dump().substr(0, 80));
}

// What takes a recording's level away, or hides it, leaves a random gain nothing to do.
void check_gain_augment(const Config& config) {
  const bool own_level = config.normalisation == NormalisationKind::per_utterance ||
                         config.normalisation == NormalisationKind::utterance_mean;
  if (!own_level && config.features.level == RecordingLevel::recorded &&
      can_change_level(config.features)) {
    return;
  }
  throw InputError(
      "gain_augment goes with features that depend on the level only: not with feature pcen, level "
      "loudness, or normalisation per_utterance or utterance_mean");
}

}  // namespace

void Config::resolve() {
  check_settings(features);
  options.name = system;
  options.bins = features.rows();
  if (!labels.empty()) classes = label_names(labels);
  options.classes = std::ssize(classes);
  if (features.rows() < 32) {
    throw InputError(
        "the front end must give at least 32 rows (the network pools frequency by 32); "
        "got " +
        std::to_string(features.rows()));
  }
  if (segments.minimum > segments.length) {
    throw InputError("segment_minimum must not exceed segment_frames; got " +
                     std::to_string(segments.minimum) + " and " + std::to_string(segments.length));
  }
  if (gain_augment > 0) check_gain_augment(*this);
  if (search.tournament > search.population) {
    throw InputError("tournament must not exceed population; got " +
                     std::to_string(search.tournament) + " and " +
                     std::to_string(search.population));
  }
  if (options.gru_reset == GruReset::before && options.gru_bias == GruBias::two) {
    throw InputError("gru_reset before goes with gru_bias one; got two");
  }
  if (!genotype.empty() && strategy != kNoSearch) {
    throw InputError("genotype is the architecture to train; strategy " + strategy +
                     " searches one");
  }
  make_strategy(*this, baseline_genotype(options));  // checks the options of the search
}

Config Config::with_classes(std::vector<std::string> names) const {
  const std::set<std::string> different(names.begin(), names.end());
  check(names.size() >= 2 && different.size() == names.size(), "classes",
        "there must be two or more, each once; got ", join(names, ", "));
  Config config = *this;
  config.classes = std::move(names);
  config.options.classes = std::ssize(config.classes);
  return config;
}

bool is_read(const Setting& setting, const Config& config) {
  if (setting.of_supernets) {
    return make_strategy(config, baseline_genotype(config.options))->needs_supernet();
  }
  const std::vector<std::string>& readers = setting.strategies;
  return readers.empty() ||
         std::find(readers.begin(), readers.end(), config.strategy) != readers.end();
}

std::string meant_key(const std::string& unknown, const std::vector<std::string>& known) {
  const auto former = kFormerKeys.find(unknown);
  const bool renamed = former != kFormerKeys.end() &&
                       std::find(known.begin(), known.end(), former->second) != known.end();
  return renamed ? former->second : nearest_word(unknown, known);
}

void set_value(Config& config, const std::string& key, const std::string& value,
               const std::string& source) {
  std::vector<std::string> known;
  for (const Setting& setting : config_settings()) {
    if (setting.key == key) {
      try {
        setting.set(config, value);
      } catch (const InputError& error) {
        const std::string message = error.what();  // begins with the key, or with a file's name
        const bool of_key = message.starts_with(key + " ") || message.starts_with(key + ":");
        if (of_key && source.starts_with("--")) {
          throw InputError(source + message.substr(key.size()));
        }
        throw InputError(source.empty() ? message : source + ": " + message);
      }
      return;
    }
    known.push_back(setting.key);
  }
  throw InputError((source.empty() ? "" : source + ": ") + "unknown key '" + key +
                   "'; did you mean '" + meant_key(key, known) + "'?");
}

std::string to_json(const Config& config) {
  Json document = Json::object();
  for (const Setting& setting : config_settings()) {
    const std::string text = setting.get(config);
    if (setting.values == "INT") {
      document[setting.key] = std::stoll(text);
    } else if (setting.values == "NUMBER") {
      document[setting.key] = std::stod(text);
    } else if (setting.values == "true|false") {
      document[setting.key] = text == "true";
    } else {
      document[setting.key] = text;
    }
  }
  return document.dump(2) + "\n";
}

namespace {

// former: whether keys may have the names that they had before.
Config config_of_json(const std::string& text, const std::string& source, Config base,
                      bool former) {
  const Json document = json_input<Json>(text, source);
  if (!document.is_object()) throw InputError(source + ": a configuration is a JSON object");
  // The preset sets other settings, so it goes first whatever the order in the file.
  if (document.contains("preset")) {
    set_value(base, "preset", value_text(source, "preset", document["preset"]), source);
  }
  for (const auto& [key, value] : document.items()) {
    if (key == "preset") continue;
    const auto renamed = kFormerKeys.find(key);
    const std::string& today = former && renamed != kFormerKeys.end() ? renamed->second : key;
    set_value(base, today, value_text(source, key, value), source);
  }
  return base;
}

}  // namespace

Config config_from_json(const std::string& text, const std::string& source, Config base) {
  return config_of_json(text, source, std::move(base), false);
}

Config stored_config(const std::string& text, const std::string& source) {
  Config base;
  base.supernet_gain = SupernetGain::sqrt;  // the default of before 0.3.0
  return config_of_json(text, source, std::move(base), true);
}

Config read_config(const std::string& path, Config base) {
  std::string text;
  try {
    text = read_file(path);
  } catch (const std::runtime_error& error) {
    throw InputError(error.what());
  }
  return config_from_json(text, path, std::move(base));
}

}  // namespace serenade::ser
