#include "apps/ser/run_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/error.h"
#include "apps/ser/figure3.h"
#include "apps/ser/model_file.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream in(path);
  if (!in) throw IoError(path.string() + ": cannot be read");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

bool is_empty_or_absent(const fs::path& path) { return !fs::exists(path) || fs::is_empty(path); }

void require_same_config(const std::string& path, const Config& config) {
  const auto old_one = nlohmann::json::parse(read_text(path), nullptr, false);
  const auto new_one = nlohmann::json::parse(to_json(config));
  for (const auto& [key, value] : new_one.items()) {
    if (key == "cache") continue;  // where features are kept changes no result
    if (!old_one.is_object() || !old_one.contains(key) || old_one[key] != value) {
      throw InputError(path + ": cannot resume, '" + key +
                       "' was different in this run; choose another --out or --replace");
    }
  }
}

std::string predictions_csv(const FoldRun& run) {
  std::ostringstream csv;
  csv << "id,speaker,label,predicted,probabilities\n";
  for (const Prediction& p : run.predictions) {
    csv << p.id << ',' << p.speaker << ',' << class_names()[static_cast<std::size_t>(p.label)]
        << ',' << class_names()[static_cast<std::size_t>(p.predicted)] << ',';
    for (std::size_t k = 0; k < p.probabilities.size(); ++k) {
      csv << (k > 0 ? " " : "") << p.probabilities[k];
    }
    csv << '\n';
  }
  return csv.str();
}

}  // namespace

RunFolder::RunFolder(std::string path, const Config& config, Existing existing)
    : path_(std::move(path)) {
  try {
    const fs::path folder = path_;
    if (fs::exists(folder) && !fs::is_directory(folder)) {
      throw InputError(path_ + ": a file of that name exists; choose another --out");
    }
    if (!is_empty_or_absent(folder)) {
      const bool is_run = fs::exists(folder / "config.json");
      if (existing == Existing::refuse) {
        throw InputError(path_ +
                         ": this folder exists and is not empty; choose another --out, or " +
                         "pass --resume to continue it or --replace to start over");
      }
      if (!is_run) {
        throw InputError(path_ + ": not a run folder (no config.json); choose another --out");
      }
      if (existing == Existing::resume) require_same_config(file("config.json"), config);
      if (existing == Existing::replace) fs::remove_all(folder);
    }
    fs::create_directories(folder / "folds");
    fs::create_directories(folder / "checkpoint");
  } catch (const fs::filesystem_error& error) {
    throw IoError(path_ + ": cannot be made: " + error.code().message());
  }
  write_text_file(file("config.json"), to_json(config));
  metrics_.open(file("metrics.jsonl"), std::ios::app);
  if (!metrics_) throw IoError(file("metrics.jsonl") + ": cannot be written");
}

std::string RunFolder::checkpoint_path(const std::string& fold) const {
  return file("checkpoint/" + fold + ".json");
}

std::optional<FoldRun> RunFolder::finished_fold(const std::string& fold) const {
  if (!fs::exists(checkpoint_path(fold))) return std::nullopt;
  return fold_run_from_json(read_text(checkpoint_path(fold)));
}

void RunFolder::log_epoch(const std::string& fold, const EpochRecord& record) {
  auto line = nlohmann::json::parse(to_json(record));
  line["fold"] = fold;
  metrics_ << line.dump() << std::endl;
  if (!metrics_) throw IoError(file("metrics.jsonl") + ": cannot be written (disk full?)");
}

void RunFolder::save_fold(const Config& config, const FoldRun& run, const System& system,
                          const Normalisation& normalisation) {
  const std::string folder = file("folds/" + run.fold);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw IoError(folder + ": cannot be made: " + error.message());
  write_genotype(folder + "/genotype.json", run.genotype);
  write_model(folder + "/model.safetensors", config, run.genotype, normalisation, system);
  write_text_file(folder + "/predictions.csv", predictions_csv(run));
  if (!run.history.empty()) write_text_file(folder + "/alphas.csv", history_csv(run.history));
  write_text_file(checkpoint_path(run.fold), to_json(run));
}

void RunFolder::publish_best(const std::string& fold) {
  for (const char* name : {"genotype.json", "model.safetensors"}) {
    std::error_code error;
    fs::copy_file(file("folds/" + fold + "/" + name), file(name),
                  fs::copy_options::overwrite_existing, error);
    if (error) throw IoError(file(name) + ": cannot be written: " + error.message());
  }
}

}  // namespace serenade::ser
