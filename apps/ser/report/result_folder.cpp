#include "apps/ser/report/result_folder.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/report/own_files.h"
#include "tensor/files.h"
#include "tensor/json.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kMark = "serenade.json";
constexpr const char* kFormat = "serenade-folder-1";

// Links followed, as far as there is something.
fs::path real_path(const std::string& path) {
  std::error_code error;
  if (path.empty()) return {};
  const fs::path real = fs::weakly_canonical(fs::absolute(path), error);
  if (error) throw IoError(path + ": cannot be looked at: " + error.message());
  return real.has_filename() ? real : real.parent_path();
}

bool is_inside(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

bool holds_something(const std::string& folder) {
  std::error_code error;
  const bool is_empty = !fs::exists(folder, error) || is_fresh(folder);
  return !is_empty;
}

bool is_marked(const std::string& folder) { return fs::exists(folder + "/" + kMark); }

// Folders of before the mark: by all that a run or table has from its beginning, and a
// configuration that is one of ours, for other programs have files of that name, too.
bool is_old_result(const std::string& folder) {
  const std::string path = folder + "/config.json";
  if (!fs::is_regular_file(path)) return false;
  if (!fs::exists(folder + "/checkpoint") && !fs::exists(folder + "/cells")) return false;
  try {
    const Json config = parse_json<Json>(read_text_file(path), path);
    return config.is_object() && config.contains("system") && config.contains("search_epochs");
  } catch (const std::invalid_argument&) {
    return false;
  }
}

// Names that nobody gives to a run of his own.
std::string beside(const std::string& real) { return real + ".serenade-new"; }
std::string aside(const std::string& real) { return real + ".serenade-old"; }

// A link to a folder is none.
bool is_folder(const std::string& path) { return fs::is_directory(fs::symlink_status(path)); }

// Whether a folder may be moved to this name.
bool is_free(const std::string& path) {
  return is_folder(path) ? fs::is_empty(path) : !fs::exists(fs::symlink_status(path));
}

// Null where there is no mark, or a damaged one.
Json read_mark(const std::string& folder) {
  if (!is_marked(folder)) return nullptr;
  Json mark;
  try {
    mark = parse_json<Json>(read_text_file(folder + "/" + kMark), kMark);
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
  if (!mark.is_object() || !mark.contains("format")) return nullptr;
  const auto is_text = [](const Json& value) { return value.is_string(); };
  const Json kind = mark.value("kind", Json("run")), replaces = mark.value("replaces", Json(""));
  const Json also = mark.value("also", Json(""));
  const Json fingerprint = mark.value("fingerprint", Json::object());
  if (!is_text(kind) || !is_text(replaces) || !is_text(also) || !fingerprint.is_object() ||
      !std::all_of(fingerprint.begin(), fingerprint.end(), is_text)) {
    return nullptr;
  }
  if (mark["format"] != kFormat) {
    throw InputError(folder + ": written by another version of this program (" +
                     mark["format"].dump() + ", this one has " + kFormat +
                     "); choose another --out");
  }
  return mark;
}

// Whether the folder beside this one is a run that is to take its place.
bool has_successor(const std::string& real) {
  const Json mark = read_mark(beside(real));
  return mark.is_object() && mark.value("replaces", "") == real;
}

std::optional<Config> config_of_folder(const std::string& folder) {
  const std::string path = folder + "/config.json";
  std::string reason = path + ": missing";
  if (fs::exists(path)) {
    try {
      return stored_config(read_text_file(path), path);
    } catch (const InputError& error) {
      reason = error.what();
    }
  }
  const Json mark = read_mark(folder);
  if (mark.is_object() && mark.contains("config")) {
    return stored_config(mark["config"].dump(), folder + "/" + kMark);
  }
  throw InputError(reason + ", and there is no copy of it in " + kMark +
                   "; give all settings again with another --out, or with --replace");
}

void require_same_config(const FolderPlan& plan, const std::string& folder) {
  const auto old_one = Json::parse(to_json(*config_of_folder(folder)));
  const auto new_one = Json::parse(to_json(plan.config));
  for (const auto& [key, value] : new_one.items()) {
    if (key == "cache") continue;  // where features are kept changes no result
    if (key == "epochs" && value < old_one[key]) {
      throw InputError(plan.path + ": cannot resume with fewer epochs than its " +
                       old_one[key].dump() + "; choose another --out");
    }
    if (std::count(plan.free_keys.begin(), plan.free_keys.end(), key) > 0) continue;
    // A folder of before has the path as it was typed.
    const bool same =
        key == "corpus" ? real_path(old_one[key]) == real_path(value) : old_one[key] == value;
    if (!same) {
      throw InputError(plan.path + ": cannot resume, '" + key + "' was " + old_one[key].dump() +
                       " in this run, not " + value.dump() +
                       "; leave the option out, or choose another --out or --replace");
    }
  }
}

void require_same_fingerprint(const FolderPlan& plan, const Json& mark,
                              const Fingerprint& fingerprint) {
  if (!mark.is_object() || !mark.contains("fingerprint")) {
    std::cerr << plan.path << ": no fingerprint in " << kMark << ", so nobody can tell whether the "
              << "recordings and the machine are those that it was begun with\n";
    return;
  }
  for (const auto& [what, now] : fingerprint) {
    const std::string then = mark["fingerprint"].value(what, now);
    if (then != now) {
      throw InputError(plan.path + ": cannot resume, the " + what + " was " + then +
                       " and is now " + now + ", which would mix two kinds of results; " +
                       "bring it back, or choose another --out or --replace");
    }
  }
}

void require_inputs_outside(const FolderPlan& plan, const fs::path& real) {
  const std::pair<const char*, std::string> inputs[] = {{"--corpus", plan.config.corpus},
                                                        {"--genotype", plan.config.genotype},
                                                        {"--cache", plan.config.cache}};
  for (const auto& [option, path] : inputs) {
    if (!path.empty() && is_inside(real_path(path), real)) {
      throw InputError(plan.path + ": " + option + " " + path +
                       " lies in the folder of the results; choose another --out or " + option);
    }
  }
}

void require_replaceable(const std::string& path, const fs::path& real) {
  if (is_inside(fs::current_path(), real)) {
    throw InputError(path + ": the current folder is in it, and is not replaced; choose another " +
                     "--out, or start from elsewhere");
  }
  const std::string foreign = foreign_entry(real);
  if (!foreign.empty() || !(is_marked(real) || is_old_result(real))) {
    throw InputError(path + ": not a folder of results alone" +
                     (foreign.empty() ? "" : ", it holds " + foreign) +
                     "; nothing is removed that serenade has not written: choose another --out");
  }
}

// Where this plan writes.
std::string work_of(const FolderPlan& plan, const std::string& real) {
  if (plan.overwrite == OverwritePolicy::resume) return folder_in_work(real);
  const bool replaces =
      plan.overwrite == OverwritePolicy::replace && (holds_something(real) || has_successor(real));
  return replaces ? beside(real) : real;
}

// replaces: the folder whose place it is to take, or "".
std::string mark_text(const FolderPlan& plan, const Fingerprint& fingerprint,
                      const std::string& replaces) {
  Json entries = Json::object();
  for (const auto& [what, value] : fingerprint) entries[what] = value;
  const Json mark = {{"format", kFormat},      {"kind", plan.kind},
                     {"replaces", replaces},   {"also", plan.also},
                     {"fingerprint", entries}, {"config", Json::parse(to_json(plan.config))}};
  return mark.dump(2) + "\n";
}

void check_folder(const FolderPlan& plan) {
  const fs::path real = real_path(plan.path);
  if (fs::exists(real) && !fs::is_directory(real)) {
    throw InputError(plan.path + ": a file of that name exists; choose another --out");
  }
  require_inputs_outside(plan, real);
  const std::string work = work_of(plan, real);
  if (work != real && fs::exists(work) && !is_fresh(work) && !has_successor(real)) {
    throw InputError(work + ": is in the way, and is not what was to replace " + plan.path +
                     "; move it, or choose another --out");
  }
  switch (plan.overwrite) {
    case OverwritePolicy::refuse:
      if (holds_something(real)) {
        throw InputError(plan.path + ": this folder exists and is not empty; choose another " +
                         "--out, or pass --resume to continue it or --replace to start over");
      }
      if (has_successor(real)) {
        throw InputError(plan.path + ": " + beside(real) + " is to take its place; pass --resume " +
                         "to continue it or --replace to start over");
      }
      break;
    case OverwritePolicy::resume: {
      if (!holds_something(work)) break;
      if (!is_marked(work) && !is_old_result(work)) {
        throw InputError(plan.path + ": not a folder of results (no " + kMark +
                         "); choose another --out");
      }
      const Json mark = read_mark(work);
      if (is_marked(work) && !mark.is_object()) {
        throw InputError(
            plan.path + ": " + kMark + " is damaged, so nobody can tell whether the " +
            "recordings and the machine are still the same; start over with --replace");
      }
      const std::string kind = mark.is_object()              ? mark.value("kind", plan.kind)
                               : fs::exists(work + "/cells") ? "table"
                                                             : "run";
      if (kind != plan.kind) {
        throw InputError(plan.path + ": holds a " + kind + ", not a " + plan.kind +
                         "; choose another --out");
      }
      require_same_config(plan, work);
      break;
    }
    case OverwritePolicy::replace:
      if (holds_something(real)) require_replaceable(plan.path, real);
      if (work != real && holds_something(work)) require_replaceable(work, work);
      break;
  }
}

}  // namespace

std::string folder_in_work(const std::string& path) {
  const std::string real = real_path(path);
  return has_successor(real) ? beside(real) : real;
}

std::optional<Config> stored_folder_config(const std::string& path) {
  const std::string work = folder_in_work(path);
  if (!is_marked(work) && !is_old_result(work)) return std::nullopt;
  return config_of_folder(work);
}

std::string stored_folder_also(const std::string& path) {
  const Json mark = read_mark(folder_in_work(path));
  return mark.is_object() ? mark.value("also", "") : "";
}

void check_result_folder(const FolderPlan& plan) {
  try {
    const std::string real = real_path(plan.path);
    for (const std::string& folder : {real, beside(real)}) check_not_locked(folder);
    check_folder(plan);
  } catch (const fs::filesystem_error& error) {
    throw IoError(plan.path + ": cannot be looked at: " + error.code().message());
  }
}

ResultFolder::ResultFolder(const FolderPlan& plan) : plan_(plan) {
  check_result_folder(plan);
  real_ = real_path(plan.path);
  work_ = work_of(plan, real_);
  existed_ = fs::exists(work_);
  make_folder(work_);
  locks_.push_back(std::make_unique<FolderLock>(work_));
  if (work_ != real_ && fs::exists(real_)) locks_.push_back(std::make_unique<FolderLock>(real_));
  check_folder(plan);  // once more, now that nobody else can change it
  if (plan.overwrite == OverwritePolicy::replace) remove_own_files(work_, kLockFile);
  resumed_ = holds_something(work_);
  for (const char* below : {"", "/checkpoint", "/cells", "/folds"}) {
    remove_partial_files(work_ + below);
  }
  if (!resumed_) write_mark();
}

ResultFolder::~ResultFolder() {
  if (begun_ || resumed_) return;
  try {
    remove_own_files(work_);
    std::error_code ignored;
    if (!existed_) fs::remove(work_, ignored);
  } catch (const IoError&) {  // it stays as it is, marked and empty
  }
}

void ResultFolder::begin(const Fingerprint& fingerprint) {
  if (resumed_) require_same_fingerprint(plan_, read_mark(work_), fingerprint);
  begun_ = true;
  fingerprint_ = fingerprint;
  write_mark();
  write_text_file(file("config.json"), to_json(plan_.config));
}

void ResultFolder::write_mark() const {
  write_text_file(file(kMark), mark_text(plan_, fingerprint_, work_ == real_ ? "" : real_));
}

void ResultFolder::publish() {
  if (work_ == real_) return;
  // What an earlier replacement has kept there stays.
  std::string old = aside(real_);
  for (int n = 2; !is_free(old); ++n) old = aside(real_) + "-" + std::to_string(n);
  std::error_code error;
  if (fs::exists(real_)) fs::rename(real_, old, error);
  if (!error) fs::rename(work_, real_, error);
  if (error) {
    throw IoError(work_ + ": cannot take the place of " + real_ + ": " + error.message());
  }
  work_ = real_;
  write_mark();
  for (const std::string& folder : std::set<std::string>{old, aside(real_)}) {
    if (!is_folder(folder)) continue;
    remove_own_files(folder);
    if (!fs::remove(folder, error)) {
      std::cerr << folder << ": is kept, it holds files that serenade has not written\n";
    }
  }
}

}  // namespace serenade::ser
