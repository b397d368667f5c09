// The search of an architecture, and the whole of a fold.

#include <algorithm>
#include <utility>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/data/batch_queue.h"
#include "apps/ser/training/experiment.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/derive.h"
#include "nas/diagnostics.h"
#include "nas/mixed_op.h"
#include "nn/optim.h"
#include "tensor/check.h"

namespace serenade::ser {

namespace {

// The training loss of one child with the supernet's weights, over all training segments: what
// Figure 3b of the paper follows from epoch to epoch.
double child_loss(System& supernet, const Dataset& train, BatchQueue& batches,
                  const std::vector<std::int64_t>& choices, int batch_size) {
  const NoGrad no_grad;
  const std::vector<NamedMixedOp> ops = find_mixed_ops(supernet);
  for (std::size_t layer = 0; layer < ops.size(); ++layer) {
    ops[layer].op->set_path(single_path(ops[layer].op->candidate_count(), choices[layer]));
  }
  supernet.eval();
  // All batches are launched before the first loss is read.
  std::vector<std::pair<AsyncScalar, std::size_t>> losses;
  batches.start(one_pass(train, batch_size, 0, 0));
  while (const std::optional<Batch> batch = batches.next()) {
    const Variable loss = cross_entropy(supernet.forward(batch->input), batch->labels);
    losses.emplace_back(loss.value(), batch->labels.size());
  }
  double total = 0;
  for (const auto& [loss, size] : losses) total += loss.get() * static_cast<double>(size);
  supernet.train();
  for (const NamedMixedOp& op : ops) op.op->set_path(full_path(op.op->candidate_count()));
  return total / static_cast<double>(train.segment_count());
}

SearchOptions search_options(const Config& config) {
  return {.mode = config.mode,
          .bilevel = config.bilevel,
          .epochs = config.search_epochs,
          .architecture_epochs = config.architecture_epochs,
          .masked = config.num_masked,
          .renormalize = config.renormalize,
          .alpha_learning_rate = config.alpha_learning_rate,
          .seed = config.seed};
}

// The batches of a search; they stay from epoch to epoch, with the memory they are sent through.
struct SearchBatches {
  BatchQueue train, validation;

  SearchBatches(const FoldData& data, Device device)
      : train(data.train, device), validation(data.validation, device) {}
};

// The supernet's steps of one epoch.
class SearchEpoch {
 public:
  SearchEpoch(const Config& config, const FoldData& data, System& supernet, SupernetSearch& search,
              SearchBatches& batches, const Observer& observer)
      : config_(config),
        data_(data),
        supernet_(supernet),
        search_(search),
        batches_(batches),
        observer_(observer) {}

  void run() {
    const int epoch = static_cast<int>(search_.epoch()) + 1;
    const std::int64_t steps =
        batch_count(search_.trains_weights() ? data_.train : data_.validation, config_.batch_size);
    StepLosses losses(supernet_.device(), [&](std::int64_t step, double loss) {
      if (!observer_.on_step) return;
      const std::int64_t epochs = search_.total_epochs();
      observer_.on_step("search", (epoch - 1) * steps + step + 1, epochs * steps,
                        epoch_text(epoch, static_cast<int>(epochs), loss));
    });
    if (search_.trains_weights()) {
      batches_.train.start(one_pass(data_.train, config_.batch_size, config_.seed,
                                    static_cast<std::uint64_t>(epoch)));
    }
    for (std::int64_t step = 0; step < steps; ++step) losses.add(run_step());
    losses.finish();
  }

 private:
  // The steps are recorded on a GPU, so their batches come before that.
  AsyncScalar run_step() {
    AsyncScalar loss;
    if (search_.trains_architecture()) {
      const Batch batch = *batches_.validation.next();
      loss = search_.architecture_step([&] { return loss_of(batch); }).loss;
    }
    if (search_.trains_weights()) {
      const Batch batch = *batches_.train.next();
      loss = search_.weight_step([&] { return loss_of(batch); }).loss;
    }
    return loss;
  }
  Variable loss_of(const Batch& batch) {
    return cross_entropy(supernet_.forward(batch.input), batch.labels);
  }

  const Config& config_;
  const FoldData& data_;
  System& supernet_;
  SupernetSearch& search_;
  SearchBatches& batches_;
  const Observer& observer_;
};

}  // namespace

Genotype followed_child(const Config& config) {
  return random_genotype(config.system, search_space(config.options),
                         {config.seed, Purpose::architecture, UINT64_MAX});
}

Search search_architecture(const Config& config, const FoldData& data, const Observer& observer) {
  manual_seed(config.seed);
  const SearchSpace space = search_space(config.options);
  const bool equal_gain = config.supernet_gain == SupernetGain::one;
  const std::unique_ptr<System> supernet = make_supernet(config.options, config.mode, equal_gain);
  supernet->to(compute_device());
  SupernetSearch search(*supernet, space, search_options(config));
  const std::unique_ptr<Schedule> schedule = make_schedule(config);
  SearchBatches batches(data, compute_device());
  if (config.mode != Mode::joint) {
    batches.validation.start(endless_passes(data.validation, config.batch_size, config.seed));
  }

  Search outcome;
  outcome.child = followed_child(config);
  const std::vector<std::int64_t> child = choice_indices(outcome.child, space);
  while (!search.finished()) {
    const Stopwatch watch;
    search.weight_optimizer().set_learning_rate(schedule->learning_rate());
    EpochRecord record{.stage = "search",
                       .epoch = static_cast<int>(search.epoch()) + 1,
                       .learning_rate = schedule->learning_rate()};
    const bool trains_weights = search.trains_weights();
    try {
      SearchEpoch(config, data, *supernet, search, batches, observer).run();
    } catch (const NonFiniteLoss& error) {
      throw NonFiniteError(std::string(error.what()) +
                           "; try a smaller learning_rate or supernet_gain one");
    }
    const SearchRecord& epoch = search.end_epoch();
    record.train_loss = epoch.weight_loss;
    record.architecture_loss = epoch.architecture_loss;
    for (const LayerRecord& layer : epoch.layers) {
      record.gradient_norm = std::max(record.gradient_norm, layer.gradient_norm);
    }
    const CapsuleNorms lengths = supernet->capsule_norms();
    record.window_length = lengths.window;
    record.utterance_length = lengths.utterance;
    if (trains_weights) schedule->end_epoch(record.train_loss);
    record.child_loss = child_loss(*supernet, data.train, batches.train, child, config.batch_size);
    record.seconds = watch.seconds();
    outcome.epochs.push_back(record);
    if (observer.on_epoch) observer.on_epoch(record);
  }
  outcome.history = search.history();
  outcome.genotype = derive_genotype(config.system, space, search.alphas());
  outcome.warnings = search_warnings(outcome.history);
  return outcome;
}

namespace {

void append(std::vector<EpochRecord>& all, const std::vector<EpochRecord>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

// Random search: several distinct architectures trained alone; each fold keeps the best on its
// validation speaker.
std::vector<Training> train_random(const Config& config, const std::vector<FoldData>& folds,
                                   const Observer& observer) {
  const std::vector<Genotype> genotypes =
      random_genotypes(config.system, search_space(config.options), config.random_architectures,
                       {config.seed, Purpose::architecture, 0});
  std::vector<Training> best(folds.size());
  for (std::size_t i = 0; i < genotypes.size(); ++i) {
    std::vector<Training> trainings =
        train_architecture(config, folds, genotypes[i], observer, "train " + std::to_string(i + 1));
    for (std::size_t k = 0; k < folds.size(); ++k) {
      std::vector<EpochRecord> epochs = std::move(best[k].epochs);
      append(epochs, trainings[k].epochs);
      if (i == 0 || trainings[k].best_validation_wa > best[k].best_validation_wa) {
        best[k] = std::move(trainings[k]);
      }
      best[k].epochs = std::move(epochs);
    }
  }
  return best;
}

bool searches(const Config& config) {
  return config.mode != Mode::none && config.mode != Mode::random;
}

}  // namespace

Genotype configured_genotype(const Config& config) {
  if (config.genotype.empty()) return baseline_genotype(config.options);
  try {
    const Genotype genotype = read_genotype(config.genotype);
    if (genotype.system != config.system) {
      throw InputError(config.genotype + ": this genotype is for " + genotype.system + ", not " +
                       config.system);
    }
    check_genotype(genotype, search_space(config.options), config.genotype);
    return genotype;
  } catch (const std::exception& error) {
    throw InputError(error.what());
  }
}

bool shares_training(const Config& config, const Fold& a, const Fold& b) {
  return config.mode != Mode::sampling && config.mode != Mode::dropout && a.train == b.train;
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
  FoldRun common;
  common.seed = config.seed;
  common.device = compute_device_name() + (loaded.place.empty() ? "" : ", " + loaded.place);
  Genotype genotype = configured_genotype(config);
  if (searches(config)) {
    const Stopwatch watch;
    Search search = search_architecture(config, data.front(), observer);
    genotype = search.genotype;
    common.epochs = std::move(search.epochs);
    for (EpochRecord& epoch : common.epochs) epoch.seconds *= share;
    common.history = std::move(search.history);
    common.warnings = std::move(search.warnings);
    common.search_seconds = watch.seconds() * share;
  }
  const Stopwatch watch;
  std::vector<Training> trainings = config.mode == Mode::random
                                        ? train_random(config, data, observer)
                                        : train_architecture(config, data, genotype, observer);
  std::vector<TrainedFold> results;
  for (std::size_t i = 0; i < folds.size(); ++i) {
    Training& training = trainings[i];
    FoldRun run = common;
    run.fold = folds[i].name;
    append(run.epochs, training.epochs);
    run.genotype = training.genotype;
    run.best_epoch = training.best_epoch;
    run.best_validation_wa = training.best_validation_wa;
    run.parameters = training.parameters;
    run.predictions =
        evaluate(*training.system, data[i].test, loaded.corpus, run.fold, config.seed);
    results.push_back({std::move(run), std::move(training.system), data[i].normalisation});
  }
  for (TrainedFold& result : results) result.run.train_seconds = watch.seconds() * share;
  return results;
}

TrainedFold run_fold(const Config& config, const LoadedCorpus& loaded, const Fold& fold,
                     const Observer& observer) {
  return std::move(run_folds(config, loaded, {fold}, observer).front());
}

}  // namespace serenade::ser
