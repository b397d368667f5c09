#pragma once
// From the folds of a run to its figures: pooled accuracy with intervals, as text, as JSON, and as
// the report.

#include <optional>
#include <string>
#include <vector>

#include "apps/ser/evaluation/statistics.h"
#include "apps/ser/report/report.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/experiment.h"

namespace serenade::ser {

struct RunResults {
  Config config;
  std::string corpus;
  bool synthetic = false;
  std::vector<std::string> corpus_warnings;  ///< Corpus::warnings
  std::vector<FoldRun> folds;
  std::optional<FoldRun> final_run;     ///< config.final_model: it is trained on all speakers
  std::vector<Prediction> predictions;  ///< of all folds
  ConfusionMatrix confusion;            ///< of all folds
  AccuracyIntervals intervals;
  std::vector<double> fold_wa, fold_ua;
};

RunResults summarize(const Config& config, const Corpus& corpus, std::vector<FoldRun> folds);

/// Index of the fold with the best validation WA, the first on ties.
std::size_t best_fold(const RunResults& results);

/// The run whose model is the run's model.safetensors: the final one, or that of the best fold.
const FoldRun& published_run(const RunResults& results);

/// The table of folds, the pooled figures with their intervals, and the majority baseline.
std::string to_text(const RunResults& results);
std::string to_json(const RunResults& results);

/// What render_run_report shows. `command` is the command line that can repeat the run.
RunReport run_report(const RunResults& results, const std::string& command);

/// Loss curves of the searches, mean over the folds: the data of Figure 3 for one mode.
Figure3 figure3_of(const std::vector<FoldRun>& folds, const std::string& system,
                   const std::string& mode);

/// The command line that repeats a run: its configuration file holds every setting.
std::string repeat_command(const Config& config, const std::string& folder);

/// "2026-11-22 16:05"; for headings.
std::string local_time();

}  // namespace serenade::ser
