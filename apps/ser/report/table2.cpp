#include "apps/ser/report/table2.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/json_input.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/report/run_progress.h"
#include "apps/ser/training/checkpoints.h"
#include "kernels/runtime/threads.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kTableSchema = "serenade-table2-1";

// Settings that choose folds but do not change what a fold gives.
const std::vector<std::string> kFoldKeys = {"folds", "direction"};

template <class Value>
void require_distinct(const std::vector<Value>& values, const std::string& what) {
  if (values.empty()) throw InputError("table2: give at least one of the " + what);
  if (std::set<Value>(values.begin(), values.end()).size() != values.size()) {
    throw InputError("table2: one of the " + what + " is named twice");
  }
}

std::string cell_path(const std::string& folder, const TableRun& run) {
  return folder + "/cells/" + run.system + "-" + run.mode + "-" + file_name_of(run.fold) + "-seed" +
         std::to_string(run.seed) + ".json";
}

// damaged: what is done with a cell that cannot be read, given its path and why.
using Damaged = std::function<void(const std::string& path, const InputError& error)>;

void read_cell(const std::string& folder, const std::vector<std::string>& classes, TableRun& run,
               const Damaged& damaged) {
  const std::string path = cell_path(folder, run);
  if (!fs::exists(path)) return;
  try {
    FoldRun result = fold_run_from_json(read_text_file(path), path);
    if (result.classes != classes) throw InputError(path + ": has other classes than the table");
    run.result = std::move(result);
  } catch (const InputError& error) {
    damaged(path, error);
  }
}

[[noreturn]] void refuse_cell(const std::string&, const InputError& error) {
  throw InputError(std::string(error.what()) + "; --resume computes the run again");
}

void set_cell_aside(const std::string& path, const InputError& error) {
  std::error_code ignored;
  fs::rename(path, path + ".damaged", ignored);
  std::cerr << error.what() << "; set aside as " << path << ".damaged, and run again" << std::endl;
}

// All runs of a table in the order in which they are computed, with the finished ones filled in.
void list_runs(const std::string& folder, TableRuns& table, const Damaged& damaged) {
  const TablePlan& plan = table.plan;
  for (int k = 0; k < plan.seeds; ++k) {
    for (const std::string& fold : table.folds) {
      for (const std::string& system : plan.systems) {
        for (const std::string& mode : plan.modes) {
          TableRun run{system, mode, fold, plan.config.seed + static_cast<std::uint64_t>(k), {}};
          read_cell(folder, table.classes, run, damaged);
          table.runs.push_back(std::move(run));
        }
      }
    }
  }
}

std::string table_json(const TableRuns& table) {
  Json modes = Json::array();
  for (const std::string& mode : table.plan.modes) modes.push_back(mode);
  const Json document = {{"schema", kTableSchema},
                         {"systems", table.plan.systems},
                         {"modes", modes},
                         {"seeds", table.plan.seeds},
                         {"corpus", table.corpus},
                         {"synthetic", table.synthetic},
                         {"corpus_warnings", table.corpus_warnings},
                         {"classes", table.classes},
                         {"folds", table.folds}};
  return document.dump(2) + "\n";
}

TableRuns open_table(const TablePlan& plan, const LoadedCorpus& loaded, ResultFolder& folder) {
  TableRuns table;
  table.plan = plan;
  table.plan.resolve();
  folder.begin(fingerprint_of(plan.config, loaded));
  table.corpus = loaded.corpus.name;
  table.synthetic = loaded.corpus.synthetic;
  table.corpus_warnings = loaded.corpus.warnings();
  table.classes = loaded.corpus.classes;
  table.plan.config = table.plan.config.with_classes(table.classes);
  for (const Fold& fold : loaded.folds) table.folds.push_back(fold.name);
  for (const char* name : {"cells", "checkpoint"}) make_folder(folder.file(name));
  write_text_file(folder.file("table.json"), table_json(table));
  list_runs(folder.path(), table, set_cell_aside);
  return table;
}

// Runs of one configuration that share their training, to be computed together. Those that are
// finished are asked for with the rest, whose state is kept for all of them.
struct RunGroup {
  Config config;
  std::vector<TableRun*> runs;
  std::vector<Fold> folds;
  std::vector<std::string> failures;
  int computed = 0;
};

std::vector<RunGroup> missing_groups(TableRuns& table, const LoadedCorpus& loaded) {
  std::vector<RunGroup> groups;
  for (TableRun& run : table.runs) {
    const auto fold = std::find_if(loaded.folds.begin(), loaded.folds.end(),
                                   [&](const Fold& f) { return f.name == run.fold; });
    const auto shared = std::find_if(groups.begin(), groups.end(), [&](const RunGroup& group) {
      const TableRun& first = *group.runs.front();
      return first.system == run.system && first.mode == run.mode && first.seed == run.seed &&
             shares_training(group.config, group.folds.front(), *fold);
    });
    RunGroup& group = shared != groups.end()
                          ? *shared
                          : groups.emplace_back(RunGroup{
                                table.plan.run_config(run.system, run.mode, run.seed), {}, {}, {}});
    group.runs.push_back(&run);
    group.folds.push_back(*fold);
  }
  std::erase_if(groups, [](const RunGroup& group) {
    return std::all_of(group.runs.begin(), group.runs.end(),
                       [](const TableRun* run) { return run->result.has_value(); });
  });
  return groups;
}

void run_group(RunGroup& group, const LoadedCorpus& loaded, const ResultFolder& folder,
               double checkpoint_minutes, RunProgress& progress) {
  const TableRun& first = *group.runs.front();
  const std::string name = first.name();
  Checkpoints checkpoints(folder.file("checkpoint/" + first.system + "-" + first.mode + "-seed" +
                                      std::to_string(first.seed) + "-"),
                          checkpoint_minutes,
                          [&](const std::string& line) { progress.message(line); });
  try {
    Observer observer = progress.observe(group.config, name, nullptr);
    observer.checkpoints = &checkpoints;
    std::vector<TrainedFold> trained = run_folds(group.config, loaded, group.folds, observer);
    for (std::size_t i = 0; i < trained.size(); ++i) {
      if (group.runs[i]->result) continue;
      ++group.computed;
      group.runs[i]->result = std::move(trained[i].run);
      write_text_file(cell_path(folder.path(), *group.runs[i]), to_json(*group.runs[i]->result));
    }
    checkpoints.remove();
  } catch (const NonFiniteError& error) {  // the other runs do not depend on these
    for (const TableRun* run : group.runs) {
      group.failures.push_back(run->name() + ": " + error.what());
      progress.message(group.failures.back());
    }
  }
  progress.finish(group.config, name);
}

// Kernel threads of the calling thread, for the length of a scope.
class KernelThreads {
 public:
  explicit KernelThreads(int count) : before_(cpu::thread_count()) { cpu::set_threads(count); }
  ~KernelThreads() { cpu::set_threads(before_); }
  KernelThreads(const KernelThreads&) = delete;
  KernelThreads& operator=(const KernelThreads&) = delete;

 private:
  int before_;
};

}  // namespace

void TablePlan::resolve() {
  require_distinct(systems, "systems");
  require_distinct(modes, "strategies");
  if (seeds < 1) throw InputError("table2: seeds must be at least 1");
  if (!config.genotype.empty()) {
    throw InputError("table2: a genotype is for one system; use `serenade train --genotype`");
  }
  config.system = Config().system;
  config.strategy = Config().strategy;
  config.resolve();
  for (const std::string& system : systems) {
    for (const std::string& mode : modes) run_config(system, mode, config.seed);
  }
}

Config TablePlan::run_config(const std::string& system, const std::string& mode,
                             std::uint64_t seed) const {
  Config run = config;
  set_value(run, "system", system, "--systems");
  set_value(run, "strategy", mode, "--strategies");
  run.seed = seed;
  run.resolve();
  return run;
}

std::string TableRun::name() const {
  return system + " " + mode + " " + fold + " seed " + std::to_string(seed);
}

std::vector<const FoldRun*> TableRuns::of(const std::string& system,
                                          const std::string& mode) const {
  std::vector<const FoldRun*> found;
  for (const TableRun& run : runs) {
    if (run.system == system && run.mode == mode && run.result) found.push_back(&*run.result);
  }
  return found;
}

FolderPlan table_folder(const TablePlan& plan, const std::string& path, OverwritePolicy overwrite) {
  return {
      .path = path,
      .kind = "table",
      .config = plan.config,
      .overwrite = overwrite,
      .free_keys = kFoldKeys,
      .also = Json{{"systems", plan.systems}, {"modes", plan.modes}, {"seeds", plan.seeds}}.dump()};
}

TableRuns run_table(const TablePlan& plan, const LoadedCorpus& loaded, ResultFolder& folder,
                    const TableOptions& options, int* computed) {
  TableRuns table = open_table(plan, loaded, folder);
  std::vector<RunGroup> groups = missing_groups(table, loaded);
  double work = 0;
  for (const RunGroup& group : groups) work += expected_work(group.config);
  RunProgress progress("table2", work);
  const int threads = cpu::thread_count();
  // A GPU has one stream, on which a run records its steps: one run at a time.
  const int at_once = runs_ahead(compute_device()) ? 1 : options.jobs > 0 ? options.jobs : threads;
  parallel_for(static_cast<std::int64_t>(groups.size()), at_once, [&](std::int64_t i) {
    const KernelThreads share(std::max(1, threads / at_once));
    run_group(groups[static_cast<std::size_t>(i)], loaded, folder, options.checkpoint_minutes,
              progress);
  });
  if (computed != nullptr) *computed = 0;
  for (const RunGroup& group : groups) {
    if (computed != nullptr) *computed += group.computed;
    table.failures.insert(table.failures.end(), group.failures.begin(), group.failures.end());
  }
  progress.finish();
  // Of runs that were stopped after their last cell, states may be left.
  const bool whole = std::all_of(table.runs.begin(), table.runs.end(),
                                 [](const TableRun& run) { return run.result.has_value(); });
  if (whole) Checkpoints::remove_all(folder.file("checkpoint"));
  return table;
}

std::optional<TablePlan> stored_plan(const std::string& path) {
  const std::string text = stored_folder_also(path), folder = folder_in_work(path);
  if (text.empty()) {
    if (!is_table_folder(folder)) return std::nullopt;
    return read_table(folder).plan;
  }
  TablePlan plan;
  const Json also = json_input<Json>(text, folder);
  try {
    also.at("systems").get_to(plan.systems);
    also.at("modes").get_to(plan.modes);
    read_integer(also, "seeds", plan.seeds);
  } catch (const Json::exception& error) {
    throw InputError(folder + ": does not say what the table has: " + json_reason(error));
  } catch (const std::invalid_argument& error) {
    throw InputError(folder + ": does not say what the table has: " + error.what());
  }
  return plan;
}

bool is_table_folder(const std::string& folder) {
  return fs::exists(folder + "/config.json") && fs::exists(folder + "/table.json");
}

TableRuns read_table(const std::string& folder) {
  const std::string path = folder + "/table.json";
  TableRuns table;
  table.plan.config =
      stored_config(read_text_file(folder + "/config.json"), folder + "/config.json");
  try {
    const Json document = json_input<Json>(read_text_file(path), path);
    if (document.at("schema") != kTableSchema) throw InputError(path + ": of another version");
    table.plan.systems = document.at("systems").get<std::vector<std::string>>();
    table.plan.modes.clear();
    for (const Json& mode : document.at("modes")) table.plan.modes.push_back(mode);
    read_integer(document, "seeds", table.plan.seeds);
    table.corpus = document.at("corpus");
    table.synthetic = document.at("synthetic");
    table.corpus_warnings = document.value("corpus_warnings", std::vector<std::string>());
    table.classes = document.value("classes", class_names());
    table.plan.config = table.plan.config.with_classes(table.classes);
    table.folds = document.at("folds").get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw InputError(path + ": not a table's list of runs: " + json_reason(error));
  } catch (const std::invalid_argument& error) {
    throw InputError(path + ": " + error.what());
  }
  table.plan.resolve();
  list_runs(folder, table, refuse_cell);
  return table;
}

}  // namespace serenade::ser
