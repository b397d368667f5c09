#include "nn/training/state_keeper.h"

#include <utility>

#include "kernels/runtime/memory.h"
#include "nn/training/interrupt.h"

namespace serenade {

namespace {

constexpr double kShare = 0.01;  // of the time, for keeping states

double seconds_between(KeepingPace::Clock::time_point start, KeepingPace::Clock::time_point end) {
  return std::chrono::duration<double>(end - start).count();
}

}  // namespace

bool KeepingPace::due(Moment moment) const {
  if (moment == Moment::end || stop_signal() != 0 || minutes_ == 0) return true;
  const double seconds = seconds_between(last_, Clock::now());
  return seconds * kShare >= last_cost_ && (moment == Moment::epoch || seconds >= minutes_ * 60);
}

void KeepingPace::kept(Clock::time_point start) {
  return_freed_memory();  // or each state leaves holes, and a long run grows by them
  last_ = Clock::now();
  last_cost_ = seconds_between(start, last_);
  ++times_;
  seconds_ += last_cost_;
  if (stop_signal() != 0) throw Interrupted(stop_signal(), "stopped by a signal");
}

KeepingPace::Cost KeepingPace::cost() const {
  const double all = seconds_between(begin_, Clock::now());
  return {.times = times_, .seconds = seconds_, .share = all > 0 ? seconds_ / all : 0};
}

std::optional<SafetensorsFile> CheckpointFile::load() {
  std::optional<SafetensorsFile> state = checkpoint_.load();
  if (!tell_) return state;
  for (const std::string& damage : checkpoint_.damages()) {
    tell_(damage + (state ? "; the one before it is taken" : "; the training begins anew"));
  }
  return state;
}

void CheckpointFile::save(SafetensorsFile state) {
  const KeepingPace::Clock::time_point start = KeepingPace::Clock::now();
  checkpoint_.save(std::move(state));
  pace_.kept(start);
}

}  // namespace serenade
