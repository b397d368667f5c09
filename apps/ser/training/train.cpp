#include "apps/ser/training/train.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/training/checkpoints.h"
#include "apps/ser/training/records.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nn/captured_step.h"
#include "nn/optim.h"
#include "tensor/json.h"

namespace serenade::ser {

namespace {

using nlohmann::json;

// Mean cross-entropy of predictions, from their probabilities.
double mean_loss(const std::vector<Prediction>& predictions) {
  double total = 0;
  for (const Prediction& p : predictions) {
    total -= std::log(std::max(1e-30, p.probabilities[static_cast<std::size_t>(p.label)]));
  }
  return total / static_cast<double>(predictions.size());
}

// One network in training, for all folds that share its training set.
class TrainingRun {
 public:
  TrainingRun(const Config& config, const std::vector<const FoldData*>& folds,
              const Genotype& genotype, const Observer& observer, const std::string& stage);

  std::vector<Training> run();

 private:
  // What a fold has of it.
  struct Kept {
    Training training;
    StateDict best;  // the weights of the best epoch
  };

  std::int64_t steps() const { return batch_count(train_, config_.batch_size); }
  double segments_of(std::int64_t step) const;
  void run_epoch();
  AsyncScalar run_step(const Batch& batch);
  void end_epoch();
  void validate(const FoldData& data, const EpochRecord& record, Kept& kept);

  // Keeping the state, and going on from it.
  std::string key() const { return stage_key(stage_, folds_.front()->fold); }
  void keep_if_due(Moment moment);
  SafetensorsFile state() const;
  void load(const SafetensorsFile& state);
  json identity() const;

  const Config& config_;
  const std::vector<const FoldData*>& folds_;
  const Genotype& genotype_;
  const Observer& observer_;
  const std::string& stage_;
  const Dataset& train_;
  std::unique_ptr<Recognizer> recognizer_;
  Adam adam_;
  NonFiniteGuard guard_;
  CapturedStep captured_;
  BatchQueue batches_;
  std::unique_ptr<Schedule> schedule_;
  std::vector<Kept> kept_;  // per fold
  // Of the epoch in progress.
  int epoch_ = 1;
  std::int64_t step_ = 0;  // done
  double loss_sum_ = 0;    // over the segments of those steps
  double seconds_ = 0;     // before the break, if there was one
  Stopwatch watch_;
};

std::unique_ptr<Recognizer> fresh_recognizer(const Config& config, const Genotype& genotype) {
  std::unique_ptr<Recognizer> recognizer = make_recognizer(config.options, genotype);
  recognizer->to(compute_device());
  return recognizer;
}

TrainingRun::TrainingRun(const Config& config, const std::vector<const FoldData*>& folds,
                         const Genotype& genotype, const Observer& observer,
                         const std::string& stage)
    : config_(config),
      folds_(folds),
      genotype_(genotype),
      observer_(observer),
      stage_(stage),
      train_(folds.front()->train),
      recognizer_(fresh_recognizer(config, genotype)),
      adam_(recognizer_->named_parameters(), {}),
      guard_(recognizer_->device()),
      captured_(recognizer_->device()),
      batches_(train_, recognizer_->device()),
      schedule_(make_schedule(config)),
      kept_(folds.size()) {}

std::vector<Training> TrainingRun::run() {
  if (observer_.checkpoints != nullptr) {
    if (const auto state = observer_.checkpoints->load(key())) load(*state);
  }
  for (; epoch_ <= config_.epochs;
       keep_if_due(epoch_ > config_.epochs ? Moment::stage_end : Moment::epoch)) {
    run_epoch();
    end_epoch();
  }
  std::vector<Training> trainings;
  for (Kept& kept : kept_) {
    Training& training = trainings.emplace_back(std::move(kept.training));
    training.genotype = genotype_;
    training.parameters = recognizer_->parameter_count();
    training.recognizer = fresh_recognizer(config_, genotype_);
    training.recognizer->load_state_dict(kept.best);
    training.recognizer->eval();
  }
  return trainings;
}

// Steps -------------------------------------------------------------------------------------------

double TrainingRun::segments_of(std::int64_t step) const {
  return static_cast<double>(std::min<std::int64_t>(
      config_.batch_size, train_.segment_count() - step * config_.batch_size));
}

// The steps of the epoch that are not done yet.
void TrainingRun::run_epoch() {
  watch_ = Stopwatch();
  adam_.set_learning_rate(schedule_->learning_rate());
  const std::int64_t count = steps();
  StepLosses losses(
      recognizer_->device(),
      [&](std::int64_t step, double loss) {
        require_finite(loss, stage_, epoch_, step);
        loss_sum_ += loss * segments_of(step);
        if (!observer_.on_step) return;
        observer_.on_step(stage_, (epoch_ - 1) * count + step + 1, config_.epochs * count,
                          epoch_text(epoch_, config_.epochs, loss));
      },
      step_);
  batches_.start(one_pass(train_, config_.batch_size, config_.seed,
                          static_cast<std::uint64_t>(epoch_), step_));
  while (const std::optional<Batch> batch = batches_.next()) {
    losses.add(run_step(*batch));
    // Of the last step, more is left than a state holds: gradients and norms of capsules.
    if (++step_ == count || observer_.checkpoints == nullptr) continue;
    if (!observer_.checkpoints->due(Moment::step)) continue;
    losses.finish();
    keep_if_due(Moment::step);
  }
  losses.finish();
}

AsyncScalar TrainingRun::run_step(const Batch& batch) {
  adam_.zero_grad();
  Variable loss;
  captured_.run([&] {
    loss = cross_entropy(recognizer_->forward(batch.input), batch.labels);
    backward(loss);
    guard_.watch(loss);
    adam_.step(guard_);
  });
  return AsyncScalar(loss.value());
}

void TrainingRun::end_epoch() {
  EpochRecord record{.stage = stage_, .epoch = epoch_, .learning_rate = schedule_->learning_rate()};
  record.train_loss = loss_sum_ / static_cast<double>(train_.segment_count());
  record.gradient_norm = gradient_norm(adam_.parameters());
  schedule_->end_epoch(record.train_loss);
  const CapsuleNorms norms = recognizer_->capsule_norms();
  record.window_norm = norms.window;
  record.utterance_norm = norms.utterance;
  for (std::size_t i = 0; i < folds_.size(); ++i) validate(*folds_[i], record, kept_[i]);
  const double seconds = (seconds_ + watch_.seconds()) / static_cast<double>(folds_.size());
  for (Kept& kept : kept_) kept.training.epochs.back().seconds = seconds;
  if (observer_.on_epoch) observer_.on_epoch(kept_.front().training.epochs.back());
  ++epoch_;
  step_ = 0;
  loss_sum_ = seconds_ = 0;
}

// Validates one fold after an epoch, and keeps the weights if they are its best so far.
void TrainingRun::validate(const FoldData& data, const EpochRecord& record, Kept& kept) {
  const std::vector<Prediction> validation = evaluate(*recognizer_, data.validation, *data.corpus);
  const ConfusionMatrix matrix = confusion(validation, data.corpus->classes);
  Training& training = kept.training;
  training.epochs.push_back(record);
  training.epochs.back().validation_loss = mean_loss(validation);
  training.epochs.back().validation_wa = matrix.wa();
  training.epochs.back().validation_ua = matrix.ua();
  if (training.best_epoch == 0 || matrix.wa() > training.best_validation_wa) {
    training.best_epoch = record.epoch;
    training.best_validation_wa = matrix.wa();
    kept.best = recognizer_->state_dict();
  }
}

// State -------------------------------------------------------------------------------------------

void TrainingRun::keep_if_due(Moment moment) {
  if (observer_.checkpoints == nullptr || !observer_.checkpoints->due(moment)) return;
  observer_.checkpoints->save(key(), state());
}

// What a state must have in common with this training to be its own.
json TrainingRun::identity() const {
  json names = json::array();
  for (const FoldData* fold : folds_) names.push_back(fold->fold.name);
  return {{"genotype", json::parse(serenade::to_json(genotype_))},
          {"folds", names},
          {"seed", config_.seed}};
}

SafetensorsFile TrainingRun::state() const {
  SafetensorsFile file;
  add_part(file, "net.", recognizer_->state_dict());
  add_optimizer(file, "adam.", adam_);
  json folds = json::array();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const Training& training = kept_[i].training;
    add_part(file, "best." + std::to_string(i) + ".", kept_[i].best);
    folds.push_back({{"best_epoch", training.best_epoch},
                     {"best_validation_wa", training.best_validation_wa},
                     {"epochs", json::parse(records_json(training.epochs))}});
  }
  const json progress = {{"epoch", epoch_},
                         {"step", step_},
                         {"loss_sum", loss_sum_},
                         {"seconds", seconds_ + (step_ > 0 ? watch_.seconds() : 0)},
                         {"schedule", json::parse(schedule_json(schedule_->state()))},
                         {"draws", default_draws()},
                         {"folds", folds}};
  file.metadata["training"] = identity().dump();
  file.metadata["progress"] = progress.dump();
  return file;
}

void TrainingRun::load(const SafetensorsFile& state) {
  const auto text = state.metadata.find("training");
  if (text == state.metadata.end() || text->second != identity().dump()) return;
  take_over(key(), [&] {
    const json progress = parse_json<json>(state.metadata.at("progress"), "progress");
    const std::int64_t epoch = json_integer(progress.at("epoch"), "'epoch'");
    if (epoch > config_.epochs + 1) return;  // of a longer training
    recognizer_->load_state_dict(part_of(state, "net."));
    load_optimizer(state, "adam.", adam_);
    read_integer(progress, "epoch", epoch_);
    read_integer(progress, "step", step_);
    progress.at("loss_sum").get_to(loss_sum_);
    progress.at("seconds").get_to(seconds_);
    schedule_->load_state(schedule_from_json(progress.at("schedule").dump()));
    manual_seed(config_.seed, json_integer<std::uint64_t>(progress.at("draws"), "'draws'"));
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      const json& fold = progress.at("folds").at(i);
      kept_[i].best = part_of(state, "best." + std::to_string(i) + ".");
      read_integer(fold, "best_epoch", kept_[i].training.best_epoch);
      fold.at("best_validation_wa").get_to(kept_[i].training.best_validation_wa);
      kept_[i].training.epochs = records_from_json(fold.at("epochs").dump());
    }
  });
  if (!observer_.on_epoch) return;
  for (const EpochRecord& record : kept_.front().training.epochs) observer_.on_epoch(record);
}

}  // namespace

std::vector<Training> train_architecture(const Config& config,
                                         const std::vector<const FoldData*>& folds,
                                         const Genotype& genotype, const Observer& observer,
                                         const std::string& stage) {
  manual_seed(config.seed);
  return TrainingRun(config, folds, genotype, observer, stage).run();
}

}  // namespace serenade::ser
