// A supernet as a problem for the strategies of nas/: its batches, its learning rate, what is
// recorded of an epoch, and its state.

#include "apps/ser/training/search_supernet.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/ser/common/compute_device.h"
#include "apps/ser/common/error.h"
#include "apps/ser/data/batch_queue.h"
#include "apps/ser/training/checkpoints.h"
#include "apps/ser/training/records.h"
#include "apps/ser/training/training_loop.h"
#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/mixed_layer.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/training/step_losses.h"
#include "nn/training/stopwatch.h"
#include "tensor/json.h"

namespace serenade::ser {

namespace {

using nlohmann::json;

// Losses are compared on at most so many batches: little beside an epoch of a large corpus.
constexpr int kComparedBatches = 4;

// While it lives, a supernet is in evaluation mode: the mixture, or the path that was set.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& supernet) : supernet_(supernet) { supernet.eval(); }
  ~EvaluationMode() {
    supernet_.train();
    set_full_paths(supernet_);
    set_scale(supernet_, MixedLayer::Scale::free);
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  Module& supernet_;
};

// The mean of losses over the segments of several batches. All batches are launched before the
// first loss is read.
class MeanLoss {
 public:
  void add(const Variable& loss, const Batch& batch) {
    losses_.emplace_back(loss.value(), batch.labels.size());
  }
  double get() const {
    double total = 0, segments = 0;
    for (const auto& [loss, size] : losses_) {
      total += loss.get() * static_cast<double>(size);
      segments += static_cast<double>(size);
    }
    return total / segments;
  }

 private:
  std::vector<std::pair<AsyncScalar, std::size_t>> losses_;
};

// A supernet that is trained on one fold, and kept as it goes.
class SupernetProblem : public Problem {
 public:
  SupernetProblem(const Config& config, Strategy& strategy, const FoldData& data,
                  const Observer& observer)
      : config_(config),
        strategy_(strategy),
        data_(data),
        observer_(observer),
        space_(search_space(config.options)),
        child_(followed_child(config)),
        schedule_(make_schedule(config)),
        train_(data.train, compute_device()),
        validation_(data.validation, compute_device()) {}

  const SearchSpace& space() const override { return space_; }

  Module& supernet(const OneShot& method) override {
    if (supernet_) return *supernet_;
    manual_seed(config_.seed);
    // A method whose candidates share weights has no gain, and must make them.
    const bool by_method = config_.supernet_gain == SupernetGain::sqrt || method.shares_kernels();
    supernet_ = by_method ? make_supernet(config_.options, method) : make_supernet(config_.options);
    supernet_->to(compute_device());
    return *supernet_;
  }

  std::int64_t train_batches() const override {
    return batch_count(data_.train, config_.batch_size);
  }
  std::int64_t validation_batches() const override {
    return batch_count(data_.validation, config_.batch_size);
  }
  LossFunction next_train_loss() override { return loss_of(train_); }
  LossFunction next_validation_loss() override { return loss_of(validation_); }
  std::vector<LossFunction> validation_losses(std::int64_t at_most) override {
    BatchQueue batches(data_.validation, compute_device());
    batches.start(one_pass(data_.validation, config_.batch_size, 0, 0));
    const std::int64_t count = std::min(at_most, validation_batches());
    std::vector<LossFunction> losses;
    for (std::int64_t i = 0; i < count; ++i) losses.push_back(loss_of(batches));
    return losses;
  }

  // An epoch, or what a break has left of it.
  void begin_epoch(SupernetSearch& search) override {
    if (draws_) manual_seed(config_.seed, *std::exchange(draws_, std::nullopt));
    watch_ = Stopwatch();
    const int epoch = static_cast<int>(search.epoch()) + 1;
    search.set_learning_rate(schedule_->learning_rate());
    trains_weights_ = search.trains_weights();
    record_ = {.stage = "search", .epoch = epoch, .learning_rate = schedule_->learning_rate()};
    const std::int64_t epochs = search.total_epochs();
    losses_.emplace(
        supernet_->device(),
        [this, epoch, epochs](std::int64_t step, double loss, std::int64_t) {
          if (!observer_.on_step) return;
          observer_.on_step("search", (epoch - 1) * steps_ + step + 1, epochs * steps_,
                            epoch_text(epoch, static_cast<int>(epochs), loss));
        },
        search.epoch_steps());
    if (trains_weights_) {
      train_.start(one_pass(data_.train, config_.batch_size, config_.seed,
                            static_cast<std::uint64_t>(epoch), search.epoch_steps()));
    }
    if (search.trains_architecture() && !validates_) {
      validates_ = true;
      validation_.start(endless_passes(data_.validation, config_.batch_size, config_.seed,
                                       search.architecture_steps()));
    }
  }

  void end_step(const StepRecord& last, std::int64_t step, std::int64_t steps) override {
    steps_ = steps;
    losses_->add(last.loss);
    // Of the last step, more is left than a state holds: the norms of the capsules.
    if (step + 1 == steps || !due(Moment::step)) return;
    losses_->finish();
    keep();
  }

  void end_epoch(SupernetSearch& search) override {
    losses_->finish();
    const SearchRecord& epoch = search.history().back();
    record_.train_loss = epoch.weight_loss;
    record_.architecture_loss = epoch.architecture_loss;
    for (const ChoiceRecord& choice : epoch.choices) {
      record_.gradient_norm = std::max(record_.gradient_norm, choice.gradient_norm);
    }
    const CapsuleNorms norms = supernet_->capsule_norms();
    record_.window_norm = norms.window;
    record_.utterance_norm = norms.utterance;
    if (trains_weights_) schedule_->end_epoch(record_.train_loss);
    compare_losses(record_);
    record_.seconds = seconds();
    epochs_.push_back(record_);
    seconds_ = 0;
    record_ = {};
    if (observer_.on_epoch) observer_.on_epoch(epochs_.back());
    if (due(search.finished() ? Moment::end : Moment::epoch)) keep();
  }

  /// Goes on from what the observer's checkpoints hold of the search.
  void resume() {
    if (observer_.checkpoints == nullptr) return;
    const std::optional<SafetensorsFile> state = observer_.checkpoints->load(key());
    if (!state || !state->metadata.contains("search") ||
        state->metadata.at("search") != identity()) {
      return;
    }
    take_over(key(), [&] {
      strategy_.load_state(*state);
      const json progress = parse_json<json>(state->metadata.at("problem"), "problem");
      schedule_->load_state(schedule_state_from_json(progress.at("schedule").dump()));
      progress.at("seconds").get_to(seconds_);
      draws_ = json_integer<std::uint64_t>(progress.at("draws"), "'draws'");
      epochs_ = records_from_json(state->metadata.at("epochs"));
    });
    if (!observer_.on_epoch) return;
    for (const EpochRecord& record : epochs_) observer_.on_epoch(record);
  }

  std::vector<EpochRecord> take_epochs() { return std::move(epochs_); }

 private:
  std::string key() const { return stage_key("search", data_.fold); }
  // What a state must have in common with this search to be its own.
  std::string identity() const {
    return json{{"fold", data_.fold.name}, {"seed", config_.seed}}.dump();
  }
  double seconds() const { return seconds_ + (record_.epoch > 0 ? watch_.seconds() : 0); }
  bool due(Moment moment) const {
    return observer_.checkpoints != nullptr && observer_.checkpoints->due(moment);
  }

  void keep() {
    SafetensorsFile state = strategy_.save_state();
    const json progress = {{"schedule", json::parse(serenade::to_json(schedule_->state()))},
                           {"seconds", seconds()},
                           {"draws", default_draws()}};
    state.metadata["search"] = identity();
    state.metadata["problem"] = progress.dump();
    state.metadata["epochs"] = records_json(epochs_);
    observer_.checkpoints->save(key(), std::move(state));
  }

  // Steps may be captured, and a batch must be there before that.
  LossFunction loss_of(BatchQueue& batches) {
    return
        [this, batch = std::make_shared<const Batch>(*batches.next())] { return loss_on(*batch); };
  }
  Variable loss_on(const Batch& batch) {
    return cross_entropy(supernet_->forward(batch.input), batch.labels);
  }

  // Training losses with the weights of the moment, in an order of batches that is the same for
  // all epochs: of one child, over all segments, what Figure 3b of the paper follows from epoch to
  // epoch; of the whole mixture; and of the child whose layers are brought to the mixture's scale.
  // Averaging shrinks what a layer gives, so the child alone, with coefficients of 1, is heard
  // louder than the layers after it have learned to expect.
  void compare_losses(EpochRecord& record) {
    const NoGrad no_grad;
    const EvaluationMode evaluation(*supernet_);
    MeanLoss child, mixture, matched;
    train_.start(one_pass(data_.train, config_.batch_size, 0, 0));
    for (int i = 0; const std::optional<Batch> batch = train_.next(); ++i) {
      if (i < kComparedBatches) {
        set_full_paths(*supernet_);
        set_scale(*supernet_, MixedLayer::Scale::kept);
        mixture.add(loss_on(*batch), *batch);
        set_child(*supernet_, space_, child_);
        set_scale(*supernet_, MixedLayer::Scale::matched);
        matched.add(loss_on(*batch), *batch);
        set_scale(*supernet_, MixedLayer::Scale::free);
      }
      set_child(*supernet_, space_, child_);
      child.add(loss_on(*batch), *batch);
    }
    record.child_loss = child.get();
    record.mixture_loss = mixture.get();
    record.matched_child_loss = matched.get();
  }

  const Config& config_;
  Strategy& strategy_;
  const FoldData& data_;
  const Observer& observer_;
  SearchSpace space_;
  Genotype child_;
  std::unique_ptr<Recognizer> supernet_;
  std::unique_ptr<Schedule> schedule_;
  BatchQueue train_, validation_;
  bool validates_ = false;              // validation_ has been started
  std::optional<std::uint64_t> draws_;  // after a break: of the default generator
  double seconds_ = 0;                  // of the epoch in progress, before a break
  // Of the epoch in progress.
  Stopwatch watch_;
  EpochRecord record_;
  std::optional<StepLosses> losses_;
  std::int64_t steps_ = 0;
  bool trains_weights_ = false;
  std::vector<EpochRecord> epochs_;
};

}  // namespace

std::vector<FoldSearch> search_supernet(const Config& config, Strategy& strategy,
                                        const std::vector<FoldData>& folds,
                                        const Observer& observer) {
  SupernetProblem problem(config, strategy, folds.front(), observer);
  problem.resume();
  try {
    while (strategy.advance(problem)) {
    }
  } catch (const NonFiniteLoss& error) {
    const bool raised = config.supernet_gain == SupernetGain::sqrt;
    throw NonFiniteError(std::string(error.what()) + "; try a smaller --learning-rate" +
                         (raised ? " or --supernet-gain one" : ""));
  }
  FoldSearch found;
  found.genotype = strategy.recommend();
  found.epochs = problem.take_epochs();
  if (auto* one_shot = dynamic_cast<OneShot*>(&strategy); one_shot && one_shot->search()) {
    found.history = one_shot->search()->history();
    found.warnings = one_shot->warnings(found.history);
  }
  std::vector<FoldSearch> all(folds.size());
  for (FoldSearch& fold : all) {
    fold.genotype = found.genotype;
    fold.epochs = found.epochs;
    fold.history = found.history;
    fold.warnings = found.warnings;
  }
  return all;
}

}  // namespace serenade::ser
