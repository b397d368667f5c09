#include "nn/schedule.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <utility>

#include "tensor/check.h"
#include "tensor/json.h"

namespace serenade {

using nlohmann::json;

namespace {

// Half a cosine from one rate to another, part 0 to 1 of the way.
double anneal(double from, double to, double part) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * part)) / 2;
}

}  // namespace

std::string to_json(const ScheduleState& state) {
  const json object = {
      {"epoch", state.epoch}, {"stage", state.stage}, {"reference_loss", state.reference_loss}};
  return object.dump();
}

ScheduleState schedule_state_from_json(const std::string& text) {
  const json object = parse_json<json>(text, "schedule");
  return {.epoch = json_integer(object.at("epoch"), "'epoch'"),
          .stage = json_integer(object.at("stage"), "'stage'"),
          .reference_loss = object.at("reference_loss")};
}

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
  return anneal(options_.rate, options_.min_rate, part);
}

OneCycleSchedule::OneCycleSchedule(const Options& options) : options_(options) {
  check(options.max_rate > 0 && options.div_factor >= 1 && options.final_div_factor >= 1,
        "OneCycleSchedule", "max_rate must be positive and the factors at least 1; got ",
        options.max_rate, ", ", options.div_factor, " and ", options.final_div_factor);
  check(options.epochs > 1 && options.warmup_part >= 0 && options.warmup_part <= 1,
        "OneCycleSchedule", "epochs must be at least 2 and warmup_part in [0, 1]; got ",
        options.epochs, " and ", options.warmup_part);
}

double OneCycleSchedule::learning_rate() const {
  const double first = options_.max_rate / options_.div_factor;
  const double last = static_cast<double>(options_.epochs - 1);
  const double top = options_.warmup_part * static_cast<double>(options_.epochs) - 1;
  const double at = std::min(static_cast<double>(state_.epoch), last);
  if (at <= top) return anneal(first, options_.max_rate, top > 0 ? at / top : 1);
  const double down = last > top ? (at - top) / (last - top) : 1;
  return anneal(options_.max_rate, first / options_.final_div_factor, down);
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
