#pragma once
// What the tests of features share: corpora of files, values, and the files of a cache.

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/ser/features/feature_cache.h"

namespace serenade::ser {

inline Corpus corpus_of(const std::vector<std::string>& paths) {
  Corpus corpus;
  for (const std::string& path : paths) {
    Recording recording;
    recording.path = path;
    corpus.recordings.push_back(recording);
  }
  return corpus;
}

inline std::vector<float> values_of(const Features& features) {
  return {features.values, features.values + features.bins * features.frames};
}

inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace serenade::ser
