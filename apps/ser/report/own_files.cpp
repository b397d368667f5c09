#include "apps/ser/report/own_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <vector>

#include "apps/ser/common/error.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// All that is ever written, as patterns in which * stops at a '/'.
constexpr std::array kFiles = {"serenade.json",
                               "serenade.lock",
                               "config.json",
                               "metrics.jsonl",
                               "genotype.json",
                               "model.safetensors",
                               "results.json",
                               "report.html",
                               "figure3*.svg",
                               "figure3*.csv",
                               "table.json",
                               "table2.json",
                               "table2.md",
                               "folds/*/genotype.json",
                               "folds/*/model.safetensors",
                               "folds/*/predictions.csv",
                               "folds/*/alphas.csv",
                               "folds/*/norms.csv",
                               "folds/*/measured.csv",
                               "folds/*/trials.csv",
                               "folds/*/child.dot",
                               "folds/*/supernet.dot",
                               "checkpoint/*.json",
                               "checkpoint/*.safetensors",
                               "cells/*.json"};
constexpr std::array kFolders = {"folds", "folds/*", "checkpoint", "cells"};
// What is there before the first result.
constexpr std::array kFresh = {"serenade.json", "serenade.lock"};
// What may follow the name of a file: it was not written to its end, or is an earlier state.
constexpr std::array kEndings = {"", ".*.partial", ".previous", ".damaged"};

template <std::size_t N>
bool matches(const std::string& path, const std::array<const char*, N>& patterns,
             const std::string& ending = "") {
  return std::any_of(patterns.begin(), patterns.end(), [&](const char* pattern) {
    return fnmatch((pattern + ending).c_str(), path.c_str(), FNM_PATHNAME | FNM_PERIOD) == 0;
  });
}

template <std::size_t N>
bool is_file_of(const std::string& path, const std::array<const char*, N>& patterns) {
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](const char* ending) { return matches(path, patterns, ending); });
}

// Everything below a folder, with what is inside a folder before the folder itself.
struct Entry {
  std::string path;  // below the folder
  bool is_folder;
};

std::vector<Entry> entries_of(const std::string& folder) {
  std::vector<Entry> entries;
  try {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
      const bool is_folder = !entry.is_symlink() && entry.is_directory();
      entries.push_back({entry.path().lexically_relative(folder).generic_string(), is_folder});
    }
  } catch (const fs::filesystem_error& error) {
    throw IoError(folder + ": cannot be looked at: " + error.code().message());
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.path > b.path; });
  return entries;
}

bool is_own(const std::string& folder, const Entry& entry) {
  if (entry.is_folder) return matches(entry.path, kFolders);
  return is_file_of(entry.path, kFiles) && !fs::is_symlink(folder + "/" + entry.path);
}

}  // namespace

std::string foreign_entry(const std::string& folder) {
  const std::vector<Entry> entries = entries_of(folder);
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    if (!is_own(folder, *entry)) return entry->path;
  }
  return "";
}

bool is_fresh(const std::string& folder) {
  const std::vector<Entry> entries = entries_of(folder);
  return std::all_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return !entry.is_folder && is_file_of(entry.path, kFresh);
  });
}

void remove_own_files(const std::string& folder, const std::string& except) {
  std::error_code error, not_empty;
  for (const Entry& entry : entries_of(folder)) {
    const std::string path = folder + "/" + entry.path;
    if (entry.path == except || !is_own(folder, entry)) continue;
    fs::remove(path, entry.is_folder ? not_empty : error);
    if (error) throw IoError(path + ": cannot be removed: " + error.message());
  }
}

}  // namespace serenade::ser
