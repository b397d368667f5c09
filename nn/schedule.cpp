#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "tensor/check.h"

namespace serenade {

void Schedule::end_epoch(double) { ++state_.epoch; }

ConstantSchedule::ConstantSchedule(double rate) : rate_(rate) {
  check(rate > 0, "ConstantSchedule", "rate must be positive; got ", rate);
}

StepSchedule::StepSchedule(const Options& options) : options_(options) {
  check(options.rate > 0 && options.step_size > 0 && options.gamma > 0, "StepSchedule",
        "rate, step_size and gamma must be positive; got ", options.rate, ", ", options.step_size,
        " and ", options.gamma);
}

double StepSchedule::learning_rate() const {
  const std::int64_t steps = state_.epoch / options_.step_size;
  return options_.rate * std::pow(options_.gamma, static_cast<double>(steps));
}

CosineSchedule::CosineSchedule(const Options& options) : options_(options) {
  check(options.rate > 0 && options.min_rate >= 0 && options.epochs > 0, "CosineSchedule",
        "rate and epochs must be positive and min_rate not negative; got ", options.rate, ", ",
        options.epochs, " and ", options.min_rate);
}

double CosineSchedule::learning_rate() const {
  const std::int64_t epoch = std::min(state_.epoch, options_.epochs);
  const double part = static_cast<double>(epoch) / static_cast<double>(options_.epochs);
  const double height = (1 + std::cos(std::numbers::pi * part)) / 2;
  return options_.min_rate + (options_.rate - options_.min_rate) * height;
}

WarmupSchedule::WarmupSchedule(const Options& options, std::unique_ptr<Schedule> then)
    : options_(options), then_(std::move(then)) {
  check(options.epochs >= 0 && then_ != nullptr, "WarmupSchedule",
        "epochs must not be negative and a schedule must follow; got ", options.epochs);
}

double WarmupSchedule::learning_rate() const {
  if (state_.epoch >= options_.epochs) return then_->learning_rate();
  const double part =
      static_cast<double>(state_.epoch + 1) / static_cast<double>(options_.epochs + 1);
  return part * then_->learning_rate();
}

void WarmupSchedule::end_epoch(double mean_training_loss) {
  if (state_.epoch >= options_.epochs) then_->end_epoch(mean_training_loss);
  ++state_.epoch;
}

ScheduleState WarmupSchedule::state() const {
  ScheduleState all = then_->state();
  all.epoch = state_.epoch;
  return all;
}

void WarmupSchedule::load_state(const ScheduleState& state) {
  ScheduleState inner = state;
  inner.epoch = std::max<std::int64_t>(0, state.epoch - options_.epochs);
  then_->load_state(inner);
  state_ = state;
}

}  // namespace serenade
