#pragma once
// A corpus of tones on which something is learned in a second, and runs without their times.

#include <string>
#include <utility>

#include "apps/ser/training/experiment.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

/// Four speakers in two groups, each with two recordings per label of 0.3 to 2.3 s. A label is a
/// pitch, so there is something to learn. Returns the manifest.
inline std::string make_tone_corpus(const TemporaryFolder& folder,
                                    const std::vector<std::string>& labels = class_names()) {
  std::string csv = "path,label,speaker,group\n";
  int count = 0;
  for (const char* speaker : {"A", "B", "C", "D"}) {
    for (std::size_t label = 0; label < labels.size(); ++label) {
      for (int take = 0; take < 2; ++take) {
        const std::string name = "tone" + std::to_string(count) + ".wav";
        const double hertz = 250 * (static_cast<double>(label) + 1) + 7 * count;
        write_wav(folder / name, tone(hertz, 4800 + 32000 * (count % 5) / 4));
        csv += name + "," + labels[label] + "," + speaker + "," +
               (speaker[0] < 'C' ? "one" : "two") + "\n";
        ++count;
      }
    }
  }
  write_text(folder / "manifest.csv", csv);
  return folder / "manifest.csv";
}

inline Config small_config(const std::string& corpus, const char* system, const std::string& mode) {
  Config config;
  config.system = system;
  config.strategy = mode;
  config.corpus = corpus;
  config.cache = "";
  config.direction = Direction::first;
  config.folds = 1;
  config.epochs = 2;
  config.search_epochs = 2;
  config.seed = 5;
  set_value(config, "preset", "mel");
  config.resolve();
  return config;
}

/// Sets times to 0: they alone may differ between two runs.
inline FoldRun timeless(FoldRun run) {
  run.search_seconds = run.train_seconds = 0;
  for (EpochRecord& record : run.epochs) record.seconds = 0;
  return run;
}

}  // namespace serenade::ser
