#include "apps/ser/training/train.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/evaluation/evaluate.h"
#include "apps/ser/training/checkpoints.h"
#include "apps/ser/training/records.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/functions.h"
#include "nn/optim.h"
#include "nn/training/trainer.h"
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
class TrainingRun : public TrainingTask {
 public:
  TrainingRun(const Config& config, const std::vector<const FoldData*>& folds,
              const Genotype& genotype, const Observer& observer, const std::string& stage);

  std::vector<Training> run();

  std::int64_t steps() const override { return batch_count(train_, config_.batch_size); }
  void begin_epoch(int epoch, std::int64_t first_step) override;
  std::int64_t next_batch() override;
  Variable loss() override;
  void end_epoch(EpochMetrics& metrics) override;
  void save(SafetensorsFile& state) const override;
  void load(const SafetensorsFile& state) override;

 private:
  // What a fold has of it.
  struct Kept {
    Training training;
    StateDict best;  // the weights of the best epoch
  };

  TrainerOptions trainer_options();
  void validate(const FoldData& data, const EpochRecord& record, Kept& kept);
  void tell(const EpochMetrics& metrics);
  std::string identity() const;

  const Config& config_;
  const std::vector<const FoldData*>& folds_;
  const Genotype& genotype_;
  const Observer& observer_;
  const std::string& stage_;
  const Dataset& train_;
  std::unique_ptr<Recognizer> recognizer_;
  Adam adam_;
  BatchQueue batches_;
  std::optional<Batch> batch_;
  std::unique_ptr<Schedule> schedule_;
  std::vector<Kept> kept_;  // per fold
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
      batches_(train_, recognizer_->device()),
      schedule_(make_schedule(config)),
      kept_(folds.size()) {}

TrainerOptions TrainingRun::trainer_options() {
  TrainerOptions options;
  options.epochs = config_.epochs;
  options.schedule = schedule_.get();
  options.seed = config_.seed;
  options.identity = identity();
  options.on_epoch = [this](const EpochMetrics& metrics) { tell(metrics); };
  if (observer_.on_step) {
    options.on_step = [this](const StepProgress& step) {
      observer_.on_step(stage_, step.done, step.total,
                        epoch_text(step.epoch, config_.epochs, step.loss));
    };
  }
  return options;
}

std::vector<Training> TrainingRun::run() {
  TrainerOptions options = trainer_options();
  const std::string key = stage_key(stage_, folds_.front()->fold);
  std::optional<KeptStage> stage;
  if (observer_.checkpoints != nullptr) {
    options.keeper = &stage.emplace(*observer_.checkpoints, key);
  }
  Trainer trainer(*recognizer_, adam_, std::move(options));
  take_over(key, [&] { trainer.resume(*this); });
  try {
    trainer.run(*this);
  } catch (const NonFiniteLoss& error) {
    throw NonFiniteError(stage_ + ": " + error.what() +
                         "; try a smaller --learning-rate, and look at the features of the corpus");
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

// Epochs ------------------------------------------------------------------------------------------

void TrainingRun::begin_epoch(int epoch, std::int64_t first_step) {
  batches_.start(one_pass(train_, config_.batch_size, config_.seed,
                          static_cast<std::uint64_t>(epoch), first_step));
}

std::int64_t TrainingRun::next_batch() {
  batch_ = batches_.next();
  return std::ssize(batch_->labels);
}

Variable TrainingRun::loss() {
  return cross_entropy(recognizer_->forward(batch_->input), batch_->labels);
}

void TrainingRun::end_epoch(EpochMetrics& metrics) {
  EpochRecord record{.stage = stage_,
                     .epoch = metrics.epoch,
                     .learning_rate = metrics.learning_rate,
                     .train_loss = metrics.train_loss,
                     .gradient_norm = metrics.gradient_norm};
  const CapsuleNorms norms = recognizer_->capsule_norms();
  record.window_norm = norms.window;
  record.utterance_norm = norms.utterance;
  for (std::size_t i = 0; i < folds_.size(); ++i) validate(*folds_[i], record, kept_[i]);
}

// Validates one fold after an epoch, and keeps the weights if they are its best so far; the last
// ones where there is nothing to validate on.
void TrainingRun::validate(const FoldData& data, const EpochRecord& record, Kept& kept) {
  if (data.fold.validation.empty()) {
    kept.training.epochs.push_back(record);
    kept.training.best_epoch = record.epoch;
    kept.best = recognizer_->state_dict();
    return;
  }
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

// An epoch is done, or was done before a break. Its time is that of all folds together.
void TrainingRun::tell(const EpochMetrics& metrics) {
  const auto index = static_cast<std::size_t>(metrics.epoch) - 1;
  const double seconds = metrics.seconds / static_cast<double>(folds_.size());
  for (Kept& kept : kept_) kept.training.epochs.at(index).seconds = seconds;
  if (observer_.on_epoch) observer_.on_epoch(kept_.front().training.epochs[index]);
}

// State -------------------------------------------------------------------------------------------

// What a state must have in common with this training to be its own.
std::string TrainingRun::identity() const {
  json names = json::array();
  for (const FoldData* fold : folds_) names.push_back(fold->fold.name);
  json identity{{"genotype", json::parse(serenade::to_json(genotype_))},
                {"folds", names},
                {"seed", config_.seed}};
  // Its epochs are no upper limit: with another number it is another training.
  if (folds_.front()->fold.validation.empty()) identity["epochs"] = config_.epochs;
  return identity.dump();
}

void TrainingRun::save(SafetensorsFile& state) const {
  json folds = json::array();
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const Training& training = kept_[i].training;
    add_part(state, "fold." + std::to_string(i) + ".", kept_[i].best);
    folds.push_back({{"best_epoch", training.best_epoch},
                     {"best_validation_wa", training.best_validation_wa},
                     {"epochs", json::parse(records_json(training.epochs))}});
  }
  state.metadata["folds"] = folds.dump();
}

void TrainingRun::load(const SafetensorsFile& state) {
  const json folds = parse_json<json>(state.metadata.at("folds"), "folds");
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const json& fold = folds.at(i);
    kept_[i].best = part_of(state, "fold." + std::to_string(i) + ".");
    read_integer(fold, "best_epoch", kept_[i].training.best_epoch);
    fold.at("best_validation_wa").get_to(kept_[i].training.best_validation_wa);
    kept_[i].training.epochs = records_from_json(fold.at("epochs").dump());
  }
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
