// `serenade tabulate`: many trainings into a table; `serenade replay`: strategies on that table.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <memory>
#include <set>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/training/search.h"
#include "apps/ser/training/tabulate.h"
#include "nas/replay.h"
#include "nn/training/interrupt.h"
#include "nn/training/progress.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

// tabulate ----------------------------------------------------------------------------------------

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
  const LoadedCorpus loaded = prepare_corpus(config);
  ResultFile file = open_results(options.table, config, fingerprint_of(config, loaded));
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
  options->settings.add_to(command, {"strategy", "direction", "genotype"});
  options->machine.add_to(command);
  command.callback([options] { run_tabulate(*options); });
}

// replay ------------------------------------------------------------------------------------------

struct ReplayCommand {
  std::string table;
  std::vector<std::string> strategies = {"random", "evolution"};
  std::vector<std::string> chosen_by, judged_by;
  std::vector<double> costs = {1, 2, 5, 10, 20, 50};
  ReplayOptions replay;
};

// The parts that are asked for, or all; throws InputError where the table has no such part.
std::set<std::string> chosen_parts(const ResultTable& table,
                                   const std::vector<std::string>& asked) {
  const std::vector<std::string> known(table.parts().begin(), table.parts().end());
  for (const std::string& part : asked) {
    if (table.parts().count(part) == 1) continue;
    throw InputError("the table has no part '" + part + "'; did you mean '" +
                     nearest_word(part, known) + "'?");
  }
  return asked.empty() ? table.parts() : std::set<std::string>(asked.begin(), asked.end());
}

void run_replay(const ReplayCommand& options) {
  const StoredResults stored = read_results(options.table);
  const std::set<std::string> chosen_by = chosen_parts(stored.table, options.chosen_by);
  const std::set<std::string> judged_by = chosen_parts(stored.table, options.judged_by);
  if (chosen_by == judged_by) {
    std::cerr << "note: chosen and judged by the same speakers, which flatters every strategy; "
                 "see --chosen-by and --judged-by\n";
  }
  std::vector<double> costs = options.costs;
  std::sort(costs.begin(), costs.end());
  TextTable table({{"strategy", Align::left}, {"trainings"}, {"regret %"}, {"95 % interval"}});
  for (const std::string& strategy : options.strategies) {
    Config config = stored.config;
    set_value(config, "strategy", strategy, "--strategies");
    config.search.trials = static_cast<std::int64_t>(std::ceil(costs.back()));
    const Genotype baseline = baseline_genotype(config.options);
    const auto make = [&](std::uint64_t seed) {
      config.seed = seed;
      return make_strategy(config, baseline);
    };
    if (make(0)->needs_supernet()) {
      throw InputError("--strategies: a table holds no supernet, which " + strategy + " trains");
    }
    try {
      for (const RegretPoint& point :
           replay_regret(stored.table, chosen_by, judged_by, make, costs, options.replay)) {
        table.add_row({strategy, compact(point.cost), percent(point.by_runs.estimate),
                       percent(point.by_runs.low) + " .. " + percent(point.by_runs.high)});
      }
    } catch (const std::invalid_argument& error) {
      throw InputError(options.table + ": " + error.what());
    }
    table.add_rule();
  }
  std::cout << table.to_text();
}

void set_up_replay(CLI::App& command) {
  auto options = std::make_shared<ReplayCommand>();
  command.add_option("table", options->table, "what `serenade tabulate` has written")->required();
  command
      .add_option("--strategies", options->strategies,
                  "those that train architectures (serenade strategies)")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--chosen-by", options->chosen_by, "speakers whose scores a strategy is told")
      ->delimiter(',');
  command.add_option("--judged-by", options->judged_by, "speakers by whom its answer is judged")
      ->delimiter(',');
  command.add_option("--costs", options->costs, "after so many trainings")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command.add_option("--repeats", options->replay.repeats, "runs of each strategy")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100000}))
      ->capture_default_str();
  command.add_option("--seed", options->replay.seed, "of the first run")->capture_default_str();
  command.callback([options] { run_replay(*options); });
}

}  // namespace

Command tabulate_command() {
  return {"tabulate", "train many architectures, and write what they reach into a table",
          set_up_tabulate};
}

Command replay_command() {
  return {"replay", "strategies on such a table: how far from its best, over the trainings spent",
          set_up_replay};
}

}  // namespace serenade::ser
