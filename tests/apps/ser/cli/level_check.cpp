// Answers at another level: what changes, and what is said about it.

#include "apps/ser/cli/level_check.h"
#include "apps/ser/common/decibels.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/ser/evaluation/evaluate.h"
#include "tests/apps/ser/training/tones.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

// A network that was trained in the same way but for the front end, and what it says.
std::vector<LevelScore> scores_of(const std::string& corpus, RecordingLevel level,
                                  const std::vector<double>& levels) {
  Config config = small_config(corpus, kGruAtt, "none");
  config.features.level = level;
  config.epochs = 12;
  config.learning_rate = 3e-3;
  const LoadedCorpus loaded = prepare_corpus(config);
  const Fold& fold = loaded.folds.front();
  TrainedFold trained = run_fold(config, loaded, fold, {});
  ModelFile model{.config = config,
                  .genotype = trained.run.genotype,
                  .normalisation = trained.normalisation,
                  .origin = {},
                  .recognizer = std::move(trained.recognizer)};
  std::vector<LevelScore> scores = score_levels(model, loaded.corpus, loaded.features, fold.test,
                                                trained.run.predictions, levels);
  // The same from the samples.
  for (const LevelScore& score : scores) {
    const std::vector<Features> features =
        extract_features(loaded.corpus, config.features, {.gain = gain_of(score.decibels)});
    const Dataset data(features, loaded.labels, fold.test, model.normalisation, config.segments);
    CHECK(confusion(evaluate(*model.recognizer, data, loaded.corpus), loaded.corpus.classes) ==
          score.matrix);
  }
  return scores;
}

}  // namespace

TEST_CASE("level check: at the recorded level nothing changes, far away it does") {
  const TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  const std::vector<LevelScore> plain = scores_of(corpus, RecordingLevel::recorded, {-60, 0});
  REQUIRE(plain.size() == 2);
  CHECK(plain[0].changed > 0);
  CHECK(plain[1].changed == 0);
  CHECK(plain[0].matrix.total() == plain[1].matrix.total());
  CHECK(plain[1].matrix.wa() > plain[0].matrix.wa());
  CHECK(contains(to_text(plain), "at -60 dB: WA "));
  CHECK(contains(to_text(plain), "level-dependent"));
  const auto json = nlohmann::json::parse(to_json(plain));
  CHECK(json["level_dependent"] == true);
  CHECK(json["levels"][0]["decibels"] == -60);
  CHECK(json["levels"][1]["changed"] == 0);
  CHECK(json["levels"][1]["confusion"].size() == 4);

  const std::vector<LevelScore> level = scores_of(corpus, RecordingLevel::loudness, {-60, 12});
  CHECK(level[0].changed == 0);
  CHECK(level[1].changed == 0);
  CHECK(contains(to_text(level), "No answer changes with the volume."));
  CHECK(nlohmann::json::parse(to_json(level))["level_dependent"] == false);
}

TEST_CASE("level check: levels have names and gains, and none asks for nothing") {
  CHECK(level_name(-6) == "-6 dB");
  CHECK(level_name(2.5) == "+2.5 dB");
  CHECK(gain_of(-20) == doctest::Approx(0.1));
  LevelOptions options;
  CHECK(options.asked() == std::vector<double>{-6, 6});
  options.off = true;
  CHECK(options.asked().empty());
  CHECK(to_text(std::vector<LevelScore>{}).empty());
}
