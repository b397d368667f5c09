#include "apps/ser/table2.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/ser/error.h"
#include "apps/ser/figure3.h"
#include "apps/ser/run_progress.h"

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
  return folder + "/cells/" + run.system + "-" + to_string(run.mode) + "-" + run.fold + "-seed" +
         std::to_string(run.seed) + ".json";
}

void read_cell(const std::string& folder, TableRun& run) {
  const std::string path = cell_path(folder, run);
  if (!fs::exists(path)) return;
  try {
    run.result = fold_run_from_json(read_text_file(path));
  } catch (const IoError&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(path + ": " + error.what() + "; delete the file to compute the run again");
  }
}

// All places of a table in the order in which they are computed, with the finished ones filled in.
void list_runs(const std::string& folder, TableRuns& table) {
  const TablePlan& plan = table.plan;
  for (int k = 0; k < plan.seeds; ++k) {
    for (const std::string& fold : table.folds) {
      for (const std::string& system : plan.systems) {
        for (const Mode mode : plan.modes) {
          TableRun run{system, mode, fold, plan.config.seed + static_cast<std::uint64_t>(k), {}};
          read_cell(folder, run);
          table.runs.push_back(std::move(run));
        }
      }
    }
  }
}

std::string table_json(const TableRuns& table) {
  Json modes = Json::array();
  for (const Mode mode : table.plan.modes) modes.push_back(to_string(mode));
  const Json document = {{"schema", kTableSchema},   {"systems", table.plan.systems},
                         {"modes", modes},           {"seeds", table.plan.seeds},
                         {"corpus", table.corpus},   {"synthetic", table.synthetic},
                         {"classes", table.classes}, {"folds", table.folds}};
  return document.dump(2) + "\n";
}

TableRuns open_table(const TablePlan& plan, const Material& material, const std::string& folder,
                     Existing existing) {
  TableRuns table;
  table.plan = plan;
  table.plan.resolve();
  table.corpus = material.corpus.name;
  table.synthetic = material.corpus.synthetic;
  table.classes = material.corpus.classes;
  for (const Fold& fold : material.folds) table.folds.push_back(fold.name);
  check_table_folder(table.plan, folder, existing);
  open_result_folder(folder, table.plan.config, existing, kFoldKeys);
  std::error_code error;
  fs::create_directories(folder + "/cells", error);
  if (error) throw IoError(folder + "/cells: cannot be made: " + error.message());
  write_text_file(folder + "/table.json", table_json(table));
  list_runs(folder, table);
  return table;
}

double missing_work(const TableRuns& table) {
  double work = 0;
  for (const TableRun& run : table.runs) {
    if (run.result) continue;
    work += expected_work(table.plan.run_config(run.system, run.mode, run.seed));
  }
  return work;
}

}  // namespace

void TablePlan::resolve() {
  require_distinct(systems, "systems");
  require_distinct(modes, "modes");
  if (seeds < 1) throw InputError("table2: seeds must be at least 1");
  if (!config.genotype.empty()) {
    throw InputError("table2: a genotype is for one system; use `serenade train --genotype`");
  }
  config.system = Config().system;
  config.mode = Config().mode;
  config.resolve();
  for (const std::string& system : systems) {
    for (const Mode mode : modes) run_config(system, mode, config.seed);
  }
}

Config TablePlan::run_config(const std::string& system, Mode mode, std::uint64_t seed) const {
  Config run = config;
  set_value(run, "system", system, "systems");
  run.mode = mode;
  run.seed = seed;
  run.resolve();
  return run;
}

std::string TableRun::name() const {
  return system + " " + to_string(mode) + " " + fold + " seed " + std::to_string(seed);
}

std::vector<const FoldRun*> TableRuns::of(const std::string& system, Mode mode) const {
  std::vector<const FoldRun*> found;
  for (const TableRun& run : runs) {
    if (run.system == system && run.mode == mode && run.result) found.push_back(&*run.result);
  }
  return found;
}

void check_table_folder(const TablePlan& plan, const std::string& folder, Existing existing) {
  if (existing == Existing::resume && fs::exists(folder + "/checkpoint")) {
    throw InputError(folder + ": a run, not a table; choose another --out");
  }
  check_result_folder(folder, plan.config, existing, kFoldKeys);
}

TableRuns run_table(const TablePlan& plan, const Material& material, const std::string& folder,
                    Existing existing, int* computed) {
  TableRuns table = open_table(plan, material, folder, existing);
  if (computed != nullptr) *computed = 0;
  RunProgress progress("table2", missing_work(table));
  for (TableRun& run : table.runs) {
    if (run.result) continue;
    const Config config = table.plan.run_config(run.system, run.mode, run.seed);
    const auto fold = std::find_if(material.folds.begin(), material.folds.end(),
                                   [&](const Fold& f) { return f.name == run.fold; });
    try {
      run.result = run_fold(config, material, *fold, progress.observe(config, run.name(), nullptr));
      write_text_file(cell_path(folder, run), to_json(*run.result));
      if (computed != nullptr) ++*computed;
    } catch (const NonFiniteError& error) {  // the other runs do not depend on this one
      table.failures.push_back(run.name() + ": " + error.what());
      progress.message(table.failures.back());
    }
    progress.finish_fold(config);
  }
  progress.finish();
  return table;
}

bool is_table_folder(const std::string& folder) {
  return fs::exists(folder + "/config.json") && fs::exists(folder + "/table.json");
}

TableRuns read_table(const std::string& folder) {
  const std::string path = folder + "/table.json";
  TableRuns table;
  table.plan.config = read_config(folder + "/config.json");
  try {
    const Json document = Json::parse(read_text_file(path));
    if (document.at("schema") != kTableSchema) throw InputError(path + ": of another version");
    table.plan.systems = document.at("systems").get<std::vector<std::string>>();
    table.plan.modes.clear();
    for (const Json& mode : document.at("modes")) table.plan.modes.push_back(parse_mode(mode));
    table.plan.seeds = document.at("seeds");
    table.corpus = document.at("corpus");
    table.synthetic = document.at("synthetic");
    table.classes = document.at("classes").get<std::vector<std::string>>();
    table.folds = document.at("folds").get<std::vector<std::string>>();
  } catch (const Json::exception& error) {
    throw InputError(path + ": not a table's list of runs: " + error.what());
  } catch (const std::invalid_argument& error) {
    throw InputError(path + ": " + error.what());
  }
  table.plan.resolve();
  list_runs(folder, table);
  return table;
}

}  // namespace serenade::ser
