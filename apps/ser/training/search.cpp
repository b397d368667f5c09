#include "apps/ser/training/search.h"

#include <algorithm>
#include <new>
#include <utility>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/training/search_supernet.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/functions.h"
#include "nas/zero_cost.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

// The trials of several folds that ask for the same ones: each is trained once for all.
class SharedTrials {
 public:
  SharedTrials(const Config& config, const std::vector<FoldData>& folds, const Observer& observer)
      : config_(config), observer_(observer) {
    for (const FoldData& fold : folds) folds_.push_back(&fold);
  }

  /// The training of a trial for one fold, to be taken once.
  Training train(const Trial& trial, std::size_t fold) {
    check(trial.id != id_ || trial.genotype == genotype_, "search",
          "a strategy that shares trainings must ask the same of all folds; trial ", trial.id,
          " differs");
    if (trial.id != id_) {
      Config config = config_;
      if (trial.epochs > 0) config.epochs = static_cast<int>(trial.epochs);
      trainings_ = train_architecture(config, folds_, trial.genotype, observer_,
                                      "train " + std::to_string(trial.id + 1));
      id_ = trial.id;
      genotype_ = trial.genotype;
    }
    return std::move(trainings_[fold]);
  }

  /// The gradient of the first training batch at the initial weights.
  double untrained_score(const Genotype& genotype) const {
    manual_seed(config_.seed);
    const std::unique_ptr<Recognizer> recognizer = make_recognizer(config_.options, genotype);
    recognizer->to(compute_device());
    recognizer->eval();
    const Dataset& train = folds_.front()->train;
    BatchQueue batches(train, recognizer->device());
    batches.start(one_pass(train, config_.batch_size, config_.seed, 1));
    const std::optional<Batch> batch = batches.next();
    return gradient_norm(*recognizer, [&] {
      return cross_entropy(recognizer->forward(batch->input), batch->labels);
    });
  }

 private:
  const Config& config_;
  const Observer& observer_;
  std::vector<const FoldData*> folds_;
  std::int64_t id_ = -1;
  Genotype genotype_;
  std::vector<Training> trainings_;
};

// One fold's view of them; keeps the network with the best score.
class TrialProblem : public Problem {
 public:
  TrialProblem(const SearchSpace& space, SharedTrials& trials, std::size_t fold, int epochs)
      : space_(space), trials_(trials), fold_(fold), epochs_(epochs) {}

  const SearchSpace& space() const override { return space_; }

  // All trainings have the same seed: one that is asked for again would come out the same.
  Outcome evaluate(const Trial& trial) override {
    const std::int64_t asked = trial.epochs > 0 ? trial.epochs : epochs_;
    const auto known =
        std::find_if(found.trials.begin(), found.trials.end(), [&](const TrialRecord& other) {
          return other.genotype == trial.genotype && other.epochs == asked;
        });
    if (known != found.trials.end()) {
      const Outcome outcome{.score = known->outcome.score, .cost = 0};
      found.trials.push_back({trial.genotype, asked, outcome});
      return outcome;
    }
    Training training = trials_.train(trial, fold_);
    const double score = training.best_validation_wa;
    const auto epochs = static_cast<double>(training.epochs.size());
    const Outcome outcome{.score = score, .cost = epochs / static_cast<double>(epochs_)};
    found.trials.push_back({trial.genotype, std::ssize(training.epochs), outcome});
    found.epochs.insert(found.epochs.end(), training.epochs.begin(), training.epochs.end());
    // A shorter training than asked for is a trial and no more.
    const bool whole = trial.epochs == 0 || trial.epochs == epochs_;
    if (whole && (!found.training || score > found.training->best_validation_wa)) {
      found.training = std::move(training);
    }
    return outcome;
  }

  double untrained_score(const Genotype& genotype) override {
    found.scored.push_back({genotype, trials_.untrained_score(genotype)});
    return found.scored.back().score;
  }

  FoldSearch found;

 private:
  const SearchSpace& space_;
  SharedTrials& trials_;
  std::size_t fold_;
  int epochs_;  // of a whole training
};

std::vector<FoldSearch> search_trials(const Config& config, const Genotype& baseline,
                                      const std::vector<FoldData>& folds,
                                      const Observer& observer) {
  const SearchSpace space = search_space(config.options);
  SharedTrials trials(config, folds, observer);
  std::vector<std::unique_ptr<Strategy>> strategies;
  std::vector<TrialProblem> problems;
  for (std::size_t i = 0; i < folds.size(); ++i) {
    strategies.push_back(make_strategy(config, baseline));
    problems.emplace_back(space, trials, i, config.epochs);
  }
  for (bool more = true; more;) {
    more = false;
    for (std::size_t i = 0; i < folds.size(); ++i) more |= strategies[i]->advance(problems[i]);
  }
  std::vector<FoldSearch> all;
  for (std::size_t i = 0; i < folds.size(); ++i) {
    FoldSearch& found = problems[i].found;
    found.genotype = strategies[i]->recommend();
    if (found.training && found.training->genotype != found.genotype) found.training.reset();
    all.push_back(std::move(found));
  }
  return all;
}

}  // namespace

std::unique_ptr<Strategy> make_strategy(const Config& config, const Genotype& baseline) {
  StrategyOptions options = config.search;
  options.seed = config.seed;
  options.epochs = config.search_epochs;
  options.training_epochs = config.epochs;
  options.baseline = baseline;
  if (options.scored == 0) options.scored = 10 * options.trials;
  try {
    return serenade::make_strategy(config.strategy, search_space(config.options), options);
  } catch (const std::invalid_argument& error) {
    throw InputError(error.what());
  }
}

Genotype configured_genotype(const Config& config) {
  if (config.genotype.empty()) return baseline_genotype(config.options);
  try {
    Genotype genotype = read_genotype(config.genotype);
    if (genotype.system != config.system) {
      throw InputError(config.genotype + ": this genotype is for " + genotype.system + ", not " +
                       config.system);
    }
    check_genotype(genotype, search_space(config.options), config.genotype);
    return genotype;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(error.what());
  }
}

Genotype followed_child(const Config& config) {
  return random_genotype(search_space(config.options),
                         {config.seed, Purpose::architecture, UINT64_MAX});
}

std::vector<FoldSearch> search_architectures(const Config& config,
                                             const std::vector<FoldData>& folds,
                                             const Observer& observer) {
  const Genotype baseline = configured_genotype(config);
  const std::unique_ptr<Strategy> strategy = make_strategy(config, baseline);
  return strategy->needs_supernet() ? search_supernet(config, *strategy, folds, observer)
                                    : search_trials(config, baseline, folds, observer);
}

}  // namespace serenade::ser
