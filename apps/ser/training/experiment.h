#pragma once
// One experiment: from a corpus and a configuration to trained networks and what they say about the
// test speakers. The protocol is the paper's (../README.md, "Protocol"): search on the training and
// validation speakers, train the chosen architecture from scratch, keep the epoch with the best
// validation WA, and open the test speaker's recordings once.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/data/dataset.h"
#include "apps/ser/data/protocol.h"
#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/models/recognizer.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/loaded_corpus.h"
#include "apps/ser/training/search.h"
#include "apps/ser/training/train.h"
#include "nas/genotype.h"
#include "nas/history.h"

namespace serenade::ser {

/// Everything one fold gives: the search of config.strategy, the training of what it found, and
/// what the network says about the test speaker.
struct FoldRun {
  std::string fold;
  std::uint64_t seed = 0;
  std::string device = "cpu";  ///< what it ran on: compute_device_name() and LoadedCorpus::place
  std::vector<std::string> classes = class_names();
  Genotype genotype;
  std::vector<EpochRecord> epochs;     ///< of all stages in order
  std::vector<SearchRecord> history;   ///< empty without a supernet
  std::vector<TrialRecord> trials;     ///< empty with one
  std::vector<UntrainedScore> scored;  ///< likewise
  std::vector<std::string> warnings;
  int best_epoch = 0;
  double best_validation_wa = 0;
  std::int64_t parameters = 0;
  int planned_epochs = 0;         ///< config.epochs; a longer run trains on
  std::string weights_hash = {};  ///< content_hash of the kept weights
  double search_seconds = 0;
  double train_seconds = 0;
  std::vector<Prediction> predictions;  ///< of the test speaker
};

/// A fold and the network that made its predictions.
struct TrainedFold {
  FoldRun run;
  std::unique_ptr<Recognizer> recognizer;
  Normalisation normalisation;
};
TrainedFold run_fold(const Config& config, const LoadedCorpus& loaded, const Fold& fold,
                     const Observer& observer);

/// Whether the two folds train the same networks: their training recordings are the same, as those
/// of the two directions of a session are, and config.strategy learns from nothing else
/// (Strategy::shares_training).
bool shares_training(const Config& config, const Fold& a, const Fold& b);

/// `folds` in groups that share their training, each in the order given.
std::vector<std::vector<Fold>> group_by_training(const Config& config,
                                                 const std::vector<Fold>& folds);

/// The same results as run_fold of each, bit for bit, with the common work done once. All pairs of
/// the folds must share their training. Seconds are divided evenly; `observer` sees every step
/// once, and the epochs of the first fold.
std::vector<TrainedFold> run_folds(const Config& config, const LoadedCorpus& loaded,
                                   const std::vector<Fold>& folds, const Observer& observer);

/// What the final model of a run is: the architecture that most of the folds have found, the one of
/// the best validation WA among equals, and the median of their kept epochs (of an even number the
/// mean of the middle two, rounded up).
struct FinalPlan {
  Genotype genotype;
  int epochs = 0;
};
FinalPlan final_plan(const std::vector<FoldRun>& folds);

/// Trains it on all speakers. Its run has no predictions: nobody is left to test it on.
TrainedFold train_final(const Config& config, const LoadedCorpus& loaded, const FinalPlan& plan,
                        const Observer& observer);

/// FoldRun as a JSON object, and back; for checkpoints and table cells. The second throws
/// InputError, one line that begins with `source`, on text that the first did not write.
std::string to_json(const FoldRun& result);
FoldRun fold_run_from_json(const std::string& text, const std::string& source = "");

}  // namespace serenade::ser
