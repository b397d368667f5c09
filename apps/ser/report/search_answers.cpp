#include "apps/ser/report/search_answers.h"

#include <algorithm>
#include <filesystem>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/tabulate.h"

namespace serenade::ser {

namespace {

// Those that a fold was tested on.
std::string part_of(const FoldRun& run) {
  std::set<std::string> speakers;
  for (const Prediction& prediction : run.predictions) speakers.insert(prediction.speaker);
  return part_name({speakers.begin(), speakers.end()});
}

void check_same(const std::string& folder, const char* what, const std::string& run,
                const std::string& table) {
  if (run == table) return;
  throw InputError(folder + ": this search is of " + what + " " + run + ", the table of " + table);
}

}  // namespace

ReplayAnswers SearchAnswers::of(const std::set<std::string>& judged_by) const {
  ReplayAnswers found;
  for (const Answer& answer : answers) {
    if (judged_by.count(answer.part) == 1) found.push_back({answer.architecture});
  }
  return found;
}

std::vector<SearchAnswers> read_search_answers(const std::vector<std::string>& folders,
                                               const Config& table) {
  const SearchSpace space = search_space(table.options);
  std::vector<SearchAnswers> all;
  for (const std::string& folder : folders) {
    const std::string settings = folder + "/config.json";
    const Config config = stored_config(read_text_file(settings), settings);
    check_same(folder, "system", config.system, table.system);
    check_same(folder, "preset", config.preset, table.preset);
    auto same = std::find_if(all.begin(), all.end(), [&](const SearchAnswers& other) {
      return other.strategy == config.strategy;
    });
    if (same == all.end()) same = all.insert(all.end(), {config.strategy, {}});
    std::error_code missing;  // a folder that is not there has no finished fold
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder + "/checkpoint", missing)) {
      if (entry.path().extension() == ".json") files.push_back(entry.path().string());
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      const FoldRun run = fold_run_from_json(read_text_file(file), file);
      check_genotype(run.genotype, space, file);
      same->answers.push_back({part_of(run), genotype_index(run.genotype, space)});
    }
    if (files.empty()) throw InputError(folder + ": there is no finished fold");
  }
  return all;
}

}  // namespace serenade::ser
