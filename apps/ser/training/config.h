#pragma once
// The configuration of a run: every choice that can change its result, as one table of named
// settings.
//
// The table (config_settings) is the only list of settings. The JSON file, the command line's
// options (`--search-epochs 60` is the key "search_epochs"), the help texts and the report's list
// all come from it, so a setting cannot exist in one and be missing in another.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"
#include "apps/ser/data/dataset.h"
#include "apps/ser/data/protocol.h"
#include "apps/ser/features/features.h"
#include "apps/ser/models/recognizer.h"
#include "nas/strategy.h"

namespace serenade::ser {

/// The factor on the initial weights of mixed layers: that of OneShot::initial_gain, which is
/// sqrt(N) where N candidates are averaged, or 1.
enum class SupernetGain { sqrt, one };
inline EnumNames<SupernetGain> enum_names(SupernetGain) {
  return {{SupernetGain::sqrt, "sqrt"}, {SupernetGain::one, "one"}};
}

/// Where a GPU finds the spectrograms of the corpus: in its own memory, in the host's, from which
/// batches are sent ahead, or in its own if they fit.
enum class CorpusMemory { automatic, device, host };
inline EnumNames<CorpusMemory> enum_names(CorpusMemory) {
  return {{CorpusMemory::automatic, "auto"},
          {CorpusMemory::device, "device"},
          {CorpusMemory::host, "host"}};
}

/// The strategy with which an architecture is trained and none searched for.
inline constexpr const char* kNoSearch = "none";

struct Config {
  std::string system = kGruAtt;      ///< a row of systems()
  std::string strategy = kNoSearch;  ///< how the architecture is found: a row of strategies()

  std::string corpus_kind = CorpusSpec().kind;
  std::string corpus;  ///< folder or CSV manifest
  std::string label_set = CorpusSpec().labels;
  std::string labels;     ///< classes, separated by commas; empty: those of the label set
  std::string label_map;  ///< label_map_text(); may be empty
  std::string cache = "build/features";  ///< folder of computed features; empty: none

  CorpusMemory corpus_memory = CorpusMemory::automatic;

  std::string preset = "small";
  FeatureSettings features = feature_preset("small");
  NormalisationKind normalisation = NormalisationKind::per_bin;
  SegmentOptions segments;
  double gain_augment = 0;  ///< dB: gains of training recordings reach so far up and down

  Direction direction = Direction::both;
  int folds = 0;  ///< sessions held out in turn: the first so many; 0: all

  int epochs = 20;           ///< of training a single architecture
  bool final_model = false;  ///< after the folds, one more training, on all speakers
  int search_epochs = 60;    ///< of the supernet
  int batch_size = 16;
  double learning_rate = 0;  ///< 0: the paper's schedule; else this rate throughout
  std::uint64_t seed = 0;

  /// Of the strategies. Seed, epochs, training_epochs and baseline are filled in by
  /// make_strategy(); scored 0: ten times `trials`.
  StrategyOptions search = {.scored = 0};
  SupernetGain supernet_gain = SupernetGain::one;
  std::string genotype;  ///< file; empty: the hand-made architecture

  RecognizerOptions options;  ///< name, bins and classes are filled in by resolve()
  /// Names of the classes: `labels`, or what the corpus turns out to have. No setting.
  std::vector<std::string> classes = class_names();

  /// Fills in what follows from other settings (bins, system name) and checks the rest. Throws
  /// InputError naming the setting.
  void resolve();
  /// The configuration for a corpus, or of a model, with these classes. Throws
  /// std::invalid_argument unless they are two or more, each once.
  Config with_classes(std::vector<std::string> names) const;
};

/// One setting: its key, what it means, and how it is read and written.
struct Setting {
  std::string key;     ///< "search_epochs"
  std::string help;    ///< one line, with the values there are
  std::string values;  ///< "INT", "paper|small|mel", ..
  std::function<std::string(const Config&)> get;
  std::function<void(Config&, const std::string&)> set;  ///< throws InputError naming the key
  /// Those that read it, where only some strategies do; rows of strategies().
  std::vector<std::string> strategies = {};
  bool of_supernets = false;  ///< read by all strategies that train a supernet, and by no other

  bool is_of_search() const { return of_supernets || !strategies.empty(); }
};

/// All settings, in the order of the help text.
const std::vector<Setting>& config_settings();

/// Whether the strategy of the configuration reads a setting of a search.
bool is_read(const Setting& setting, const Config& config);

/// The key that somebody who wrote an unknown one most likely means: its name of today, if it had
/// that name before, else the nearest of `known`.
std::string meant_key(const std::string& unknown, const std::vector<std::string>& known);

/// Sets one by its key; throws InputError naming the key that was meant. source: the file that says
/// so, or the option, which takes the key's place in the message.
void set_value(Config& config, const std::string& key, const std::string& value,
               const std::string& source = "");

/// The complete configuration as a JSON object of strings, numbers and booleans.
std::string to_json(const Config& config);

/// Reads a configuration file: every key must be known; keys left out keep `base`'s value. Throws
/// InputError: one line, the file, the place or key, and for an unknown key the nearest known one.
Config config_from_json(const std::string& text, const std::string& source, Config base = {});
Config read_config(const std::string& path, Config base = {});
/// The configuration that a model file or the folder of a run keeps: keys may also have the names
/// that they had when it was written, and mean what they meant then where they are left out.
Config stored_config(const std::string& text, const std::string& source);

}  // namespace serenade::ser
