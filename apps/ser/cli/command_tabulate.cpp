// `serenade tabulate`: many trainings into a table.

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/training/tabulate.h"
#include "nn/training/interrupt.h"
#include "nn/training/progress.h"

namespace serenade::ser {

namespace {

struct TabulateOptions {
  ConfigOptions settings{Config{}};
  MachineOptions machine;
  TabulatePlan plan;
  std::string table;
};

void run_tabulate(const TabulateOptions& options) {
  options.machine.apply();
  Config config = options.settings.config(std::nullopt);
  if (config.corpus.empty()) throw InputError("tabulate: give --corpus FOLDER");
  config.direction = Direction::both;  // a training is measured on both speakers
  check_plan(config, options.plan);
  const LoadedCorpus loaded = prepare_corpus(config);
  config = config.with_classes(loaded.corpus.classes);
  ResultFile file = told_in_options(
      [&] { return open_results(options.table, config, fingerprint_of(config, loaded)); });
  const StopOnSignals stop_on_signals;
  std::unique_ptr<ProgressBar> bar;
  try {
    tabulate(config, loaded, options.plan, file, [&](std::int64_t done, std::int64_t total) {
      if (!bar) bar = std::make_unique<ProgressBar>("trainings", total);
      bar->update(done);
    });
  } catch (const Interrupted& stop) {
    throw Interrupted(stop.signal(),
                      "stopped; all whole trainings are kept: go on with the same command");
  }
  if (bar) bar->finish();
  std::cout << options.table << ": " << file.table().size() << " rows of "
            << file.table().genotypes().size() << " architectures" << std::endl;
}

void set_up_tabulate(CLI::App& command) {
  auto options = std::make_shared<TabulateOptions>();
  command.add_option("table", options->table, "CSV file, new or to be gone on with")->required();
  command
      .add_option("--architectures", options->plan.architectures,
                  "so many random ones; 0: all of the space")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  command
      .add_option("--seeds", options->plan.seeds,
                  "trainings of each, with --seed and those after it")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  std::vector<std::string> unused = search_keys();
  unused.insert(unused.end(), {"strategy", "direction", "genotype", "final"});
  options->settings.add_to(command, unused);
  options->machine.add_to(command);
  command.callback([options] { run_tabulate(*options); });
}

}  // namespace

Command tabulate_command() {
  return {"tabulate", "train many architectures, and write what they reach into a table",
          set_up_tabulate};
}

}  // namespace serenade::ser
