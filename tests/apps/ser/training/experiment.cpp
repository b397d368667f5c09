// A whole experiment on a corpus of tones: the same bits on every run and for every number of
// threads, models that predict the same after a trip through a file, and what happens when training
// diverges.

#include "apps/ser/training/experiment.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/ser/common/error.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/training/model_file.h"
#include "apps/ser/training/records.h"
#include "kernels/runtime/threads.h"
#include "nn/checkpoint.h"
#include "tests/apps/ser/training/tones.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

/// Threads in use for the length of a scope.
class Threads {
 public:
  explicit Threads(int count) : before_(cpu::thread_count()) { cpu::set_threads(count); }
  ~Threads() { cpu::set_threads(before_); }

 private:
  int before_;
};

FoldRun timeless_run(const Config& config, const LoadedCorpus& loaded, int threads,
                     std::unique_ptr<Recognizer>* system = nullptr,
                     Normalisation* normalisation = nullptr) {
  const Threads in_use(threads);
  TrainedFold trained = run_fold(config, loaded, loaded.folds.front(), {});
  if (system != nullptr) *system = std::move(trained.recognizer);
  if (normalisation != nullptr) *normalisation = trained.normalisation;
  return timeless(std::move(trained.run));
}

}  // namespace

TEST_CASE("experiment: a search tells the loss of the whole mixture") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "joint");
  const LoadedCorpus loaded = prepare_corpus(config);
  config.learning_rate = 1e-9;  // the weights stay as they begin
  for (const char* mode : {"joint", "sampling"}) {
    CAPTURE(mode);
    config.strategy = mode;
    const FoldRun run = run_fold(config, loaded, loaded.folds.front(), {}).run;
    for (const EpochRecord& epoch : run.epochs) {
      if (epoch.stage != "search") {
        CHECK(epoch.mixture_loss == 0);
      } else if (config.strategy == "joint") {  // what its steps train
        CHECK(epoch.mixture_loss == doctest::Approx(epoch.train_loss).epsilon(1e-3));
        CHECK(epoch.mixture_loss != doctest::Approx(epoch.child_loss).epsilon(1e-4));
      } else {
        CHECK(epoch.mixture_loss != doctest::Approx(epoch.train_loss).epsilon(1e-4));
      }
      if (epoch.stage == "search") {
        CHECK(epoch.matched_child_loss > 0);
        CHECK(epoch.matched_child_loss != epoch.child_loss);
      }
    }
    if (config.strategy == "joint") continue;
    // Runs of before do not know it.
    std::string before = records_json(run.epochs);
    for (const std::string& key :
         {std::string("\"mixture_loss\":"), std::string("\"matched_child_loss\":")}) {
      for (std::size_t at; (at = before.find(key)) != std::string::npos;) {
        before.erase(at, before.find(',', at) + 1 - at);
      }
    }
    CHECK(records_from_json(before).size() == run.epochs.size());
    CHECK(records_from_json(before)[0].mixture_loss == 0);
    CHECK(records_from_json(before)[0].matched_child_loss == 0);
  }
}

TEST_CASE("experiment: a fold's run survives JSON") {
  SearchRecord search{.epoch = 0,
                      .weight_steps = 12,
                      .architecture_steps = 3,
                      .weight_loss = 1.25,
                      .architecture_loss = 1.0 / 3,
                      .choices = {{.name = "conv1",
                                   .candidates = {"2x8", "3x5"},
                                   .alphas = {0.1, -0.1},
                                   .probabilities = {0.55, 0.45},
                                   .entropy = 0.69,
                                   .best = 0,
                                   .updates = {7, 5},
                                   .activation_rms = 0.3,
                                   .gradient_norm = 1e-30}}};
  const FoldRun run{.fold = "session1-test-A",
                    .seed = UINT64_MAX,
                    .genotype = baseline_genotype({}),
                    .epochs = {{.stage = "search", .epoch = 1, .train_loss = 0.1},
                               {.stage = "train",
                                .epoch = 1,
                                .learning_rate = 1e-3,
                                .validation_wa = 2.0 / 3,
                                .seconds = 0.5}},
                    .history = {search},
                    .trials = {{baseline_genotype({}), 3, {.score = 0.7, .cost = 1.0 / 3}}},
                    .scored = {{baseline_genotype({}), 0.125},
                               {baseline_genotype({}), -std::numeric_limits<double>::infinity()}},
                    .warnings = {"a \"quoted\" warning"},
                    .best_epoch = 1,
                    .best_validation_wa = 2.0 / 3,
                    .parameters = 833076,
                    .search_seconds = 1.5,
                    .train_seconds = 2.5,
                    .predictions = {{.id = "a,b",
                                     .speaker = "A",
                                     .label = 1,
                                     .predicted = 2,
                                     .probabilities = {0.1, 0.2, 0.3, 0.4},
                                     .fold = "session1-test-A",
                                     .seed = UINT64_MAX}}};
  const std::string text = to_json(run);
  const FoldRun again = fold_run_from_json(text);
  CHECK(to_json(again) == text);
  CHECK(again.seed == run.seed);
  CHECK(again.genotype == run.genotype);
  CHECK(again.warnings == run.warnings);
  CHECK(again.best_validation_wa == run.best_validation_wa);
  REQUIRE(again.epochs.size() == 2);
  CHECK(again.epochs[1].validation_wa == run.epochs[1].validation_wa);
  REQUIRE(again.history.size() == 1);
  CHECK(again.history[0].choices[0].gradient_norm == 1e-30);
  REQUIRE(again.trials.size() == 1);
  CHECK(again.trials[0].genotype == run.genotype);
  CHECK(again.trials[0].epochs == 3);
  CHECK(again.trials[0].outcome.score == 0.7);
  CHECK(again.trials[0].outcome.cost == 1.0 / 3);
  REQUIRE(again.scored.size() == 2);
  CHECK(again.scored[0].genotype == run.genotype);
  CHECK(again.scored[0].score == 0.125);
  CHECK(again.scored[1].score == -std::numeric_limits<double>::infinity());
  auto without = nlohmann::json::parse(text);  // as a run of before has it
  without.erase("trials");
  without.erase("scored");
  without.erase("hash");
  CHECK(fold_run_from_json(without.dump()).trials.empty());
  REQUIRE(again.predictions.size() == 1);
  CHECK(again.predictions[0].probabilities == run.predictions[0].probabilities);
  CHECK(again.predictions[0].fold == run.fold);
  CHECK(again.predictions[0].seed == run.seed);

  // Runs of before have other names for two figures, and no hash.
  std::string before = text;
  before.replace(before.find("\"hash\""), std::string("\"hash\":\"0123456789abcdef\",").size(), "");
  for (std::size_t at; (at = before.find("window_norm")) != std::string::npos;) {
    before.replace(at, 11, "window_length");
  }
  CHECK(to_json(fold_run_from_json(before)) == text);
  std::string other_figure = text;
  other_figure.replace(other_figure.find("833076"), 6, "833077");
  for (const std::string& damaged :
       {std::string(), std::string("{}"), text.substr(0, 200), other_figure}) {
    CHECK_THROWS_AS(fold_run_from_json(damaged), std::runtime_error);
  }
}

TEST_CASE("experiment: predictions that no recogniser has made are refused") {
  const Prediction good{.id = "a", .speaker = "A", .probabilities = {0, 1, 0.25, 0.75}};
  const auto refusal = [&](const std::function<void(Prediction&)>& damage) {
    FoldRun run;
    run.genotype = baseline_genotype({});
    run.predictions = {good, good};
    damage(run.predictions[1]);
    return message_of<InputError>([&] { fold_run_from_json(to_json(run), "cells/x.json"); });
  };
  const std::vector<std::function<void(Prediction&)>> damages = {
      [](Prediction& p) { p.label = -1; },
      [](Prediction& p) { p.label = 4; },
      [](Prediction& p) { p.predicted = -1; },
      [](Prediction& p) { p.predicted = 4; },
      [](Prediction& p) { p.probabilities[3] = -0.25; },
      [](Prediction& p) { p.probabilities[0] = 1.25; },
      [](Prediction& p) { p.probabilities.pop_back(); },
      [](Prediction& p) { p.probabilities.push_back(0); },
      [](Prediction& p) { p.probabilities.clear(); }};
  CHECK(refusal([](Prediction& p) { p.label = p.predicted = 3; }) == "");
  for (std::size_t i = 0; i < damages.size(); ++i) {
    CAPTURE(i);
    CHECK(refusal(damages[i]) ==
          "cells/x.json: not a saved run of a fold: prediction: of \"a\": must have one of 4 "
          "classes and a probability in 0 .. 1 for each");
  }
}

TEST_CASE("experiment: the same bits twice, and for one and two threads") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  const std::vector<std::pair<const char*, std::string>> cases = {
      {kGruAtt, "none"},   {kSeqCap, "none"},     {kGruAtt, "dropout"},
      {kGruAtt, "random"}, {kSeqCap, "sampling"}, {kGruAtt, "joint"}};
  for (const auto& one_case : cases) {
    const char* const system = one_case.first;
    const std::string& mode = one_case.second;
    CAPTURE(system);
    CAPTURE(mode);
    Config config = small_config(corpus, system, mode);
    config.epochs = config.search_epochs = 1;
    config.search.trials = 2;
    const LoadedCorpus loaded = prepare_corpus(config);
    const FoldRun one = timeless_run(config, loaded, 1);
    const std::string text = to_json(one);
    CHECK(to_json(timeless_run(config, loaded, 2)) == text);
    CHECK(one.predictions.size() == 8);
    if (mode != "none") continue;
    CHECK(to_json(timeless_run(config, loaded, 1)) == text);
    config.seed = 6;
    CHECK(to_json(timeless_run(config, loaded, 1)) != text);
  }
}

TEST_CASE("experiment: folds that share their training are what each is alone") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  for (const char* mode : {"none", "random", "joint"}) {
    CAPTURE(mode);
    Config config = small_config(corpus, kGruAtt, mode);
    config.direction = Direction::both;
    config.search_epochs = 1;
    config.search.trials = 2;
    const LoadedCorpus loaded = prepare_corpus(config);
    REQUIRE(loaded.folds.size() == 2);
    REQUIRE(shares_training(config, loaded.folds[0], loaded.folds[1]));
    CHECK(group_by_training(config, loaded.folds).size() == 1);
    std::vector<TrainedFold> together = run_folds(config, loaded, loaded.folds, {});
    for (std::size_t i = 0; i < 2; ++i) {
      const FoldRun alone = run_fold(config, loaded, loaded.folds[i], {}).run;
      CHECK(to_json(timeless(std::move(together[i].run))) == to_json(timeless(alone)));
    }
  }
  Config config = small_config(corpus, kGruAtt, "dropout");
  config.direction = Direction::both;
  const LoadedCorpus loaded = prepare_corpus(config);
  CHECK_FALSE(shares_training(config, loaded.folds[0], loaded.folds[1]));
  CHECK(group_by_training(config, loaded.folds).size() == 2);
  CHECK_THROWS_AS(run_folds(config, loaded, loaded.folds, {}), std::invalid_argument);
}

TEST_CASE("experiment: a mode that tries architectures ends with the best whole training") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  for (const char* mode : {"bayesian", "halving", "zero_cost"}) {
    CAPTURE(mode);
    Config config = small_config(corpus, kGruAtt, mode);
    config.epochs = 3;
    config.search.trials = 3;
    const LoadedCorpus loaded = prepare_corpus(config);
    const FoldRun run = run_fold(config, loaded, loaded.folds[0], {}).run;
    // Halving: three of one epoch, one of three; the others: three whole trainings.
    const bool halving = std::string(mode) == "halving";
    CHECK(run.epochs.size() == (halving ? 6 : 9));
    const FoldData data = make_fold_data(config, loaded, loaded.folds[0]);
    const Training alone = std::move(train_architecture(config, {&data}, run.genotype, {})[0]);
    CHECK(content_hash(alone.recognizer->state_dict()) == run.weights_hash);
    CHECK(alone.best_validation_wa == run.best_validation_wa);
    for (const EpochRecord& epoch : run.epochs) {
      CHECK((halving || epoch.validation_wa <= run.best_validation_wa));
    }
    // What the strategy was told is kept: scores of the trainings above, and what they cost.
    REQUIRE(run.trials.size() == (halving ? 4 : 3));
    double cost = 0, best = 0;
    for (const TrialRecord& trial : run.trials) {
      cost += trial.outcome.cost;
      if (trial.epochs == 3) best = std::max(best, trial.outcome.score);
    }
    CHECK(cost == doctest::Approx(static_cast<double>(run.epochs.size()) / 3));
    CHECK(best == run.best_validation_wa);
    // All that were scored, of which the best were trained.
    CHECK(run.scored.size() == (std::string(mode) == "zero_cost" ? 30 : 0));
    if (!run.scored.empty()) {
      std::vector<UntrainedScore> ranked = run.scored;
      std::stable_sort(ranked.begin(), ranked.end(),
                       [](const auto& a, const auto& b) { return a.score > b.score; });
      for (std::size_t i = 0; i < 3; ++i) CHECK(run.trials[i].genotype == ranked[i].genotype);
      CHECK(ranked.front().score > ranked.back().score);
    }
    const FoldRun read = fold_run_from_json(to_json(run));
    CHECK(to_json(read) == to_json(run));
    CHECK(read.trials.back().genotype == run.trials.back().genotype);
  }
}

TEST_CASE("experiment: what was trained already is not trained again, and costs nothing") {
  TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "evolution");
  config.epochs = 1;
  config.search.trials = 4;
  // With one alive, the next is its child whatever it scored: what is asked for needs no training.
  config.search.population = config.search.tournament = 1;
  const auto asked = [&](std::uint64_t seed) {
    Config one = config;
    one.seed = seed;
    const auto strategy = make_strategy(one, baseline_genotype(one.options));
    std::vector<Genotype> genotypes;
    while (const auto trial = dynamic_cast<BlackBox&>(*strategy).ask()) {
      genotypes.push_back(trial->genotype);
      dynamic_cast<BlackBox&>(*strategy).tell(*trial, {});
    }
    return genotypes;
  };
  // A grandchild that has gone back.
  while (asked(config.seed)[0] != asked(config.seed)[2]) ++config.seed;
  const LoadedCorpus loaded = prepare_corpus(config);
  const FoldRun run = run_fold(config, loaded, loaded.folds[0], {}).run;
  REQUIRE(run.trials.size() == 4);
  CHECK(run.trials[2].genotype == run.trials[0].genotype);
  CHECK(run.trials[2].outcome.score == run.trials[0].outcome.score);
  CHECK(run.trials[2].outcome.cost == 0);
  CHECK(run.trials[2].epochs == 1);
  std::size_t known = 0;
  for (const TrialRecord& trial : run.trials) known += trial.outcome.cost == 0;
  CHECK(run.epochs.size() == 4 - known);
}

TEST_CASE("experiment: every strategy runs on both systems, and tells what it did") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  for (const char* system : {kGruAtt, kSeqCap}) {
    for (const StrategyRow& row : strategies()) {
      CAPTURE(system);
      CAPTURE(row.name);
      Config config = small_config(corpus, system, row.name);
      config.segments = {.length = 32, .minimum = 8};
      config.epochs = config.search_epochs = 1;
      config.search.trials = 2;
      config.search.scored = 3;
      config.search.tuning_epochs = 1;
      config.search.child_population = 2;
      config.search.child_generations = 1;
      const LoadedCorpus loaded = prepare_corpus(config);
      const FoldRun run = run_fold(config, loaded, loaded.folds[0], {}).run;
      CHECK(run.predictions.size() == 8);
      check_genotype(run.genotype, search_space(config.options), "the answer");
      const bool supernet =
          make_strategy(config, baseline_genotype(config.options))->needs_supernet();
      CHECK(run.history.empty() != supernet);
      CHECK(run.trials.size() == (supernet || row.name == kNoSearch ? 0u : 2u));
    }
  }
}

TEST_CASE("experiment: a model file predicts what its network did") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  for (const char* system_name : {kGruAtt, kSeqCap}) {
    for (const NormalisationKind kind :
         {NormalisationKind::per_bin, NormalisationKind::per_utterance,
          NormalisationKind::utterance_mean}) {
      CAPTURE(system_name);
      Config config = small_config(corpus, system_name, "none");
      config.normalisation = kind;
      if (kind == NormalisationKind::utterance_mean) {  // all that changes samples before it
        config.features.level = RecordingLevel::loudness;
        config.features.trim = 35;
      }
      config.epochs = 1;
      const LoadedCorpus loaded = prepare_corpus(config);
      std::unique_ptr<Recognizer> system;
      Normalisation normalisation;
      const FoldRun run = timeless_run(config, loaded, 1, &system, &normalisation);
      const std::string path = folder / "model.safetensors";
      write_model(path, config, run.genotype, normalisation, *system);

      const ModelFile model = read_model(path);
      config.corpus = "";  // paths of the machine stay there
      CHECK(to_json(model.config) == to_json(config));
      CHECK(model.genotype == run.genotype);
      const Dataset test(loaded.features, loaded.labels, loaded.folds.front().test,
                         model.normalisation, model.config.segments);
      const std::vector<Prediction> again = evaluate(*model.recognizer, test, loaded.corpus);
      REQUIRE(again.size() == run.predictions.size());
      for (std::size_t i = 0; i < again.size(); ++i) {
        CHECK(again[i].id == run.predictions[i].id);
        CHECK(again[i].probabilities == run.predictions[i].probabilities);
      }
    }
  }
  CHECK_THROWS_AS(read_model(folder / "manifest.csv"), InputError);
  const Config config = small_config(corpus, kGruAtt, "none");
  const Genotype genotype = baseline_genotype(config.options);
  CHECK_THROWS_AS(write_model(folder / "absent/model.safetensors", config, genotype,
                              {.kind = NormalisationKind::per_utterance, .mean = {}, .stddev = {}},
                              *make_recognizer(config.options, genotype)),
                  IoError);
}

TEST_CASE("experiment: training learns the tones") {
  TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  config.epochs = 15;
  config.learning_rate = 3e-3;
  const LoadedCorpus loaded = prepare_corpus(config);
  const FoldRun run = timeless_run(config, loaded, 1);
  CHECK(run.epochs.back().train_loss < 0.5 * run.epochs.front().train_loss);
}

TEST_CASE("experiment: joint alphas follow the weights' rate, not the constant one") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "joint");
  config.learning_rate = 1e-5;
  config.epochs = 1;
  const LoadedCorpus loaded = prepare_corpus(config);
  const auto last_of = [&](double alpha_learning_rate) {
    config.search.alpha_learning_rate = alpha_learning_rate;
    return timeless_run(config, loaded, 1).history.back();
  };
  const SearchRecord record = last_of(1e-3);
  CHECK(history_json({record}) == history_json({last_of(0.5)}));
  double largest = 0;
  for (const ChoiceRecord& choice : record.choices) {
    for (const double alpha : choice.alphas) largest = std::max(largest, std::abs(alpha));
  }
  // A step of Adam is about its rate long.
  CHECK(largest > 0);
  CHECK(largest < 2e-5 * static_cast<double>(record.weight_steps));
}

TEST_CASE("experiment: a non-finite loss stops with NonFiniteError") {
  TemporaryFolder folder;
  const std::string corpus = make_tone_corpus(folder);
  for (const char* mode : {"none", "joint", "dropout"}) {
    CAPTURE(mode);
    Config config = small_config(corpus, kGruAtt, mode);
    config.learning_rate = 1e30;
    config.batch_size = 4;
    const LoadedCorpus loaded = prepare_corpus(config);
    CHECK_THROWS_AS(timeless_run(config, loaded, 1), NonFiniteError);
  }
}

TEST_CASE("experiment: the genotype of the other system, or none at all, is refused") {
  TemporaryFolder folder;
  Config config;
  config.system = kSeqCap;
  config.resolve();
  RecognizerOptions other = config.options;
  other.name = kGruAtt;
  config.genotype = folder / "genotype.json";
  CHECK_THROWS_AS(configured_genotype(config), InputError);
  write_genotype(config.genotype, baseline_genotype(other));
  CHECK_THROWS_AS(configured_genotype(config), InputError);
  write_genotype(config.genotype, baseline_genotype(config.options));
  CHECK(configured_genotype(config) == baseline_genotype(config.options));
  config.genotype = "";
  CHECK(configured_genotype(config) == baseline_genotype(config.options));
}
