#include "nn/training/trainer.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "autograd/engine.h"
#include "nn/training/step_losses.h"
#include "tensor/check.h"
#include "tensor/json.h"
#include "tensor/random.h"

namespace serenade {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kIdentity = "trainer.identity";
constexpr const char* kProgress = "trainer.progress";

Json json_of(const EpochMetrics& metrics) {
  Json object = {{"epoch", metrics.epoch},
                 {"learning_rate", metrics.learning_rate},
                 {"train_loss", metrics.train_loss},
                 {"gradient_norm", metrics.gradient_norm},
                 {"seconds", metrics.seconds}};
  if (std::isnan(metrics.gradient_norm)) object.erase("gradient_norm");
  for (const auto& [name, value] : metrics.values) object[name] = value;
  return object;
}

}  // namespace

std::string to_json(const EpochMetrics& metrics) { return json_of(metrics).dump(); }

EpochMetrics epoch_metrics_from_json(const std::string& text) {
  const Json object = parse_json<Json>(text, "metrics");
  EpochMetrics metrics;
  read_integer(object, "epoch", metrics.epoch);
  for (const auto& [name, value] : object.items()) {
    if (name == "epoch") continue;
    metrics.values[name] =
        value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  }
  metrics.values.try_emplace("gradient_norm", std::numeric_limits<double>::quiet_NaN());
  const auto take = [&](const char* name) { return metrics.values.extract(name).mapped(); };
  for (const char* name : {"learning_rate", "train_loss", "seconds"}) {
    object.at(name);  // says which one is missing
  }
  metrics.learning_rate = take("learning_rate");
  metrics.train_loss = take("train_loss");
  metrics.gradient_norm = take("gradient_norm");
  metrics.seconds = take("seconds");
  return metrics;
}

Trainer::Trainer(Module& network, Optimizer& optimizer, TrainerOptions options)
    : network_(network),
      optimizer_(optimizer),
      options_(std::move(options)),
      guard_(network.device()),
      captured_(network.device()) {
  check(options_.epochs > 0, "Trainer", "epochs must be above 0; got ", options_.epochs);
  check(options_.clip_norm >= 0, "Trainer", "clip_norm must not be below 0; got ",
        options_.clip_norm);
  check(options_.patience >= 0, "Trainer", "patience must not be below 0; got ", options_.patience);
  check(options_.patience == 0 || !options_.monitor.empty(), "Trainer",
        "an early stop (patience) needs a value to monitor");
}

bool Trainer::finished() const {
  if (epoch_ > options_.epochs) return true;
  return options_.patience > 0 && best_epoch_ > 0 && epoch_ - 1 - best_epoch_ >= options_.patience;
}

void Trainer::run(TrainingTask& task) {
  if (options_.on_epoch) {
    for (const EpochMetrics& metrics : history_) options_.on_epoch(metrics);
  }
  check(task.steps() > 0, "Trainer",
        "an epoch must have a step; is the batch larger than the data?");
  while (!finished()) {
    run_epoch(task);
    end_epoch(task);
    keep_if_due(task, finished() ? Moment::end : Moment::epoch);
  }
}

// Steps -------------------------------------------------------------------------------------------

// The steps of the epoch that are not done yet.
void Trainer::run_epoch(TrainingTask& task) {
  watch_ = Stopwatch();
  if (options_.schedule != nullptr) {
    optimizer_.set_learning_rate(options_.schedule->learning_rate());
  }
  const std::int64_t count = task.steps();
  StepLosses losses(
      network_.device(),
      [&](std::int64_t step, double loss, std::int64_t samples) {
        if (!std::isfinite(loss)) {
          throw NonFiniteLoss("the loss is not a number any more in epoch " +
                              std::to_string(epoch_) + ", step " + std::to_string(step + 1));
        }
        loss_sum_ += loss * static_cast<double>(samples);
        samples_ += samples;
        if (!options_.on_step) return;
        options_.on_step({.epoch = epoch_,
                          .done = (epoch_ - 1) * count + step + 1,
                          .total = options_.epochs * count,
                          .loss = loss});
      },
      step_);
  task.begin_epoch(epoch_, step_);
  while (step_ < count) {
    const std::int64_t samples = task.next_batch();
    losses.add(run_step(task), samples);
    // Of the last step, more is left than a state holds: gradients, and what layers have observed.
    if (++step_ == count || options_.keeper == nullptr) continue;
    if (!options_.keeper->due(Moment::step)) continue;
    losses.finish();
    keep_if_due(task, Moment::step);
  }
  losses.finish();
}

AsyncScalar Trainer::run_step(TrainingTask& task) {
  optimizer_.zero_grad();
  Variable loss;
  const auto step = [&] {
    loss = task.loss();
    if (std::exchange(first_step_, false)) check_registered(loss);
    backward(loss);
    guard_.watch(loss);
    if (options_.clip_norm > 0) clip_grad_norm(optimizer_.parameters(), options_.clip_norm);
    optimizer_.step(guard_);
  };
  if (options_.clip_norm > 0) {
    step();  // reads the norm, which a captured step must not
  } else {
    captured_.run(step);
  }
  return AsyncScalar(loss.value());
}

// A layer that is a member but was not registered takes part and never learns.
void Trainer::check_registered(const Variable& loss) const {
  std::unordered_set<const Node*> known;
  for (const auto& [name, parameter] : network_.named_parameters()) {
    known.insert(parameter.node().get());
  }
  for (const auto& [name, parameter] : optimizer_.parameters()) {
    known.insert(parameter.node().get());
  }
  for (const std::shared_ptr<const Node>& leaf : leaves(loss)) {
    check(known.contains(leaf.get()), "Trainer", "the loss depends on a parameter of shape ",
          leaf->shape,
          " that is none of the network's; was register_module() or "
          "register_parameter() forgotten?");
  }
}

void Trainer::end_epoch(TrainingTask& task) {
  EpochMetrics metrics{.epoch = epoch_, .learning_rate = optimizer_.learning_rate()};
  metrics.train_loss = loss_sum_ / static_cast<double>(samples_);
  metrics.gradient_norm = gradient_norm(optimizer_.parameters());
  if (options_.schedule != nullptr) options_.schedule->end_epoch(metrics.train_loss);
  task.end_epoch(metrics);
  metrics.seconds = seconds_ + watch_.seconds();
  choose_best(metrics);
  history_.push_back(std::move(metrics));
  if (options_.on_epoch) options_.on_epoch(history_.back());
  ++epoch_;
  step_ = samples_ = 0;
  loss_sum_ = seconds_ = 0;
}

void Trainer::choose_best(const EpochMetrics& metrics) {
  const std::string& name = options_.monitor;
  if (!name.empty()) {
    const auto value = metrics.values.find(name);
    check(value != metrics.values.end(), "Trainer", "the task gives no value '", name,
          "' to monitor");
    if (best_epoch_ > 0) {
      const double best = history_[static_cast<std::size_t>(best_epoch_) - 1].values.at(name);
      if (!(options_.lower_is_better ? value->second < best : value->second > best)) return;
    }
  }
  best_epoch_ = metrics.epoch;
  if (!name.empty()) best_ = network_.state_dict();
}

StateDict Trainer::best() const { return options_.monitor.empty() ? network_.state_dict() : best_; }

// State -------------------------------------------------------------------------------------------

void Trainer::keep_if_due(const TrainingTask& task, Moment moment) {
  if (options_.keeper == nullptr || !options_.keeper->due(moment)) return;
  options_.keeper->save(state(task));
}

SafetensorsFile Trainer::state(const TrainingTask& task) const {
  SafetensorsFile file;
  add_part(file, "net.", network_.state_dict());
  add_optimizer(file, "optimizer.", optimizer_);
  add_part(file, "best.", best_);
  Json progress = {{"epoch", epoch_},
                   {"step", step_},
                   {"samples", samples_},
                   {"loss_sum", loss_sum_},
                   {"seconds", seconds_ + (step_ > 0 ? watch_.seconds() : 0)},
                   {"draws", default_draws()},
                   {"best_epoch", best_epoch_}};
  if (options_.schedule != nullptr) {
    progress["schedule"] = Json::parse(to_json(options_.schedule->state()));
  }
  Json& history = progress["history"] = Json::array();
  for (const EpochMetrics& metrics : history_) history.push_back(json_of(metrics));
  file.metadata[kIdentity] = options_.identity;
  file.metadata[kProgress] = progress.dump();
  task.save(file);
  return file;
}

void Trainer::resume(TrainingTask& task) {
  if (options_.keeper == nullptr) return;
  const std::optional<SafetensorsFile> file = options_.keeper->load();
  if (!file) return;
  const auto identity = file->metadata.find(kIdentity);
  if (identity == file->metadata.end() || identity->second != options_.identity) return;
  const Json progress = parse_json<Json>(file->metadata.at(kProgress), "progress");
  const int epoch = json_integer<int>(progress.at("epoch"), "'epoch'");
  if (epoch > options_.epochs + 1) return;  // of a longer training
  std::vector<EpochMetrics> history;
  for (const Json& metrics : progress.at("history")) {
    history.push_back(epoch_metrics_from_json(metrics.dump()));
  }
  const int best_epoch = json_integer<int>(progress.at("best_epoch"), "'best_epoch'");
  check(epoch == std::ssize(history) + 1 && best_epoch >= 0 && best_epoch < epoch, "Trainer",
        "a state must hold every epoch before its own, ", epoch, "; got ", history.size(),
        ", the best of them ", best_epoch);
  const std::int64_t step = json_integer(progress.at("step"), "'step'");
  check(step >= 0 && step <= task.steps(), "Trainer", "a state must be within the ", task.steps(),
        " steps of an epoch; got ", step);
  network_.load_state_dict(part_of(*file, "net."));
  load_optimizer(*file, "optimizer.", optimizer_);
  best_ = part_of(*file, "best.");
  best_epoch_ = best_epoch;
  history_ = std::move(history);
  epoch_ = epoch;
  step_ = step;
  read_integer(progress, "samples", samples_);
  progress.at("loss_sum").get_to(loss_sum_);
  progress.at("seconds").get_to(seconds_);
  if (options_.schedule != nullptr) {
    options_.schedule->load_state(schedule_state_from_json(progress.at("schedule").dump()));
  }
  manual_seed(options_.seed, json_integer<std::uint64_t>(progress.at("draws"), "'draws'"));
  task.load(*file);
}

}  // namespace serenade
