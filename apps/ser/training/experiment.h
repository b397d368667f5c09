#pragma once
// One experiment: from a corpus and a configuration to trained networks and what they say about the
// test speakers. The protocol is the paper's (../README.md, "Protocol"): search on the training and
// validation speakers, train the chosen architecture from scratch, keep the epoch with the best
// validation WA, and open the test speaker's recordings once.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/features/feature_cache.h"
#include "apps/ser/training/config.h"
#include "nas/genotype.h"
#include "nas/search.h"

namespace serenade::ser {

/// A corpus made ready: features of all its recordings, and the folds.
struct LoadedCorpus {
  Corpus corpus;
  std::vector<Features> features;
  std::vector<int> labels;
  std::vector<Fold> folds;
  std::string place;  ///< where a GPU finds the features: "corpus in host memory"; else empty
};

/// Loads the corpus and makes its features: on the compute device if that is a GPU whose memory
/// holds them (config.corpus_memory), else in host memory, or found in the cache. Throws InputError
/// if they do not fit where they must. Progress goes to stderr.
LoadedCorpus prepare_corpus(const Config& config);

/// One fold's three sets, normalised by its training speakers.
struct FoldData {
  const Corpus* corpus = nullptr;  ///< of the LoadedCorpus, which must outlive this
  Fold fold;
  Normalisation normalisation;
  Dataset train;
  Dataset validation;
  Dataset test;
};
FoldData make_fold_data(const Config& config, const LoadedCorpus& loaded, const Fold& fold);

/// What one epoch did. Figures that a stage does not have are 0.
struct EpochRecord {
  std::string stage;  ///< "search", "train", or "train 1" .. of the random mode
  int epoch = 0;      ///< from 1
  double learning_rate = 0;
  double train_loss = 0;
  double architecture_loss = 0;  ///< search: of the alpha steps
  double child_loss = 0;         ///< search: training loss of one randomly selected child
  double validation_loss = 0;    ///< train
  double validation_wa = 0;      ///< train
  double validation_ua = 0;      ///< train
  double gradient_norm = 0;      ///< of all weights, in the epoch's last step
  double window_length = 0;      ///< mean capsule lengths, CNN_SeqCap
  double utterance_length = 0;
  double seconds = 0;
};

/// Called while an experiment runs; either may be empty.
struct Observer {
  /// `done` of `total` steps of a stage; `figures` for a progress bar.
  std::function<void(const std::string& stage, std::int64_t done, std::int64_t total,
                     const std::string& figures)>
      on_step;
  std::function<void(const EpochRecord&)> on_epoch;
};

struct Training {
  Genotype genotype;
  std::unique_ptr<System> system;  ///< with the weights of the best epoch, in evaluation mode
  std::vector<EpochRecord> epochs;
  int best_epoch = 0;  ///< by validation WA, the first on ties; from 1
  double best_validation_wa = 0;
  std::int64_t parameters = 0;
};

/// Trains one architecture from scratch, once for all the given folds, which must share their
/// training set: they differ in whom each epoch is validated on, and so in the epoch that each
/// keeps. One result per fold. Throws NonFiniteError where the loss is no longer a number.
std::vector<Training> train_architecture(const Config& config, const std::vector<FoldData>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage = "train");

struct Search {
  Genotype genotype;
  Genotype child;  ///< the randomly selected one whose loss is in EpochRecord::child_loss
  std::vector<EpochRecord> epochs;
  std::vector<SearchRecord> history;
  std::vector<std::string> warnings;
};

/// The randomly selected child that a search follows: the same for every mode and fold of a seed,
/// so that the modes can be compared.
Genotype followed_child(const Config& config);

/// Trains a supernet in config.mode (joint, sampling or dropout) and derives an architecture.
Search search_architecture(const Config& config, const FoldData& data, const Observer& observer);

/// What a network says about every recording of a set, whole utterances, none left out.
std::vector<Prediction> evaluate(System& system, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold = "", std::uint64_t seed = 0);

/// The architecture that mode `none` trains: config.genotype's, or the hand-made one where that is
/// empty. Throws InputError naming the file when it cannot be read or does not fit the system.
Genotype configured_genotype(const Config& config);

/// Everything one fold gives, by config.mode: none trains the hand-made architecture (or
/// config.genotype), random trains several and keeps the best on the validation speaker, the others
/// search and then train.
struct FoldRun {
  std::string fold;
  std::uint64_t seed = 0;
  std::string device = "cpu";  ///< what it ran on: compute_device_name() and LoadedCorpus::place
  Genotype genotype;
  std::vector<EpochRecord> epochs;    ///< of all stages in order
  std::vector<SearchRecord> history;  ///< empty without a search
  std::vector<std::string> warnings;
  int best_epoch = 0;
  double best_validation_wa = 0;
  std::int64_t parameters = 0;
  double search_seconds = 0;
  double train_seconds = 0;
  std::vector<Prediction> predictions;  ///< of the test speaker
};

/// A fold and the network that made its predictions.
struct TrainedFold {
  FoldRun run;
  std::unique_ptr<System> system;
  Normalisation normalisation;
};
TrainedFold run_fold(const Config& config, const LoadedCorpus& loaded, const Fold& fold,
                     const Observer& observer);

/// True where the two folds train the same networks in config.mode: their training recordings are
/// the same, as those of the two directions of a session are, and the mode learns from nothing else
/// (the modes sampling and dropout adapt alpha to the validation speaker).
bool shares_training(const Config& config, const Fold& a, const Fold& b);

/// `folds` in groups that share their training, each in the order given.
std::vector<std::vector<Fold>> group_by_training(const Config& config,
                                                 const std::vector<Fold>& folds);

/// The same results as run_fold of each, bit for bit, with the common work done once. All pairs of
/// the folds must share their training. Seconds are divided evenly; `observer` sees every step
/// once, and the epochs of the first fold.
std::vector<TrainedFold> run_folds(const Config& config, const LoadedCorpus& loaded,
                                   const std::vector<Fold>& folds, const Observer& observer);

/// One line of metrics.jsonl.
std::string to_json(const EpochRecord& record);

/// FoldRun as a JSON object, and back; for checkpoints and table cells. The second throws
/// std::runtime_error on text that the first did not write.
std::string to_json(const FoldRun& result);
FoldRun fold_run_from_json(const std::string& text);

}  // namespace serenade::ser
