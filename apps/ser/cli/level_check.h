#pragma once
// Whether a model's answers depend on how loud a recording is: everything is scored again, so many
// decibels louder and softer. Samples are scaled as they are, neither clipped nor rounded to
// 16 bits.

#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"
#include "apps/ser/evaluation/metrics.h"
#include "apps/ser/training/model_file.h"

namespace CLI {
class App;
}

namespace serenade::ser {

/// `--levels` and `--no-level-check`.
struct LevelOptions {
  std::vector<double> decibels = {-6, 6};
  bool off = false;

  void add_to(CLI::App& command);
  /// The levels to be scored at; none where the check is off.
  std::vector<double> asked() const { return off ? std::vector<double>() : decibels; }
};

/// "-6 dB", "+6 dB"
std::string level_name(double decibels);

/// What a model says about a corpus at another level.
struct LevelScore {
  double decibels = 0;
  ConfusionMatrix matrix;
  double changed = 0;  ///< share of the answers that are others than at the level as recorded
};

/// features: of all recordings of the corpus, as recorded; wanted: which of them are scored;
/// predictions: evaluate() of those. Where a spectrogram tells what it would be at another level
/// (features/level_change.h), only the network works again; else sound is decoded once more.
std::vector<LevelScore> score_levels(ModelFile& model, const Corpus& corpus,
                                     const std::vector<Features>& features,
                                     const std::vector<std::int64_t>& wanted,
                                     const std::vector<Prediction>& predictions,
                                     const std::vector<double>& levels);

/// Lines for people; "" without a score.
std::string to_text(const std::vector<LevelScore>& scores);
/// {"level_dependent": .., "levels": [..]}
std::string to_json(const std::vector<LevelScore>& scores);

}  // namespace serenade::ser
