// `serenade features`: the spectrograms of a corpus, put into the cache, or those of files,
// described.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/cli/file_answers.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/features/feature_cache.h"
#include "apps/ser/features/sound_pieces.h"
#include "apps/ser/training/loaded_corpus.h"

namespace serenade::ser {

namespace {

struct FeatureOptions {
  ConfigOptions settings;
  std::vector<std::string> files;
  int threads = 0;
  bool json = false;
};

nlohmann::ordered_json describe(const std::string& file, const FeatureSettings& settings) {
  std::int64_t samples = 0, frames = 0;
  float lowest = INFINITY, highest = -INFINITY;
  const AudioInfo info = for_each_piece(file, [&](const std::vector<float>& piece) {
    const Features features = features_of(piece, settings, file);
    const auto [low, high] =
        std::minmax_element(features.values, features.values + features.bins * features.frames);
    samples += static_cast<std::int64_t>(piece.size());
    frames += features.frames;
    lowest = std::min(lowest, *low);
    highest = std::max(highest, *high);
  });
  print_remarks(file, info);
  if (settings.trim == 0) frames = frame_count(samples, settings);  // as if there were no pieces
  return {{"file", shown(file)},     {"seconds", static_cast<double>(samples) / kSampleRate},
          {"rows", settings.rows()}, {"frames", frames},
          {"lowest", lowest},        {"highest", highest}};
}

void run_features(const FeatureOptions& options) {
  use_threads(options.threads);
  const Config config = options.settings.config();
  if (options.files.empty()) {
    if (config.corpus.empty()) throw InputError("features: give sound files, or --corpus");
    const LoadedCorpus loaded = prepare_corpus(config);
    std::cout << loaded.features.size() << " recordings in " << shown(config.cache) << "\n";
    return;
  }
  check_settings(config.features);
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  FileAnswers answers;
  for (const std::string& file : options.files) {
    answers.add(file, [&] { list.push_back(describe(file, config.features)); });
  }
  if (options.json) {
    std::cout << list.dump(2) << "\n";
  } else if (!list.empty()) {
    TextTable table({{"file", Align::left}, {"seconds"}, {"rows"}, {"frames"}, {"low"}, {"high"}});
    for (const auto& row : list) {
      table.add_row({row["file"], fixed(row["seconds"], 2), row["rows"].dump(),
                     row["frames"].dump(), fixed(row["lowest"], 2), fixed(row["highest"], 2)});
    }
    std::cout << table.to_text();
  }
  answers.finish();
}

void set_up_features(CLI::App& command) {
  auto options = std::make_shared<FeatureOptions>();
  command.add_option("files", options->files, "sound files");
  command.add_flag("--json", options->json, "one JSON document on stdout");
  add_threads_option(command, options->threads);
  options->settings.add_to(command);
  command.callback([options] { run_features(*options); });
}

}  // namespace

Command features_command() {
  return {"features", "compute the spectrograms of a corpus (--corpus) or describe those of files",
          set_up_features};
}

}  // namespace serenade::ser
