// The JSON configuration of a run, written by a person or kept by a run.

#include "apps/ser/training/config.h"

#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

std::vector<std::string> seeds() {
  ser::Config search;
  search.strategy = "dropout";
  search.preset = "mel";
  return {ser::to_json(ser::Config()), ser::to_json(search), "{\"epochs\": 3, \"seed\": 7}",
          "{\"corpus\": \"folder\", \"learning_rate\": 1e-3, \"renormalize\": true}"};
}

void run(const std::string& input) {
  refusal([&] { ser::stored_config(input, "run").resolve(); });
  ser::Config config;
  const bool refused = !refusal([&] {
                          config = ser::config_from_json(input, "config.json");
                          config.resolve();
                        }).empty();
  if (refused) return;
  const std::string text = ser::to_json(config);
  if (ser::to_json(ser::config_from_json(text, "again")) != text) {
    fault("another configuration after writing and reading: " + text);
  }
}

std::vector<std::string> words() {
  std::vector<std::string> words = {"1e999", "-1", "9223372036854775808", "null", "\\ud800"};
  for (const ser::Setting& setting : ser::config_settings()) {
    words.push_back("\"" + setting.key + "\": ");
  }
  return words;
}

}  // namespace

Target config_target() { return {.name = "config", .seeds = seeds, .run = run, .words = words()}; }

}  // namespace serenade::fuzz
