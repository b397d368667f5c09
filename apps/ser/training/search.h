#pragma once
// The search for an architecture: a strategy of nas/ on the recordings of a corpus.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apps/ser/training/config.h"
#include "apps/ser/training/loaded_corpus.h"
#include "apps/ser/training/train.h"
#include "nas/genotype.h"
#include "nas/history.h"
#include "nas/strategy.h"

namespace serenade::ser {

/// The strategy of config.strategy. baseline: what `none` trains. Throws InputError where the
/// options make no sense.
std::unique_ptr<Strategy> make_strategy(const Config& config, const Genotype& baseline);

/// The architecture that `none` trains: config.genotype's, or the hand-made one where that is
/// empty. Throws InputError naming the file when it cannot be read or does not fit the system.
Genotype configured_genotype(const Config& config);

/// The randomly selected child that the search of a supernet follows: the same for every mode and
/// fold of a seed, so that the modes can be compared.
Genotype followed_child(const Config& config);

/// A training that a strategy asked for, and what it was told. One that it has asked for before is
/// not done again: it has the score of then and costs nothing.
struct TrialRecord {
  Genotype genotype;
  std::int64_t epochs = 0;  ///< that the training had
  Outcome outcome;          ///< score: the best validation WA
};

/// A score that a strategy asked for without a training (Problem::untrained_score).
struct UntrainedScore {
  Genotype genotype;
  double score = 0;  ///< minus infinity where nothing flows through the network
};

/// What a search found for one fold.
struct FoldSearch {
  Genotype genotype;
  std::vector<EpochRecord> epochs;     ///< of the supernet, or of all trials
  std::vector<SearchRecord> history;   ///< of the supernet
  std::vector<TrialRecord> trials;     ///< without a supernet
  std::vector<UntrainedScore> scored;  ///< in the order of asking
  std::vector<std::string> warnings;
  /// Of the genotype, where a trial has trained it already.
  std::optional<Training> training;
};

/// Searches in config.strategy, once for all the given folds, which must share their training
/// (group_by_training in experiment.h). One result per fold.
std::vector<FoldSearch> search_architectures(const Config& config,
                                             const std::vector<FoldData>& folds,
                                             const Observer& observer);

}  // namespace serenade::ser
