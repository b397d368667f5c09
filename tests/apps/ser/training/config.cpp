// The table of settings: each can be written and read back, errors name the key, the preset goes
// first.

#include "apps/ser/training/config.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/training/search.h"
#include "tests/apps/ser/common/files.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

/// A value of the setting that is not its default.
std::string other_value(const Setting& setting, const std::string& value) {
  if (setting.key == "n_fft") return "1024";  // at least the window
  if (setting.values == "INT") return std::to_string(std::stoll(value) + 1);
  if (setting.values == "NUMBER") return "0.25";
  if (setting.values == "JSON") return R"({"a":"b","c":null})";
  if (setting.values == "PATH" || setting.values == "FILE") return "a folder/\"quoted\" name";
  // Words: the last that is not the default.
  std::string words = setting.values + "|", found;
  for (std::size_t end; (end = words.find('|')) != std::string::npos; words.erase(0, end + 1)) {
    if (words.substr(0, end) != value) found = words.substr(0, end);
  }
  return found;
}

}  // namespace

TEST_CASE("config: every setting goes to JSON and back, also when it is not the default") {
  const Config defaults;
  std::set<std::string> keys;
  for (const Setting& setting : config_settings()) {
    CAPTURE(setting.key);
    CHECK(keys.insert(setting.key).second);
    CHECK_FALSE(setting.help.empty());
    const std::string before = setting.get(defaults);
    const std::string wanted = other_value(setting, before);
    REQUIRE(wanted != before);
    Config changed;
    set_value(changed, setting.key, wanted);
    CHECK(setting.get(changed) == wanted);
    const std::string text = to_json(changed);
    const Config again = config_from_json(text, "test");
    CHECK(to_json(again) == text);
    CHECK(setting.get(again) == wanted);
    // One key changes one setting, but for the preset.
    for (const Setting& other : config_settings()) {
      if (setting.key == "preset" || other.key == setting.key) continue;
      CAPTURE(other.key);
      CHECK(other.get(changed) == other.get(defaults));
    }
  }
  CHECK(keys.size() > 40);
}

TEST_CASE("config: the JSON holds every key, with numbers and booleans as such") {
  const auto document = nlohmann::json::parse(to_json(Config{}));
  CHECK(document.size() == config_settings().size());
  CHECK(document["epochs"].is_number_integer());
  CHECK(document["alpha_learning_rate"].is_number_float());
  CHECK(document["renormalize"].is_boolean());
  CHECK(document["strategy"] == "none");
}

TEST_CASE("config: the largest seed and the smallest number survive") {
  Config config;
  set_value(config, "seed", "9223372036854775807");
  set_value(config, "offset", "1e-300");
  const Config again = config_from_json(to_json(config), "test");
  CHECK(again.seed == 9223372036854775807u);
  CHECK(again.features.offset == 1e-300);
}

TEST_CASE("config: true and false have three words each") {
  Config config;
  for (const char* word : {"true", "yes", "1"}) {
    config.search.renormalize = false;
    set_value(config, "renormalize", word);
    CHECK(config.search.renormalize);
  }
  for (const char* word : {"false", "no", "0"}) {
    config.search.renormalize = true;
    set_value(config, "renormalize", word);
    CHECK_FALSE(config.search.renormalize);
  }
}

TEST_CASE("config: the presets leave recordings as they are, and so did all before them") {
  for (const std::string& preset : feature_preset_names()) {
    Config config;
    set_value(config, "preset", preset);
    CHECK(config.features.trim == 0);
    CHECK(config.features.level == RecordingLevel::recorded);
  }
  Config config = stored_config("{}", "config.json");
  CHECK(config.features == feature_preset("small"));
  CHECK(config.gain_augment == 0);
}

TEST_CASE("config: keys that a file leaves out keep the base's values") {
  Config base;
  base.epochs = 3;
  const Config read = config_from_json(R"({"seed": 7})", "test", base);
  CHECK(read.epochs == 3);
  CHECK(read.seed == 7);
}

TEST_CASE("config: the preset is set before the settings it contains, wherever it stands") {
  const Config late = config_from_json(R"({"bins": 100, "preset": "paper"})", "test");
  CHECK(late.features.bins == 100);
  CHECK(late.features.n_fft == 16384);
  const Config early = config_from_json(R"({"preset": "paper", "bins": 100})", "test");
  CHECK(early.features == late.features);
}

TEST_CASE("config: an unknown key names the nearest one, and the source") {
  const std::string message =
      message_of<InputError>([] { config_from_json(R"({"epohcs": 3})", "file.json"); });
  CHECK(contains(message, "file.json"));
  CHECK(contains(message, "'epohcs'"));
  CHECK(contains(message, "did you mean 'epochs'"));
  Config config;
  CHECK(contains(message_of<InputError>([&] { set_value(config, "routing_iteration", "3"); }),
                 "'routing_iterations'"));
  CHECK(contains(message_of<InputError>([&] { set_value(config, "dft", "1024"); }),
                 "unknown key 'dft'; did you mean 'n_fft'?"));
  // What it is called now is meant where there is such a thing.
  CHECK(meant_key("masked", {"seed", "num_masked", "tasked"}) == "num_masked");
  CHECK(meant_key("masked", {"seed", "tasked"}) == "tasked");
  CHECK(meant_key("mode", {"seed", "strategy"}) == "strategy");
}

TEST_CASE("config: what was stored under former keys is still read, but nobody may write them") {
  const std::string old = R"({"preset": "small", "dft": 1024, "shift": 80, "masked": 2,
                              "random_architectures": 7, "mode": "joint"})";
  const Config config = stored_config(old, "model.safetensors");
  CHECK(config.features.n_fft == 1024);
  CHECK(config.features.hop_length == 80);
  CHECK(config.search.num_masked == 2);
  CHECK(config.search.trials == 7);
  CHECK(config.strategy == "joint");
  CHECK_THROWS_AS(config_from_json(old, "file.json"), InputError);
  CHECK_THROWS_AS(stored_config(R"({"epohcs": 3})", "model.safetensors"), InputError);
}

TEST_CASE("config: a supernet begins as the paper says, and of before as it did then") {
  CHECK(Config{}.supernet_gain == SupernetGain::one);
  CHECK(config_from_json("{}", "file.json").supernet_gain == SupernetGain::one);
  CHECK(stored_config("{}", "config.json").supernet_gain == SupernetGain::sqrt);
  CHECK(stored_config(to_json(Config{}), "config.json").supernet_gain == SupernetGain::one);
}

TEST_CASE("config: a strategy reads the settings that say so, and no other") {
  const auto state = [](const Config& config) {  // has all that a resumed search must agree in
    return make_strategy(config, baseline_genotype(config.options))->save_state().metadata;
  };
  std::set<std::string> readers;
  for (const StrategyRow& row : strategies()) {
    CAPTURE(row.name);
    Config config;
    set_value(config, "strategy", row.name);
    for (const Setting& setting : config_settings()) {
      if (setting.strategies.empty()) continue;
      CAPTURE(setting.key);
      Config changed = config;
      const std::string before = setting.get(config);
      set_value(changed, setting.key,
                setting.key == "scored" ? "60" : other_value(setting, before));
      const bool reads =
          std::count(setting.strategies.begin(), setting.strategies.end(), row.name) > 0;
      CHECK((state(changed) != state(config)) == reads);
      readers.insert(setting.strategies.begin(), setting.strategies.end());
    }
  }
  for (const std::string& reader : readers) {
    Config config;
    CHECK_NOTHROW(set_value(config, "strategy", reader));
  }
}

TEST_CASE("config: settings of strategies are those that nas has, and ten are ranked per trial") {
  const StrategyOptions defaults;
  Config config;
  CHECK(config.search.temperature == defaults.temperature);
  CHECK(config.search.child_population == defaults.child_population);
  const auto ranked = [&](const char* trials, const char* scored) {
    set_value(config, "strategy", "zero_cost");
    set_value(config, "trials", trials);
    set_value(config, "scored", scored);
    const auto strategy = make_strategy(config, baseline_genotype(config.options));
    return strategy->save_state().metadata.at("trial_search");
  };
  CHECK(contains(ranked("3", "0"), "30 of them scored"));
  CHECK(contains(ranked("3", "8"), "8 of them scored"));
}

TEST_CASE("config: an architecture to train does not go with a search for one") {
  Config config;
  config.genotype = "best.json";
  CHECK_NOTHROW(config.resolve());
  config.strategy = "dropout";
  CHECK(contains(message_of<InputError>([&] { config.resolve(); }), "strategy dropout"));
}

TEST_CASE("config: a wrong value names its key, what is allowed, and what was given") {
  const std::vector<std::array<std::string, 3>> cases = {
      {"epochs", "0", "from 1 to"},
      {"epochs", "100001",
       "file.json: epochs must be a whole number from 1 to 100000; got '100001'"},
      {"epochs", "3.5", "'3.5'"},
      {"epochs", "", "''"},
      {"epochs", "99999999999999999999", "from 1 to"},
      {"dropout", "nan", "from 0 to"},
      {"dropout", "1", "0.95"},
      {"dropout", "-0.1", "file.json: dropout must be a number from 0 to 0.95; got '-0.1'"},
      {"dropout", "half", "file.json: dropout must be a number from 0 to 0.95; got 'half'"},
      {"dropout", "0.5x", "file.json: dropout must be a number from 0 to 0.95; got '0.5x'"},
      {"dropout", "1e-999", "file.json: dropout must be a number from 0 to 0.95; got '1e-999'"},
      {"renormalize", "maybe", "true or"},
      {"strategy", "dropuot", "dropout"},
      {"system", "cnn", "CNN_SeqCap"},
      {"preset", "huge", "mel"},
      {"seed", "-1", "from 0 to"},
      {"trim", "-1", "from 0 to 200"},
      {"gain_augment", "61", "from 0 to 60"},
      {"level", "loud", "loudness"},
      {"temperature", "-1", "from 1e-06 to"},
      {"final_temperature", "0", "from 1e-06 to"},
      {"drop_probability", "1", "from 0 to 0.999"},
      {"perturbation", "-0.1", "from 0 to"},
      {"stop_factor", "0", "from 1e-06 to"},
      {"tuning_epochs", "0", "from 1 to"},
      {"population", "0", "from 1 to"},
      {"baseline_decay", "1.5", "from 0 to 1"},
      {"policy_learning_rate", "0", "from 1e-09 to"},
      {"reduction", "1", "from 2 to"},
      {"trials", "0", "from 1 to"},
      {"fair", "perhaps", "true or"},
      {"gru_reset", "never", "after, before"}};
  for (const auto& row : cases) {
    const std::string &key = row[0], &value = row[1], &part = row[2];
    CAPTURE(key);
    CAPTURE(value);
    Config config;
    const std::string message =
        message_of<InputError>([&] { set_value(config, key, value, "file.json"); });
    CHECK(contains(message, "file.json"));
    CHECK(contains(message, key));
    CHECK(contains(message, part));
    CHECK(to_json(config) == to_json(Config{}));  // nothing was changed
  }
}

TEST_CASE("config: what an option refuses is said about the option") {
  Config config;
  CHECK(message_of<InputError>([&] { set_value(config, "num_masked", "x", "--num-masked"); }) ==
        "--num-masked must be a whole number from 0 to 1000; got 'x'");
  CHECK(message_of<InputError>([&] { set_value(config, "num_masked", "x"); }) ==
        "num_masked must be a whole number from 0 to 1000; got 'x'");
  CHECK(message_of<InputError>([&] { set_value(config, "labels", "sad", "--labels"); }) ==
        "--labels: at least two classes are needed; got only sad");
  // A message that begins with the name of a file keeps it.
  CHECK(message_of<InputError>([&] {
          set_value(config, "map", "{", "--map");
        }).starts_with("--map: "));
  // For all others: messages begin with the key, in whose place the option goes.
  const std::vector<std::string> others = {"PATH", "FILE", "A,B,..", "JSON"};
  for (const Setting& setting : config_settings()) {
    if (std::find(others.begin(), others.end(), setting.values) != others.end()) continue;
    CAPTURE(setting.key);
    CHECK(message_of<InputError>([&] {
            set_value(config, setting.key, "?!", "--it");
          }).starts_with("--it must be "));
  }
}

TEST_CASE("config: which settings a strategy reads") {
  const auto reads = [](const char* strategy, const std::string& key) {
    Config config;
    config.strategy = strategy;
    for (const Setting& setting : config_settings()) {
      if (setting.key == key) return is_read(setting, config);
    }
    FAIL(key);
    return false;
  };
  CHECK(reads("evolution", "population"));
  CHECK_FALSE(reads("darts", "population"));
  CHECK(reads("darts", "search_epochs"));
  CHECK_FALSE(reads("evolution", "search_epochs"));
  CHECK_FALSE(reads("none", "supernet_gain"));
  CHECK(reads("none", "epochs"));
  for (const Setting& setting : config_settings()) {
    CAPTURE(setting.key);
    CHECK((!setting.of_supernets || setting.strategies.empty()));
  }
}

TEST_CASE("config: a file that is no configuration is refused with its name") {
  for (const char* text : {"", "{", "[1]", "3", R"({"epochs": [1]})", R"({"epochs": null})"}) {
    CAPTURE(text);
    CHECK(contains(message_of<InputError>([&] { config_from_json(text, "file.json"); }),
                   "file.json"));
  }
  TemporaryFolder folder;
  CHECK(contains(message_of<InputError>([&] { read_config(folder / "absent.json"); }),
                 "absent.json"));
  CHECK(contains(message_of<InputError>([&] { read_config(folder.path()); }), folder.path()));
}

TEST_CASE("config: resolve fills in what follows and refuses what does not go together") {
  Config mel;
  set_value(mel, "preset", "mel");
  set_value(mel, "system", kSeqCap);
  mel.resolve();
  CHECK(mel.options.bins == 64);
  CHECK(mel.options.name == kSeqCap);
  CHECK(mel.options.classes == 4);

  const std::vector<std::array<std::string, 4>> cases = {
      {"bins", "31", "seed", "0"},
      {"n_fft", "600", "seed", "0"},  // shorter than the window
      {"segment_minimum", "201", "seed", "0"},
      {"gru_reset", "before", "gru_bias", "two"},
      {"num_masked", "4", "strategy", "dropout"},
      {"tournament", "11", "seed", "0"},
      {"temperature", "0.05", "strategy", "gumbel"},  // below the final one
      {"final_temperature", "20", "strategy", "gdas"},
      {"scored", "4", "strategy", "zero_cost"},  // fewer than are trained
      {"bilevel", "two_stage", "strategy", "darts_pt"}};
  for (const auto& row : cases) {
    const std::string &key = row[0], &value = row[1], &other_key = row[2], &other = row[3];
    CAPTURE(key);
    Config config;
    set_value(config, key, value);
    set_value(config, other_key, other);
    CHECK_FALSE(message_of<InputError>([&] { config.resolve(); }).empty());
  }
  // A random gain where the level makes no difference.
  const std::vector<std::array<std::string, 2>> without_level = {
      {"feature", "pcen"},
      {"level", "loudness"},
      {"normalisation", "per_utterance"},
      {"normalisation", "utterance_mean"}};
  for (const std::array<std::string, 2>& row : without_level) {
    CAPTURE(row[1]);
    Config config;
    set_value(config, row[0], row[1]);
    CHECK_NOTHROW(config.resolve());
    set_value(config, "gain_augment", "6");
    CHECK(contains(message_of<InputError>([&] { config.resolve(); }), "gain_augment"));
  }
  Config before;
  set_value(before, "gru_reset", "before");
  set_value(before, "gru_bias", "one");
  CHECK_NOTHROW(before.resolve());
}
