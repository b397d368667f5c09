#include "nas/batch_problem.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tensor/check.h"
#include "tensor/json.h"
#include "tensor/random.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kIdentity = "problem.identity";
constexpr const char* kProgress = "problem.progress";

}  // namespace

BatchProblem::BatchProblem(OneShot& method, Module& supernet, BatchProblemOptions options)
    : method_(method), supernet_(supernet), options_(std::move(options)) {
  check(options_.training != nullptr && options_.validation != nullptr &&
            options_.training->size() > 0 && options_.validation->size() > 0,
        "BatchProblem", "there must be batches to train with and to validate with");
  check(options_.loss != nullptr, "BatchProblem", "there must be a loss");
}

void BatchProblem::run() {
  resume();
  if (options_.on_epoch) {
    for (const EpochMetrics& metrics : metrics_) options_.on_epoch(metrics);
  }
  while (method_.advance(*this)) {
  }
}

// Batches -----------------------------------------------------------------------------------------

// Which batch comes is a function of the numbers of epoch and step.
void BatchProblem::begin_epoch(SupernetSearch& search) {
  watch_ = Stopwatch();
  if (options_.schedule != nullptr) search.set_learning_rate(options_.schedule->learning_rate());
  const std::int64_t step = search.epoch_steps(), size = options_.validation->size();
  training_ = options_.training->epoch(search.epoch(), std::min(step, options_.training->size()));
  const std::int64_t seen = search.architecture_steps();
  validation_epoch_ = seen / size;
  validation_ = options_.validation->epoch(validation_epoch_, seen % size);
}

LossFunction BatchProblem::next_train_loss() {
  return [this, batch = training_->next().value()] { return options_.loss(batch); };
}

LossFunction BatchProblem::next_validation_loss() {
  std::optional<Batch> batch = validation_->next();
  if (!batch) {
    validation_ = options_.validation->epoch(++validation_epoch_);
    batch = validation_->next();
  }
  return [this, batch = std::move(*batch)] { return options_.loss(batch); };
}

std::vector<LossFunction> BatchProblem::validation_losses(std::int64_t at_most) {
  std::vector<LossFunction> losses;
  EpochBatches batches = options_.validation->epoch(0);
  while (std::ssize(losses) < at_most) {
    std::optional<Batch> batch = batches.next();
    if (!batch) break;
    losses.push_back([this, batch = std::move(*batch)] { return options_.loss(batch); });
  }
  return losses;
}

// After a step and an epoch -----------------------------------------------------------------------

void BatchProblem::end_step(const StepRecord& last, std::int64_t step, std::int64_t steps) {
  if (options_.on_step) {
    const std::int64_t epoch = method_.search()->epoch();
    options_.on_step({.epoch = static_cast<int>(epoch) + 1,
                      .done = epoch * steps + step + 1,
                      .total = method_.planned_steps() * steps,
                      .loss = last.loss.get()});
  }
  if (step + 1 < steps) keep_if_due(Moment::step);  // else the epoch's end is next
}

void BatchProblem::end_epoch(SupernetSearch& search) {
  const SearchRecord& record = search.history().back();
  EpochMetrics metrics{.epoch = static_cast<int>(record.epoch) + 1,
                       .learning_rate = search.weight_optimizer().learning_rate(),
                       .train_loss = record.weight_loss,
                       // Dropped after each step; the record has that of every choice.
                       .gradient_norm = std::numeric_limits<double>::quiet_NaN()};
  metrics.values["validation_loss"] = record.architecture_loss;
  if (options_.schedule != nullptr) options_.schedule->end_epoch(record.weight_loss);
  if (options_.measure) options_.measure(metrics);
  metrics.seconds = seconds_ + watch_.seconds();
  metrics_.push_back(std::move(metrics));
  seconds_ = 0;
  if (options_.on_epoch) options_.on_epoch(metrics_.back());
  keep_if_due(search.finished() ? Moment::end : Moment::epoch);
}

// State -------------------------------------------------------------------------------------------

void BatchProblem::keep_if_due(Moment moment) {
  if (options_.keeper == nullptr || !options_.keeper->due(moment)) return;
  SafetensorsFile state = method_.save_state();
  Json progress = {{"seconds", moment == Moment::step ? seconds_ + watch_.seconds() : 0},
                   {"draws", default_draws()},
                   {"metrics", Json::array()}};
  if (options_.schedule != nullptr) progress["schedule"] = to_json(options_.schedule->state());
  for (const EpochMetrics& metrics : metrics_) progress["metrics"].push_back(to_json(metrics));
  state.metadata[kIdentity] = options_.identity;
  state.metadata[kProgress] = progress.dump();
  options_.keeper->save(std::move(state));
}

void BatchProblem::resume() {
  if (options_.keeper == nullptr || method_.search() != nullptr) return;
  const std::optional<SafetensorsFile> state = options_.keeper->load();
  if (!state || !state->metadata.contains(kProgress)) return;
  if (!state->metadata.contains(kIdentity) || state->metadata.at(kIdentity) != options_.identity) {
    return;
  }
  const Json progress = parse_json<Json>(state->metadata.at(kProgress), kProgress);
  std::vector<EpochMetrics> metrics;
  for (const Json& epoch : progress.at("metrics")) {
    metrics.push_back(epoch_metrics_from_json(epoch.get<std::string>()));
  }
  const std::size_t epochs = SupernetSearch::history_of(*state).size();
  check(metrics.size() == epochs, "BatchProblem", "a state must have metrics of its ", epochs,
        " epochs; got ", metrics.size());
  const auto draws = json_integer<std::uint64_t>(progress.at("draws"), "draws");
  const auto seconds = progress.at("seconds").get<double>();
  if (options_.schedule != nullptr) {
    options_.schedule->load_state(schedule_state_from_json(progress.at("schedule")));
  }
  method_.load_state(*state);
  manual_seed(method_.options().seed, draws);
  metrics_ = std::move(metrics);
  seconds_ = seconds;
}

}  // namespace serenade
