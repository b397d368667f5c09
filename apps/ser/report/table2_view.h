#pragma once
// Table 2, ours beside the paper's: as text for a terminal, Markdown for a README, and JSON.

#include <string>
#include <vector>

#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/evaluation/statistics.h"

namespace serenade::ser {

/// One system under one search mode. Accuracies are fractions.
struct Table2Cell {
  std::string system;          ///< "CNN_GRU_att" or "CNN_SeqCap"
  std::string mode;            ///< "none", "random", "joint", "sampling", "dropout"
  std::vector<double> run_wa;  ///< of each run (fold and seed)
  std::vector<double> run_ua;
  ConfusionMatrix confusion;           ///< all runs pooled: pooled WA and UA come from it
  AccuracyIntervals intervals;         ///< of the pooled WA and UA
  double mean_parameters = 0;          ///< mean over the runs (children differ between folds)
  std::vector<std::string> genotypes;  ///< summary of each run's architecture; may be empty
  double seconds = 0;                  ///< wall time of all runs of the cell
};

struct Table2 {
  std::string corpus;
  bool synthetic = false;  ///< a corpus of machine-made voices
  std::string preset;
  std::string command;
  std::vector<Table2Cell> cells;
  std::vector<PairedComparison> comparisons;
  std::vector<std::string> notes;
};

std::string to_text(const Table2& table);
std::string to_markdown(const Table2& table);
/// One JSON object; accuracies stay fractions.
std::string to_json(const Table2& table);

/// What the reader of any result on machine-made voices is told.
std::string synthetic_notice(const std::string& corpus);

}  // namespace serenade::ser
