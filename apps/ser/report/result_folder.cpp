#include "apps/ser/report/result_folder.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

bool is_empty_or_absent(const fs::path& path) { return !fs::exists(path) || fs::is_empty(path); }

void require_same_config(const std::string& path, const Config& config,
                         const std::vector<std::string>& free_keys) {
  const auto old_one = nlohmann::json::parse(to_json(stored_config(read_text_file(path), path)));
  const auto new_one = nlohmann::json::parse(to_json(config));
  for (const auto& [key, value] : new_one.items()) {
    if (key == "cache") continue;  // where features are kept changes no result
    if (std::count(free_keys.begin(), free_keys.end(), key) > 0) continue;
    if (old_one[key] != value) {
      throw InputError(path + ": cannot resume, '" + key +
                       "' was different in this run; choose another --out or --replace");
    }
  }
}

}  // namespace

void check_result_folder(const std::string& path, const Config& config, OverwritePolicy overwrite,
                         const std::vector<std::string>& free_keys) {
  const std::string config_file = path + "/config.json";
  try {
    const fs::path folder = path;
    if (fs::exists(folder) && !fs::is_directory(folder)) {
      throw InputError(path + ": a file of that name exists; choose another --out");
    }
    if (is_empty_or_absent(folder)) return;
    if (overwrite == OverwritePolicy::refuse) {
      throw InputError(path + ": this folder exists and is not empty; choose another --out, or " +
                       "pass --resume to continue it or --replace to start over");
    }
    if (!fs::exists(config_file)) {
      throw InputError(path + ": not a folder of results (no config.json); choose another --out");
    }
    if (overwrite == OverwritePolicy::resume) require_same_config(config_file, config, free_keys);
  } catch (const fs::filesystem_error& error) {
    throw IoError(path + ": cannot be looked at: " + error.code().message());
  }
}

void open_result_folder(const std::string& path, const Config& config, OverwritePolicy overwrite,
                        const std::vector<std::string>& free_keys) {
  check_result_folder(path, config, overwrite, free_keys);
  try {
    if (overwrite == OverwritePolicy::replace) fs::remove_all(path);
  } catch (const fs::filesystem_error& error) {
    throw IoError(path + ": cannot be cleared: " + error.code().message());
  }
  make_folder(path);
  write_text_file(path + "/config.json", to_json(config));
}

}  // namespace serenade::ser
