// Loading, training and evaluating; the search is in search_experiment.cpp.

#include "apps/ser/training/experiment.h"

#include <algorithm>
#include <cmath>
#include <iostream>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/progress.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/features/device_features.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "kernels/runtime/async_copy.h"
#include "nn/captured_step.h"
#include "nn/optim.h"

namespace serenade::ser {

namespace {

// Of the device's free memory, what the corpus may take: the rest is for training.
constexpr double kDeviceShare = 0.6;

std::string gigabytes(double bytes) { return fixed(bytes / 1e9, 2); }

// Mean cross-entropy of predictions, from their probabilities.
double mean_loss(const std::vector<Prediction>& predictions) {
  double total = 0;
  for (const Prediction& p : predictions) {
    total -= std::log(std::max(1e-30, p.probabilities[static_cast<std::size_t>(p.label)]));
  }
  return total / static_cast<double>(predictions.size());
}

// Whether the spectrograms shall be made on the compute device and stay there.
bool keeps_on_device(const Config& config, const Corpus& corpus) {
  if (compute_device() == Device::cpu || config.corpus_memory == CorpusMemory::host) return false;
  const double bytes = device_bytes(corpus, config.features);
  std::size_t free = 0;
  KERNEL(compute_device(), free_memory, &free);
  if (bytes <= kDeviceShare * static_cast<double>(free)) return true;
  if (config.corpus_memory == CorpusMemory::automatic) return false;
  throw InputError("corpus_memory device: the spectrograms take " + gigabytes(bytes) +
                   " GB, and of the GPU's memory " + gigabytes(static_cast<double>(free)) +
                   " GB are free, of which they may take " + percent(kDeviceShare, 0) +
                   " %; use corpus_memory host");
}

}  // namespace

LoadedCorpus prepare_corpus(const Config& config) {
  LoadedCorpus loaded;
  loaded.corpus =
      load_corpus({.kind = config.corpus_kind, .root = config.corpus, .labels = config.label_set});
  loaded.folds = session_folds(loaded.corpus, config.direction);
  if (config.folds > 0) {
    std::erase_if(loaded.folds, [&](const Fold& fold) { return fold.session >= config.folds; });
  }
  const bool on_device = keeps_on_device(config, loaded.corpus);
  ProgressBar bar("features", static_cast<std::int64_t>(loaded.corpus.recordings.size()));
  const ExtractOptions options{
      .cache_folder = on_device ? "" : config.cache,
      .threads = 0,
      .progress = [&](std::int64_t done, std::int64_t) { bar.update(done); }};
  loaded.features =
      on_device ? extract_features_on(compute_device(), loaded.corpus, config.features, options)
                : extract_features(loaded.corpus, config.features, options);
  bar.finish();
  if (compute_device() != Device::cpu) {
    const bool half = device_format(config.features) == SpectrogramFormat::float16;
    loaded.place = !on_device ? "corpus in host memory"
                   : half     ? "corpus in its memory, half precision"
                              : "corpus in its memory";
    std::cerr << "device: " << compute_device_name() << ", " << loaded.place << ", "
              << gigabytes(device_bytes(loaded.corpus, config.features)) << " GB\n";
  }
  for (const Recording& recording : loaded.corpus.recordings) {
    loaded.labels.push_back(recording.label);
  }
  return loaded;
}

FoldData make_fold_data(const Config& config, const LoadedCorpus& loaded, const Fold& fold) {
  const Normalisation normalisation =
      fit_normalisation(loaded.features, fold.train, config.normalisation);
  const auto set = [&](const std::vector<std::int64_t>& recordings) {
    return Dataset(loaded.features, loaded.labels, recordings, normalisation, config.segments);
  };
  return {&loaded.corpus,       fold,          normalisation, set(fold.train),
          set(fold.validation), set(fold.test)};
}

std::vector<Prediction> evaluate(System& system, const Dataset& data, const Corpus& corpus,
                                 const std::string& fold, std::uint64_t seed) {
  const NoGrad no_grad;
  const bool was_training = system.training();
  system.eval();
  // All batches are launched before the first result is read.
  const std::vector<std::vector<std::int64_t>> groups = data.equal_length_groups();
  std::vector<Tensor> results;
  BatchQueue batches(data, system.device());
  batches.start([&, next = std::size_t{0}]() mutable -> std::optional<BatchPlan> {
    if (next == groups.size()) return std::nullopt;
    return data.plan_utterances(groups[next++]);
  });
  while (const std::optional<Batch> batch = batches.next()) {
    results.push_back(softmax(system.forward(batch->input), -1).value());
  }
  std::vector<Prediction> predictions;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::vector<std::int64_t>& group = groups[g];
    const Tensor probabilities = results[g].to(Device::cpu);
    const std::int64_t classes = probabilities.size(1);
    for (std::size_t i = 0; i < group.size(); ++i) {
      const Recording& recording = corpus.recordings[static_cast<std::size_t>(group[i])];
      const real* row = probabilities.data() + static_cast<std::int64_t>(i) * classes;
      Prediction prediction{
          .id = recording.id,
          .speaker = recording.speaker,
          .label = recording.label,
          .predicted = static_cast<int>(std::max_element(row, row + classes) - row),
          .probabilities = {row, row + classes},
          .fold = fold,
          .seed = seed};
      predictions.push_back(std::move(prediction));
    }
  }
  system.train(was_training);
  std::sort(predictions.begin(), predictions.end(),
            [](const Prediction& a, const Prediction& b) { return a.id < b.id; });
  return predictions;
}

namespace {

// Validates one fold after an epoch, and keeps the weights if they are its best so far.
void end_epoch(System& system, const FoldData& data, EpochRecord record, Training& training,
               StateDict& best) {
  const std::vector<Prediction> validation = evaluate(system, data.validation, *data.corpus);
  const ConfusionMatrix matrix = confusion(validation, data.corpus->classes);
  record.validation_loss = mean_loss(validation);
  record.validation_wa = matrix.wa();
  record.validation_ua = matrix.ua();
  if (training.best_epoch == 0 || record.validation_wa > training.best_validation_wa) {
    training.best_epoch = record.epoch;
    training.best_validation_wa = record.validation_wa;
    best = system.state_dict();
  }
  training.epochs.push_back(record);
}

// One network in training on one set.
class Trainer {
 public:
  Trainer(System& system, const Dataset& train, const Config& config, const Observer& observer)
      : system_(system),
        train_(train),
        config_(config),
        observer_(observer),
        adam_(system.named_parameters(), {}),
        guard_(system.device()),
        recorded_(system.device()),
        batches_(train, system.device()) {}

  Adam& optimizer() { return adam_; }

  // The steps of one epoch; fills in the record's loss and gradient norm.
  void run_epoch(EpochRecord& record) {
    const std::int64_t count = batch_count(train_, config_.batch_size);
    std::vector<std::size_t> sizes;  // of the batches so far
    double total = 0;
    StepLosses losses(system_.device(), [&](std::int64_t step, double loss) {
      require_finite(loss, record.stage, record.epoch, step);
      total += loss * static_cast<double>(sizes[static_cast<std::size_t>(step)]);
      if (observer_.on_step) {
        observer_.on_step(record.stage, (record.epoch - 1) * count + step + 1,
                          config_.epochs * count, epoch_text(record.epoch, config_.epochs, loss));
      }
    });
    batches_.start(one_pass(train_, config_.batch_size, config_.seed,
                            static_cast<std::uint64_t>(record.epoch)));
    while (const std::optional<Batch> batch = batches_.next()) {
      sizes.push_back(batch->labels.size());
      losses.add(run_step(*batch));
    }
    losses.finish();
    record.gradient_norm = gradient_norm(adam_.parameters());
    record.train_loss = total / static_cast<double>(train_.segment_count());
  }

 private:
  AsyncScalar run_step(const Batch& batch) {
    adam_.zero_grad();
    Variable loss;
    recorded_.run([&] {
      loss = cross_entropy(system_.forward(batch.input), batch.labels);
      backward(loss);
      guard_.watch(loss);
      adam_.step(guard_);
    });
    return AsyncScalar(loss.value());
  }

  System& system_;
  const Dataset& train_;
  const Config& config_;
  const Observer& observer_;
  Adam adam_;
  NonFiniteGuard guard_;
  CapturedStep recorded_;
  BatchQueue batches_;
};

}  // namespace

std::vector<Training> train_architecture(const Config& config, const std::vector<FoldData>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage) {
  manual_seed(config.seed);
  const std::unique_ptr<System> system = make_system(config.options, genotype);
  system->to(compute_device());
  Trainer trainer(*system, folds.front().train, config, observer);
  const std::unique_ptr<Schedule> schedule = make_schedule(config);
  std::vector<Training> trainings(folds.size());
  std::vector<StateDict> best(folds.size());
  for (int epoch = 1; epoch <= config.epochs; ++epoch) {
    const Stopwatch watch;
    trainer.optimizer().set_learning_rate(schedule->learning_rate());
    EpochRecord record{.stage = stage, .epoch = epoch, .learning_rate = schedule->learning_rate()};
    trainer.run_epoch(record);
    schedule->end_epoch(record.train_loss);
    const CapsuleNorms lengths = system->capsule_norms();
    record.window_length = lengths.window;
    record.utterance_length = lengths.utterance;
    for (std::size_t i = 0; i < folds.size(); ++i) {
      end_epoch(*system, folds[i], record, trainings[i], best[i]);
    }
    for (Training& training : trainings) {
      training.epochs.back().seconds = watch.seconds() / static_cast<double>(folds.size());
    }
    if (observer.on_epoch) observer.on_epoch(trainings.front().epochs.back());
  }
  for (std::size_t i = 0; i < folds.size(); ++i) {
    trainings[i].genotype = genotype;
    trainings[i].parameters = system->parameter_count();
    trainings[i].system = make_system(config.options, genotype);
    trainings[i].system->to(compute_device());
    trainings[i].system->load_state_dict(best[i]);
    trainings[i].system->eval();
  }
  return trainings;
}

}  // namespace serenade::ser
