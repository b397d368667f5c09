#include "apps/ser/training/train.h"

#include <algorithm>
#include <cmath>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/captured_step.h"
#include "nn/optim.h"

namespace serenade::ser {

namespace {

// Mean cross-entropy of predictions, from their probabilities.
double mean_loss(const std::vector<Prediction>& predictions) {
  double total = 0;
  for (const Prediction& p : predictions) {
    total -= std::log(std::max(1e-30, p.probabilities[static_cast<std::size_t>(p.label)]));
  }
  return total / static_cast<double>(predictions.size());
}

// Validates one fold after an epoch, and keeps the weights if they are its best so far.
void end_epoch(Recognizer& recognizer, const FoldData& data, EpochRecord record, Training& training,
               StateDict& best) {
  const std::vector<Prediction> validation = evaluate(recognizer, data.validation, *data.corpus);
  const ConfusionMatrix matrix = confusion(validation, data.corpus->classes);
  record.validation_loss = mean_loss(validation);
  record.validation_wa = matrix.wa();
  record.validation_ua = matrix.ua();
  if (training.best_epoch == 0 || record.validation_wa > training.best_validation_wa) {
    training.best_epoch = record.epoch;
    training.best_validation_wa = record.validation_wa;
    best = recognizer.state_dict();
  }
  training.epochs.push_back(record);
}

// One network in training on one set.
class Trainer {
 public:
  Trainer(Recognizer& recognizer, const Dataset& train, const Config& config,
          const Observer& observer)
      : recognizer_(recognizer),
        train_(train),
        config_(config),
        observer_(observer),
        adam_(recognizer.named_parameters(), {}),
        guard_(recognizer.device()),
        captured_(recognizer.device()),
        batches_(train, recognizer.device()) {}

  Adam& optimizer() { return adam_; }

  // The steps of one epoch; fills in the record's loss and gradient norm.
  void run_epoch(EpochRecord& record) {
    const std::int64_t count = batch_count(train_, config_.batch_size);
    std::vector<std::size_t> sizes;  // of the batches so far
    double total = 0;
    StepLosses losses(recognizer_.device(), [&](std::int64_t step, double loss) {
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
    captured_.run([&] {
      loss = cross_entropy(recognizer_.forward(batch.input), batch.labels);
      backward(loss);
      guard_.watch(loss);
      adam_.step(guard_);
    });
    return AsyncScalar(loss.value());
  }

  Recognizer& recognizer_;
  const Dataset& train_;
  const Config& config_;
  const Observer& observer_;
  Adam adam_;
  NonFiniteGuard guard_;
  CapturedStep captured_;
  BatchQueue batches_;
};

}  // namespace

std::vector<Training> train_architecture(const Config& config,
                                         const std::vector<const FoldData*>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage) {
  manual_seed(config.seed);
  const std::unique_ptr<Recognizer> recognizer = make_recognizer(config.options, genotype);
  recognizer->to(compute_device());
  Trainer trainer(*recognizer, folds.front()->train, config, observer);
  const std::unique_ptr<Schedule> schedule = make_schedule(config);
  std::vector<Training> trainings(folds.size());
  std::vector<StateDict> best(folds.size());
  for (int epoch = 1; epoch <= config.epochs; ++epoch) {
    const Stopwatch watch;
    trainer.optimizer().set_learning_rate(schedule->learning_rate());
    EpochRecord record{.stage = stage, .epoch = epoch, .learning_rate = schedule->learning_rate()};
    trainer.run_epoch(record);
    schedule->end_epoch(record.train_loss);
    const CapsuleNorms norms = recognizer->capsule_norms();
    record.window_norm = norms.window;
    record.utterance_norm = norms.utterance;
    for (std::size_t i = 0; i < folds.size(); ++i) {
      end_epoch(*recognizer, *folds[i], record, trainings[i], best[i]);
    }
    for (Training& training : trainings) {
      training.epochs.back().seconds = watch.seconds() / static_cast<double>(folds.size());
    }
    if (observer.on_epoch) observer.on_epoch(trainings.front().epochs.back());
  }
  for (std::size_t i = 0; i < folds.size(); ++i) {
    trainings[i].genotype = genotype;
    trainings[i].parameters = recognizer->parameter_count();
    trainings[i].recognizer = make_recognizer(config.options, genotype);
    trainings[i].recognizer->to(compute_device());
    trainings[i].recognizer->load_state_dict(best[i]);
    trainings[i].recognizer->eval();
  }
  return trainings;
}

}  // namespace serenade::ser
