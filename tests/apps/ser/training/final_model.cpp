// The model that is trained on everybody.

#include <doctest/doctest.h>

#include "apps/ser/report/run_results.h"
#include "apps/ser/training/checkpoints.h"
#include "nn/checkpoint.h"
#include "tests/apps/ser/training/tones.h"

namespace serenade::ser {

namespace {

FoldRun fold_with(const Genotype& genotype, int best_epoch, double validation_wa) {
  FoldRun run;
  run.genotype = genotype;
  run.best_epoch = best_epoch;
  run.best_validation_wa = validation_wa;
  return run;
}

struct Killed {};

}  // namespace

TEST_CASE("final model: the architecture of most folds, and the median of the kept epochs") {
  const SearchSpace space = search_space({});
  const Genotype a = make_genotype(space, {0, 0, 0, 0, 0}),
                 b = make_genotype(space, {1, 0, 0, 0, 0});
  FinalPlan plan = final_plan({fold_with(a, 3, 0.5), fold_with(b, 9, 0.9), fold_with(a, 5, 0.6)});
  CHECK(plan.genotype == a);
  CHECK(plan.epochs == 5);
  plan = final_plan({fold_with(a, 3, 0.5), fold_with(b, 6, 0.9)});
  CHECK(plan.genotype == b);
  CHECK(plan.epochs == 5);  // 4.5
  CHECK(final_plan({fold_with(a, 2, 0.5)}).epochs == 2);
  CHECK(final_plan({fold_with(a, 1, 0.5), fold_with(b, 1, 0.5)}).genotype == a);
}

TEST_CASE("final model: trained on everybody for so many epochs; killed anywhere, the same bits") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  config.batch_size = 6;
  config.options.dropout = 0.2;  // draws random numbers at every step
  const LoadedCorpus loaded = prepare_corpus(config);
  const FinalPlan plan{baseline_genotype(config.options), 2};
  const auto train = [&](const Observer& observer) {
    TrainedFold trained = train_final(config, loaded, plan, observer);
    return std::pair(content_hash(trained.recognizer->state_dict()),
                     to_json(timeless(std::move(trained.run))));
  };
  const auto wanted = train({});
  const FoldRun run = fold_run_from_json(wanted.second);
  CHECK(run.fold == kFinalFold);
  CHECK(run.best_epoch == 2);
  CHECK(run.epochs.size() == 2);
  CHECK(run.planned_epochs == config.epochs);
  CHECK(run.predictions.empty());
  CHECK(run.weights_hash == wanted.first);
  // It is no fold's: that of two epochs on two speakers has other weights.
  const FoldData data = make_fold_data(config, loaded, loaded.folds.front());
  const Training fold = std::move(train_architecture(config, {&data}, plan.genotype, {})[0]);
  CHECK(content_hash(fold.recognizer->state_dict()) != wanted.first);

  int steps = 0;
  Observer counting;
  counting.on_step = [&](const std::string&, std::int64_t, std::int64_t, const std::string&) {
    ++steps;
  };
  CHECK(train(counting) == wanted);
  for (int stop = 0; stop < steps; ++stop) {
    CAPTURE(stop);
    Checkpoints checkpoints(folder / "stop" + std::to_string(stop) + "-", 0);
    int left = stop, seen = 0;
    Observer observer;
    observer.checkpoints = &checkpoints;
    observer.on_step = [&](const std::string&, std::int64_t, std::int64_t, const std::string&) {
      if (left-- == 0) throw Killed();
      ++seen;
    };
    CHECK_THROWS_AS(train(observer), Killed);
    left = steps;
    CHECK(train(observer) == wanted);
    CHECK(seen == steps);
  }
  // With another number of epochs it is another training, and what is kept of it is not taken.
  Checkpoints checkpoints(folder / "stop0-", 0);
  Observer observer;
  observer.checkpoints = &checkpoints;
  const FinalPlan shorter{plan.genotype, 1};
  CHECK(train_final(config, loaded, shorter, observer).run.epochs.size() == 1);
}

TEST_CASE("final model: results say which model is the run's") {
  const TemporaryFolder folder;
  Config config = small_config(make_tone_corpus(folder), kGruAtt, "none");
  config.epochs = 1;
  const LoadedCorpus loaded = prepare_corpus(config);
  RunResults results =
      summarize(config, loaded.corpus, {run_fold(config, loaded, loaded.folds.front(), {}).run});
  CHECK(published_run(results).fold == loaded.folds.front().name);
  CHECK(contains(to_text(results), "model:    of the fold session1-test-A"));
  CHECK(contains(to_json(results), R"("fold": "session1-test-A")"));
  results.final_run = train_final(config, loaded, final_plan(results.folds), {}).run;
  CHECK(published_run(results).fold == kFinalFold);
  CHECK(contains(to_text(results), "model:    trained on all speakers for 1 epoch,"));
  CHECK(contains(to_json(results), R"("fold": "final")"));
  CHECK(contains(render_run_report(run_report(results, "")), "trained on all speakers"));
}

}  // namespace serenade::ser
