#pragma once
// The folder of a run: everything that was decided, measured and learned, in files of their own.
//
//   config.json         the complete, resolved configuration
//   metrics.jsonl       one line per epoch
//   genotype.json       the architecture of the final model, or of the fold with the best
//                       validation WA
//   model.safetensors   its trained weights, with all that `predict` needs
//   folds/<fold>/       genotype.json, model.safetensors, predictions.csv, child.dot of each fold;
//                       of a search also alphas.csv (every alpha of every epoch), norms.csv (the
//                       scale of outputs and gradients), supernet.dot and, where the strategy
//                       measures something, measured.csv; of one without a supernet trials.csv
//   folds/final/        the first two of the final model, which is tested by nobody
//   checkpoint/         what --resume goes on from: finished folds, and of each search and training
//                       the newest state and the one before it (checkpoints.h)
//   results.json        WA, UA, intervals, baseline
//   report.html         all of it as one page
//   serenade.json, serenade.lock   whose folder it is (result_folder.h)
//
// In names of files, a fold is written as file_name_of(fold).

#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "apps/ser/report/result_folder.h"
#include "apps/ser/training/checkpoints.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/model_origin.h"

namespace serenade::ser {

class RunFolder {
 public:
  /// Opens the folder by the rules of ResultFolder; to go on, a run may be given more epochs.
  /// checkpoint_minutes: of Checkpoints. tell: is given one line about anything damaged or lost.
  RunFolder(const std::string& path, const Config& config, OverwritePolicy overwrite,
            double checkpoint_minutes, std::function<void(const std::string&)> tell);

  std::string file(const std::string& name) const { return folder_.file(name); }

  /// ResultFolder::begin.
  void begin(const Fingerprint& fingerprint);

  /// A fold that an earlier session finished with as many epochs as are wanted now, if there is
  /// one. A damaged file is told, set aside, and the fold is run again.
  std::optional<FoldRun> finished_fold(const std::string& fold);

  /// Of the searches and trainings of all folds.
  Checkpoints& checkpoints() { return checkpoints_; }

  /// Appends one epoch to metrics.jsonl at once, so that nothing is lost by a break; not again for
  /// a fold that was finished before.
  void log_epoch(const std::string& fold, const EpochRecord& record);

  /// Writes folds/<fold>/ and then the checkpoint that marks the fold as finished.
  void save_fold(const Config& config, const FoldRun& run, const Recognizer& system,
                 const Normalisation& normalisation, const ModelOrigin& origin);

  /// Copies genotype.json and model.safetensors of a fold, or of the final model, to the top.
  void publish_model(const std::string& fold);

  /// All results are there (ResultFolder::publish).
  void publish() { folder_.publish(); }

 private:
  std::string checkpoint_path(const std::string& fold) const;
  void forget_unfinished_folds();

  ResultFolder folder_;
  int epochs_;
  std::function<void(const std::string&)> tell_;
  Checkpoints checkpoints_;
  std::ofstream metrics_;
  std::set<std::string> logged_;  // folds whose epochs an earlier session has logged to the end
};

}  // namespace serenade::ser
