#pragma once
// A corpus with its features, and the three sets of a fold.

#include <string>
#include <vector>

#include "apps/ser/data/dataset.h"
#include "apps/ser/data/protocol.h"
#include "apps/ser/features/feature_cache.h"
#include "apps/ser/training/config.h"

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

/// One fold's three sets, normalised by its training speakers. Those that have no recordings
/// (final_fold) are the training set once more, for nobody to ask.
struct FoldData {
  const Corpus* corpus = nullptr;  ///< of the LoadedCorpus, which must outlive this
  Fold fold;
  Normalisation normalisation;
  Dataset train;
  Dataset validation;
  Dataset test;
};
FoldData make_fold_data(const Config& config, const LoadedCorpus& loaded, const Fold& fold);

}  // namespace serenade::ser
