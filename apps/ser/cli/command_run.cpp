// `serenade train` and `serenade search`: one experiment over its folds, in one run folder.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>

#include "apps/ser/cli/commands.h"
#include "apps/ser/cli/config_options.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/report/figure3.h"
#include "apps/ser/report/run_folder.h"
#include "apps/ser/report/run_progress.h"
#include "apps/ser/report/run_results.h"
#include "apps/ser/training/experiment.h"
#include "nn/training/interrupt.h"

namespace serenade::ser {

namespace {

struct RunOptions {
  explicit RunOptions(Config defaults) : settings(std::move(defaults)) {}
  ConfigOptions settings;
  OutputOptions output;
  MachineOptions machine;
};

Config resumed_config(const ConfigOptions& settings, const OutputOptions& output) {
  Config config = settings.config(output.stored());
  // Wherever the run is continued from, its corpus is this one.
  for (std::string* path : {&config.corpus, &config.genotype}) {
    if (!path->empty()) *path = absolute_path(*path);
  }
  return config;
}

std::string default_folder(const Config& config) {
  return "runs/" + config.system + "-" + config.strategy + "-" + config.preset + "-seed" +
         std::to_string(config.seed);
}

const Fold& fold_named(const std::vector<Fold>& folds, const std::string& name) {
  return *std::find_if(folds.begin(), folds.end(),
                       [&](const Fold& fold) { return fold.name == name; });
}

// The training on all speakers, or what an earlier session has of it.
FoldRun final_run(RunFolder& folder, const std::string& name, const Config& config,
                  const LoadedCorpus& loaded, const RunResults& results) {
  const FinalPlan plan = final_plan(results.folds);
  if (const std::optional<FoldRun> run = folder.finished_fold(kFinalFold)) {
    if (run->genotype == plan.genotype && run->best_epoch == plan.epochs) return *run;
  }
  Config alone = config;  // of a single training, whatever was searched before
  alone.strategy = kNoSearch;
  alone.epochs = plan.epochs;
  RunProgress progress(name + ", final model", expected_work(alone));
  TrainedFold trained =
      train_final(config, loaded, plan, progress.observe(alone, kFinalFold, &folder));
  folder.save_fold(config, trained.run, *trained.recognizer, trained.normalisation,
                   origin_of(loaded.corpus, final_fold(loaded.corpus)));
  progress.finish(alone, kFinalFold);
  progress.finish();
  return std::move(trained.run);
}

// Everything but the folder, which the caller has opened.
void run_in(RunFolder& folder, const std::string& name, const Config& settings,
            const std::string& out) {
  const LoadedCorpus loaded = prepare_corpus(settings);
  const Config config = settings.with_classes(loaded.corpus.classes);
  folder.begin(fingerprint_of(config, loaded));
  const StopOnSignals stop_on_signals;

  std::map<std::string, FoldRun> runs;
  std::vector<std::vector<Fold>> groups;
  // A group of which some folds are finished is asked for as a whole: the rest of its state is kept
  // for all of them together.
  for (const std::vector<Fold>& group : group_by_training(config, loaded.folds)) {
    std::vector<FoldRun> finished;
    for (const Fold& fold : group) {
      if (std::optional<FoldRun> run = folder.finished_fold(fold.name)) {
        finished.push_back(std::move(*run));
      }
    }
    if (finished.size() < group.size()) {
      groups.push_back(group);
      continue;
    }
    for (FoldRun& run : finished) runs[run.fold] = std::move(run);
  }
  RunProgress progress(name, expected_work(config) * static_cast<double>(groups.size()));
  for (const std::vector<Fold>& group : groups) {
    const std::string& first = group.front().name;
    for (TrainedFold& trained :
         run_folds(config, loaded, group, progress.observe(config, first, &folder))) {
      FoldRun& run = trained.run;
      if (run.fold != first) {  // the first one's epochs have been logged as they went by
        for (const EpochRecord& epoch : run.epochs) folder.log_epoch(run.fold, epoch);
      }
      folder.save_fold(config, run, *trained.recognizer, trained.normalisation,
                       origin_of(loaded.corpus, fold_named(group, run.fold)));
      for (const std::string& warning : run.warnings) {
        progress.message(run.fold + ": " + warning);
      }
      runs[run.fold] = std::move(run);
    }
    progress.finish(config, first);
  }
  progress.finish();

  // In the protocol's order, whichever were finished first.
  std::vector<FoldRun> in_order;
  for (const Fold& fold : loaded.folds) in_order.push_back(std::move(runs.at(fold.name)));
  RunResults results = summarize(config, loaded.corpus, std::move(in_order));
  if (config.final_model) results.final_run = final_run(folder, name, config, loaded, results);
  folder.publish_model(published_run(results).fold);
  write_text_file(folder.file("results.json"), to_json(results));
  const RunReport report = run_report(results, repeat_command(config, out));
  write_text_file(folder.file("report.html"), render_run_report(report));
  if (!report.figure3.empty()) write_figure3(folder.file("figure3"), report.figure3);
  folder.publish();
  const KeepingPace::Cost cost = folder.checkpoints().cost();
  std::cout << to_text(results) << "states:   kept " << cost.times << " times in "
            << fixed(cost.seconds, 2) << " s, " << percent(cost.share)
            << " % of the time (for --resume)\n"
            << "report:   " << folder.file("report.html") << std::endl;
}

void run_experiment(const std::string& name, const RunOptions& options) {
  options.machine.apply();
  const Config config = resumed_config(options.settings, options.output);
  if (config.corpus.empty() && options.output.resume) {
    throw InputError(options.output.folder + ": there is nothing to resume here; look for a " +
                     "misspelt --out, or give all settings");
  }
  if (config.corpus.empty()) {
    throw InputError(name +
                     ": give --corpus FOLDER; `serenade corpus make FOLDER` writes a demo corpus");
  }
  const std::string out =
      options.output.folder.empty() ? default_folder(config) : options.output.folder;
  // All that can be wrong is found before the features are computed and the folder is made.
  configured_genotype(config);
  options.settings.remark_unread(config, {config.strategy});
  print_remarks(config);
  RunFolder folder(out, config, options.output.overwrite(), options.output.checkpoint_minutes,
                   [](const std::string& line) { std::cerr << line << std::endl; });
  try {
    run_in(folder, name, config, out);
  } catch (const Interrupted& stop) {
    throw Interrupted(stop.signal(), "stopped; all that was done is kept: go on with `serenade " +
                                         name + " --resume --out " + out + "`");
  }
}

// `allowed`: the strategies that the command is for.
Command run_command(const std::string& name, const std::string& help, const Config& defaults,
                    const std::vector<std::string>& allowed) {
  return {name, help, [=](CLI::App& command) {
            auto options = std::make_shared<RunOptions>(defaults);
            options->output.add_to(command);
            options->machine.add_to(command);
            options->settings.add_to(command);
            command.callback([options, name, allowed] {
              const std::string strategy =
                  resumed_config(options->settings, options->output).strategy;
              if (std::find(allowed.begin(), allowed.end(), strategy) == allowed.end()) {
                throw InputError(name + ": strategy " + strategy + " belongs to `serenade " +
                                 (name == "train" ? "search" : "train") + "`");
              }
              run_experiment(name, *options);
            });
          }};
}

}  // namespace

Command train_command() {
  return run_command("train", "train one architecture: the hand-made one, or --genotype FILE", {},
                     {kNoSearch});
}

Command search_command() {
  Config defaults;
  defaults.strategy = "dropout";
  std::vector<std::string> searching;
  for (const StrategyRow& row : strategies()) {
    if (row.name != kNoSearch) searching.push_back(row.name);
  }
  return run_command("search", "search an architecture, train it from scratch, and evaluate it",
                     defaults, searching);
}

}  // namespace serenade::ser
