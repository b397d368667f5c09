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

/// The class probabilities of a recording from those of its pieces (features/sound_pieces.h): their
/// mean, each piece weighted by its length. A single piece's are returned bit for bit.
class MeanProbabilities {
 public:
  void add(const real* probabilities, std::int64_t classes, std::int64_t length);
  const std::vector<double>& values() const { return mean_; }

 private:
  std::vector<double> mean_;
  double length_ = 0;
};

/// The class of the largest probability. Throws NonFiniteError, which begins with `name`, where one
/// is not finite: there is then no answer.
int most_probable(const std::vector<double>& probabilities, const std::string& name);

/// Every recording of a set, none left out; sorted by id. Recordings are answered as whole
/// utterances, very long ones in pieces. Throws as most_probable().
std::vector<Prediction> evaluate(Recognizer& recognizer, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold = "", std::uint64_t seed = 0);

}  // namespace serenade::ser
