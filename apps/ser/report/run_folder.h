#pragma once
// The folder of a run: everything that was decided, measured and learned, in files of their own.
//
//   config.json         the complete, resolved configuration
//   metrics.jsonl       one line per epoch
//   genotype.json       the chosen architecture (of the fold with the best validation WA)
//   model.safetensors   its trained weights, with all that `predict` needs
//   folds/<fold>/       genotype.json, model.safetensors, predictions.csv, child.dot of each fold;
//                       of a search also alphas.csv (every alpha of every epoch) and supernet.dot
//   checkpoint/         finished folds, for --resume
//   results.json        WA, UA, intervals, baseline
//   report.html         all of it as one page

#include <fstream>
#include <optional>
#include <string>

#include "apps/ser/report/result_folder.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/experiment.h"

namespace serenade::ser {

class RunFolder {
 public:
  /// Opens the folder by the rules of open_result_folder; `resume` keeps finished folds.
  RunFolder(std::string path, const Config& config, OverwritePolicy overwrite);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// A fold that an earlier session finished, if there is one. Throws InputError if its checkpoint
  /// is damaged.
  std::optional<FoldRun> finished_fold(const std::string& fold) const;

  /// Appends one epoch to metrics.jsonl at once, so that nothing is lost by a break.
  void log_epoch(const std::string& fold, const EpochRecord& record);

  /// Writes folds/<fold>/ and then the checkpoint that marks the fold as finished.
  void save_fold(const Config& config, const FoldRun& run, const Recognizer& system,
                 const Normalisation& normalisation);

  /// Copies genotype.json and model.safetensors of the best fold to the top.
  void publish_best(const std::string& fold);

 private:
  std::string checkpoint_path(const std::string& fold) const;
  void forget_unfinished_folds();

  std::string path_;
  std::ofstream metrics_;
};

}  // namespace serenade::ser
