#include "apps/ser/training/paper_schedule.h"

#include "tensor/check.h"

namespace serenade::ser {

PaperSchedule::PaperSchedule() : PaperSchedule(Options()) {}

PaperSchedule::PaperSchedule(const Options& options) : options_(options) {
  check(!options.rates.empty() && options.first_epochs > 0 && options.factor > 1, "PaperSchedule",
        "there must be a rate, first_epochs must be positive and factor above 1; got ",
        options.rates.size(), " rates, ", options.first_epochs, " and ", options.factor);
}

double PaperSchedule::learning_rate() const {
  return options_.rates[static_cast<std::size_t>(state_.stage)];
}

void PaperSchedule::end_epoch(double mean_training_loss) {
  ++state_.epoch;
  if (state_.stage + 1 == static_cast<std::int64_t>(options_.rates.size())) return;
  const bool due = state_.stage == 0
                       ? state_.epoch >= options_.first_epochs
                       : mean_training_loss * options_.factor <= state_.reference_loss;
  if (due) {
    ++state_.stage;
    state_.reference_loss = mean_training_loss;
  }
}

void PaperSchedule::load_state(const ScheduleState& state) {
  const std::int64_t stages = static_cast<std::int64_t>(options_.rates.size());
  check(state.stage >= 0 && state.stage < stages, "PaperSchedule", "stage must be in 0 .. ",
        stages - 1, "; got ", state.stage);
  state_ = state;
}

}  // namespace serenade::ser
