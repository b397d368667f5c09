// `serenade table2`: the paper's Table 2 and Figure 3 from one command.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/report/table2.h"
#include "apps/ser/report/table2_results.h"
#include "nn/training/interrupt.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

struct Table2Options {
  ConfigOptions settings;
  OutputOptions output;
  MachineOptions machine;
  // Empty or 0 where they are not given.
  std::vector<std::string> systems, modes;
  int seeds = 0;
  int jobs = 0;
  bool json = false;
};

TablePlan plan_of(const Table2Options& options) {
  const std::optional<Config> stored = options.output.stored();
  TablePlan plan;
  if (stored) plan = stored_plan(options.output.folder).value_or(plan);
  plan.config = options.settings.config(stored);
  if (!plan.config.corpus.empty()) plan.config.corpus = absolute_path(plan.config.corpus);
  if (!options.systems.empty()) plan.systems = options.systems;
  if (!options.modes.empty()) plan.modes = options.modes;
  if (options.seeds > 0) plan.seeds = options.seeds;
  told_in_options([&] { plan.resolve(); });
  if (plan.config.corpus.empty()) {
    throw InputError(
        "table2: give --corpus FOLDER; `serenade corpus make FOLDER` writes a demo corpus");
  }
  return plan;
}

TableRuns run_or_stop(const Table2Options& options, const TablePlan& plan,
                      const std::string& folder, ResultFolder& results) {
  const LoadedCorpus loaded = prepare_corpus(plan.config);
  const StopOnSignals stop_on_signals;
  try {
    return run_table(
        plan, loaded, results,
        {.jobs = options.jobs, .checkpoint_minutes = options.output.checkpoint_minutes});
  } catch (const Interrupted& stop) {
    throw Interrupted(stop.signal(),
                      "stopped; all that was done is kept: go on with `serenade table2 --resume "
                      "--out " +
                          folder + "`");
  }
}

void run_table2(const Table2Options& options) {
  options.machine.apply();
  const TablePlan plan = plan_of(options);
  options.settings.remark_unread(plan.config, plan.modes);
  for (const std::string& mode : plan.modes) {
    print_remarks(plan.run_config(plan.systems.front(), mode, plan.config.seed));
  }
  const std::string folder =
      options.output.folder.empty()
          ? "runs/table2-" + plan.config.preset + "-seed" + std::to_string(plan.config.seed)
          : options.output.folder;
  // Bad input leaves no folder, and a folder that cannot be used costs no features.
  ResultFolder results(table_folder(plan, folder, options.output.overwrite()));
  const TableRuns runs = run_or_stop(options, plan, folder, results);
  if (runs.failures.size() < runs.runs.size()) {
    const Table2 table = write_table2(runs, results.path());
    results.publish();
    if (options.json) {
      std::cout << to_json(table) << std::flush;
    } else {
      std::cout << to_text(table) << "\nreport: " << folder << "/report.html" << std::endl;
    }
  }
  if (!runs.failures.empty()) {
    throw NonFiniteError(
        "table2: " + std::to_string(runs.failures.size()) + " of " +
        std::to_string(runs.runs.size()) +
        " runs stopped being finite and are left out; the first: " + runs.failures.front());
  }
}

void set_up_table2(CLI::App& command) {
  auto options = std::make_shared<Table2Options>();
  command.add_option("--systems", options->systems, "separated by commas")
      ->delimiter(',')
      ->default_str(join(TablePlan().systems, ","));
  command
      .add_option("--strategies", options->modes,
                  "separated by commas; `serenade strategies` lists them")
      ->delimiter(',')
      ->default_str(join(TablePlan().modes, ","));
  command.add_option("--seeds", options->seeds, "runs of each fold, from --seed upwards")
      ->check(CLI::Range(1, 1000))
      ->default_str("1");
  command
      .add_option("--jobs", options->jobs,
                  "runs at a time, which share the threads; 0: one per thread. Memory grows with "
                  "it, results do not change")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command.add_flag("--json", options->json, "one JSON document on stdout");
  options->output.add_to(command);
  options->machine.add_to(command);
  options->settings.add_to(command, {"system", "strategy", "genotype", "final"});
  command.callback([options] { run_table2(*options); });
}

}  // namespace

Command table2_command() {
  return {"table2", "the paper's Table 2 and Figure 3: all systems and strategies", set_up_table2};
}

}  // namespace serenade::ser
