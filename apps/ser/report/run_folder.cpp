#include "apps/ser/report/run_folder.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/names.h"
#include "apps/ser/report/search_course.h"
#include "apps/ser/training/model_file.h"
#include "nas/draw.h"
#include "tensor/csv.h"
#include "tensor/files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

std::string supernet_dot(const SearchSpace& space, const FoldRun& run) {
  std::vector<std::vector<double>> probabilities;
  for (const ChoiceRecord& layer : run.history.back().choices) {
    probabilities.push_back(layer.probabilities);
  }
  return draw_supernet_dot(space, probabilities, choice_indices(run.genotype, space));
}

std::string predictions_csv(const FoldRun& run) {
  const std::vector<std::string>& classes = run.classes;
  std::vector<std::string> columns = {"id", "speaker", "label", "predicted"};
  columns.insert(columns.end(), classes.begin(), classes.end());
  CsvTable table(columns);
  for (const Prediction& p : run.predictions) {
    table.add(p.id).add(p.speaker);
    table.add(classes.at(static_cast<std::size_t>(p.label)));
    table.add(classes.at(static_cast<std::size_t>(p.predicted)));
    for (const double probability : p.probabilities) table.add(probability);
  }
  return table.text();
}

}  // namespace

RunFolder::RunFolder(const std::string& path, const Config& config, OverwritePolicy overwrite,
                     double checkpoint_minutes, std::function<void(const std::string&)> tell)
    : folder_({.path = path,
               .kind = "run",
               .config = config,
               .overwrite = overwrite,
               .free_keys = {"epochs", "final"}}),
      epochs_(config.epochs),
      tell_(std::move(tell)),
      checkpoints_(file("checkpoint/"), checkpoint_minutes, tell_) {}

void RunFolder::begin(const Fingerprint& fingerprint) {
  folder_.begin(fingerprint);
  for (const char* name : {"folds", "checkpoint"}) make_folder(file(name));
  forget_unfinished_folds();
  metrics_.open(file("metrics.jsonl"), std::ios::app);
  if (!metrics_) throw IoError(file("metrics.jsonl") + ": cannot be written");
}

// Epochs of a fold that was broken off will be told, and logged, again; its last line may be torn.
void RunFolder::forget_unfinished_folds() {
  if (!fs::exists(file("metrics.jsonl"))) return;
  std::istringstream lines(read_text_file(file("metrics.jsonl")));
  std::map<std::string, bool> finished;
  std::string kept, line;
  while (std::getline(lines, line)) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object() || !record.contains("fold") || !record["fold"].is_string()) continue;
    const std::string fold = record["fold"];
    if (!finished.contains(fold)) finished[fold] = finished_fold(fold).has_value();
    if (!finished[fold]) continue;
    kept += line + "\n";
    logged_.insert(fold);
  }
  write_text_file(file("metrics.jsonl"), kept);
}

std::string RunFolder::checkpoint_path(const std::string& fold) const {
  return file("checkpoint/" + file_name_of(fold) + ".json");
}

std::optional<FoldRun> RunFolder::finished_fold(const std::string& fold) {
  const std::string path = checkpoint_path(fold);
  if (!fs::exists(path)) return std::nullopt;
  const std::string text = read_text_file(path);
  try {
    FoldRun run = fold_run_from_json(text);
    const std::string folder = file("folds/" + file_name_of(fold) + "/");
    for (const char* name : {"genotype.json", "model.safetensors", "predictions.csv"}) {
      if (fold == kFinalFold && name == std::string("predictions.csv")) continue;
      if (fs::is_regular_file(folder + name)) continue;
      tell_(folder + name + ": not there; the fold is run again");
      return std::nullopt;
    }
    // Of before, runs do not say how many epochs they were to have.
    if (run.planned_epochs == 0 || run.planned_epochs == epochs_) return run;
  } catch (const std::runtime_error& error) {
    std::error_code ignored;
    fs::rename(path, path + ".damaged", ignored);
    tell_(path + ": " + error.what() + "; set aside as " + path + ".damaged, and run again");
  }
  return std::nullopt;
}

void RunFolder::log_epoch(const std::string& fold, const EpochRecord& record) {
  if (logged_.contains(fold)) return;
  auto line = nlohmann::json::parse(to_json(record));
  line["fold"] = fold;
  metrics_ << line.dump() << std::endl;
  if (!metrics_) throw IoError(file("metrics.jsonl") + ": cannot be written (disk full?)");
}

void RunFolder::save_fold(const Config& config, const FoldRun& run, const Recognizer& system,
                          const Normalisation& normalisation, const ModelOrigin& origin) {
  const std::string folder = file("folds/" + file_name_of(run.fold));
  make_folder(folder);
  remove_partial_files(folder);  // of an attempt that was broken off
  write_text_file(folder + "/genotype.json", serenade::to_json(run.genotype));
  write_model(folder + "/model.safetensors", config, run.genotype, normalisation, system, origin);
  if (run.fold != kFinalFold) write_text_file(folder + "/predictions.csv", predictions_csv(run));
  const SearchSpace space = search_space(config.options);
  write_text_file(folder + "/child.dot", draw_child_dot(space, run.genotype));
  if (!run.trials.empty()) write_text_file(folder + "/trials.csv", trials_csv(run));
  if (!run.history.empty()) {
    const bool measures =
        std::any_of(run.history.begin(), run.history.end(),
                    [](const SearchRecord& epoch) { return !epoch.values.empty(); });
    if (measures) write_text_file(folder + "/measured.csv", measured_csv(run.history));
    write_text_file(folder + "/alphas.csv", history_csv(run.history));
    write_text_file(folder + "/norms.csv", norms_csv(run.history));
    write_text_file(folder + "/supernet.dot", supernet_dot(space, run));
  }
  synchronise_text_file(file("metrics.jsonl"));  // of a finished fold, no epoch is logged again
  write_text_file(checkpoint_path(run.fold), to_json(run));
}

void RunFolder::publish_model(const std::string& fold) {
  for (const char* name : {"genotype.json", "model.safetensors"}) {
    write_text_file(file(name), read_text_file(file("folds/" + file_name_of(fold) + "/" + name)));
  }
}

}  // namespace serenade::ser
