#pragma once
// Training of one architecture from scratch.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/models/recognizer.h"
#include "apps/ser/training/config.h"
#include "apps/ser/training/loaded_corpus.h"
#include "nas/genotype.h"

namespace serenade::ser {

class Checkpoints;

/// What one epoch did. Figures that a stage does not have are 0.
struct EpochRecord {
  std::string stage;  ///< "search", "train", or "train 1" .. of the random mode
  int epoch = 0;      ///< from 1
  double learning_rate = 0;
  double train_loss = 0;
  double architecture_loss = 0;  ///< search: of the alpha steps
  double child_loss = 0;         ///< search: training loss of one randomly selected child
  double mixture_loss = 0;       ///< search: of the whole mixture, on some training batches
  /// search: of that child, each layer brought to the mixture's root mean square, on the same
  double matched_child_loss = 0;
  double validation_loss = 0;  ///< train
  double validation_wa = 0;    ///< train
  double validation_ua = 0;    ///< train
  double gradient_norm = 0;    ///< of all weights, in the epoch's last step
  double window_norm = 0;      ///< mean norms of the capsules, CNN_SeqCap
  double utterance_norm = 0;
  double seconds = 0;
};

/// Told what an experiment does, and where what it has done is kept; each may be empty.
struct Observer {
  /// `done` of `total` steps of a stage; `figures` for a progress bar.
  std::function<void(const std::string& stage, std::int64_t done, std::int64_t total,
                     const std::string& figures)>
      on_step = {};
  std::function<void(const EpochRecord&)> on_epoch = {};  ///< those before a break are told again
  Checkpoints* checkpoints = nullptr;
};

struct Training {
  Genotype genotype;
  std::unique_ptr<Recognizer>
      recognizer;  ///< with the weights of the best epoch, in evaluation mode
  std::vector<EpochRecord> epochs;
  int best_epoch = 0;  ///< by validation WA, the first on ties; from 1
  double best_validation_wa = 0;
  std::int64_t parameters = 0;
};

/// Trains one architecture from scratch, once for all the given folds, which must share their
/// training set: they differ in whom each epoch is validated on, and so in the epoch that each
/// keeps; without anybody (final_fold), that is the last. One result per fold. Goes on from what
/// the observer's checkpoints hold of the stage. Throws NonFiniteError where the loss is no longer
/// a number.
std::vector<Training> train_architecture(const Config& config,
                                         const std::vector<const FoldData*>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage = "train");

/// One line of metrics.jsonl.
std::string to_json(const EpochRecord& record);

}  // namespace serenade::ser
