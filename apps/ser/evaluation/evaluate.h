#pragma once
// What a network says about recordings.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"
#include "apps/ser/data/dataset.h"
#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/models/recognizer.h"

namespace serenade::ser {

/// Every recording of a set, whole utterances, none left out; sorted by id.
std::vector<Prediction> evaluate(Recognizer& recognizer, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold = "", std::uint64_t seed = 0);

}  // namespace serenade::ser
