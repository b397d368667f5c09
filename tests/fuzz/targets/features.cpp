// A file of the feature cache: whatever it holds, the features are those of the recording.

#include "apps/ser/features/feature_cache.h"

#include <algorithm>
#include <filesystem>

#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

namespace fs = std::filesystem;

struct Cached {
  ser::Corpus corpus;
  ser::FeatureSettings settings = ser::feature_preset("mel");
  std::string folder = scratch_folder() + "/cache";
  std::vector<float> values;       // of the one recording
  std::vector<std::string> files;  // of the cache, with what they held at first
  std::vector<std::string> contents;

  Cached() {
    const std::string path = scratch_folder() + "/cached.wav";
    ser::write_wav(path, std::vector<float>(1600, 0.25f));
    ser::Recording recording;
    recording.id = "cached";
    recording.path = path;
    recording.relative_path = "cached.wav";
    corpus.recordings.push_back(recording);
    values = features();
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      files.push_back(entry.path().string());
      contents.push_back(read_file(files.back()));
    }
  }

  std::vector<float> features() const {
    const std::vector<ser::Features> found =
        ser::extract_features(corpus, settings, {.cache_folder = folder, .threads = 1});
    const ser::Features& first = found.front();
    return {first.values, first.values + first.bins * first.frames};
  }
};

const Cached& cached() {
  static const Cached one;
  return one;
}

void run(const std::string& input) {
  const Cached& cache = cached();
  for (std::size_t i = 0; i < cache.files.size(); ++i) {
    for (std::size_t j = 0; j < cache.files.size(); ++j) {
      write_file(cache.files[j], i == j ? input : cache.contents[j]);
    }
    std::vector<float> values;
    const std::string message = refusal([&] { values = cache.features(); });
    if (message.empty() && values != cache.values) fault("other features than the recording's");
  }
}

}  // namespace

Target features_target() {
  return {.name = "features", .seeds = [] { return cached().contents; }, .run = run};
}

}  // namespace serenade::fuzz
