// The whole of a fold, and of folds that share their training.

#include "apps/ser/training/experiment.h"

#include <algorithm>
#include <utility>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/training/training_loop.h"
#include "nas/strategy.h"
#include "nn/checkpoint.h"
#include "nn/training/stopwatch.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

// Trains what the search has found and not trained yet; folds with the same architecture together.
void train_found(const Config& config, const std::vector<FoldData>& data,
                 std::vector<FoldSearch>& found, const Observer& observer) {
  for (const FoldSearch& next : found) {
    if (next.training) continue;
    std::vector<const FoldData*> alike;
    std::vector<std::size_t> positions;
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i].training || found[i].genotype != next.genotype) continue;
      alike.push_back(&data[i]);
      positions.push_back(i);
    }
    std::vector<Training> trainings = train_architecture(config, alike, next.genotype, observer);
    for (std::size_t i = 0; i < positions.size(); ++i) {
      FoldSearch& fold = found[positions[i]];
      const std::vector<EpochRecord>& epochs = trainings[i].epochs;
      fold.epochs.insert(fold.epochs.end(), epochs.begin(), epochs.end());
      fold.training = std::move(trainings[i]);
    }
  }
}

// What a training says of itself.
FoldRun run_of(const Config& config, const LoadedCorpus& loaded, const Fold& fold,
               const Training& training) {
  FoldRun run;
  run.fold = fold.name;
  run.seed = config.seed;
  run.device = compute_device_name() + (loaded.place.empty() ? "" : ", " + loaded.place);
  run.classes = loaded.corpus.classes;
  run.genotype = training.genotype;
  run.best_epoch = training.best_epoch;
  run.best_validation_wa = training.best_validation_wa;
  run.parameters = training.parameters;
  run.planned_epochs = config.epochs;
  run.weights_hash = content_hash(training.recognizer->state_dict());
  return run;
}

}  // namespace

bool shares_training(const Config& config, const Fold& a, const Fold& b) {
  return a.train == b.train &&
         make_strategy(config, baseline_genotype(config.options))->shares_training();
}

std::vector<std::vector<Fold>> group_by_training(const Config& config,
                                                 const std::vector<Fold>& folds) {
  std::vector<std::vector<Fold>> groups;
  for (const Fold& fold : folds) {
    const auto shared = std::find_if(groups.begin(), groups.end(), [&](const auto& group) {
      return shares_training(config, group.front(), fold);
    });
    (shared != groups.end() ? *shared : groups.emplace_back()).push_back(fold);
  }
  return groups;
}

std::vector<TrainedFold> run_folds(const Config& config, const LoadedCorpus& loaded,
                                   const std::vector<Fold>& folds, const Observer& observer) {
  check(!folds.empty(), "run_folds", "needs at least one fold; got none");
  const double share = 1 / static_cast<double>(folds.size());
  std::vector<FoldData> data;
  for (const Fold& fold : folds) {
    check(folds.size() == 1 || shares_training(config, folds.front(), fold), "run_folds",
          "the folds must share their training; got ", folds.front().name, " and ", fold.name);
    data.push_back(make_fold_data(config, loaded, fold));
  }
  Stopwatch watch;
  std::vector<FoldSearch> found = search_architectures(config, data, observer);
  // The trainings of trials are trainings like those that follow a supernet's search.
  double search_seconds = 0;
  if (!found.front().history.empty()) {
    search_seconds = watch.seconds() * share;
    watch = Stopwatch();
    for (FoldSearch& fold : found) {
      for (EpochRecord& epoch : fold.epochs) epoch.seconds *= share;
    }
  }
  train_found(config, data, found, observer);

  std::vector<TrainedFold> results;
  for (std::size_t i = 0; i < folds.size(); ++i) {
    Training& training = *found[i].training;
    FoldRun run = run_of(config, loaded, folds[i], training);
    run.epochs = std::move(found[i].epochs);
    run.history = std::move(found[i].history);
    run.trials = std::move(found[i].trials);
    run.scored = std::move(found[i].scored);
    run.warnings = std::move(found[i].warnings);
    run.search_seconds = search_seconds;
    run.predictions =
        evaluate(*training.recognizer, data[i].test, loaded.corpus, run.fold, config.seed);
    results.push_back({std::move(run), std::move(training.recognizer), data[i].normalisation});
  }
  for (TrainedFold& result : results) result.run.train_seconds = watch.seconds() * share;
  return results;
}

FinalPlan final_plan(const std::vector<FoldRun>& folds) {
  check(!folds.empty(), "final_plan", "needs at least one fold; got none");
  const auto found_by = [&](const FoldRun& fold) {
    return std::count_if(folds.begin(), folds.end(),
                         [&](const FoldRun& other) { return other.genotype == fold.genotype; });
  };
  const FoldRun* chosen = &folds.front();
  std::vector<int> kept;
  for (const FoldRun& fold : folds) {
    kept.push_back(fold.best_epoch);
    const auto votes = found_by(fold), most = found_by(*chosen);
    const bool better = fold.best_validation_wa > chosen->best_validation_wa;
    if (votes > most || (votes == most && better)) chosen = &fold;
  }
  std::sort(kept.begin(), kept.end());
  const std::size_t middle = kept.size() / 2;
  const int below = kept[kept.size() % 2 == 0 ? middle - 1 : middle];
  return {chosen->genotype, std::max(1, (below + kept[middle] + 1) / 2)};
}

TrainedFold train_final(const Config& config, const LoadedCorpus& loaded, const FinalPlan& plan,
                        const Observer& observer) {
  Config whole = config;
  whole.epochs = plan.epochs;
  const FoldData data = make_fold_data(whole, loaded, final_fold(loaded.corpus));
  const Stopwatch watch;
  Training training =
      std::move(train_architecture(whole, {&data}, plan.genotype, observer).front());
  FoldRun run = run_of(config, loaded, data.fold, training);
  run.epochs = std::move(training.epochs);
  run.train_seconds = watch.seconds();
  return {std::move(run), std::move(training.recognizer), data.normalisation};
}

TrainedFold run_fold(const Config& config, const LoadedCorpus& loaded, const Fold& fold,
                     const Observer& observer) {
  return std::move(run_folds(config, loaded, {fold}, observer).front());
}

}  // namespace serenade::ser
