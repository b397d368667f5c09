#include "nn/training/state_keeper.h"

#include <utility>

#include "kernels/runtime/memory.h"
#include "nn/training/interrupt.h"

namespace serenade {

namespace {

constexpr double kShare = 0.01;  // of the time, for keeping states

}  // namespace

bool KeepingPace::due(Moment moment) const {
  if (moment == Moment::end || stop_signal() != 0 || minutes_ == 0) return true;
  const double seconds = since_last_.seconds();
  return seconds * kShare >= last_cost_ && (moment == Moment::epoch || seconds >= minutes_ * 60);
}

void KeepingPace::kept(double seconds) {
  const Stopwatch tidying;
  return_freed_memory();  // or each state leaves holes, and a long run grows by them
  last_cost_ = seconds + tidying.seconds();
  since_last_ = Stopwatch();
  ++times_;
  seconds_ += last_cost_;
  stop_if_asked();
}

KeepingPace::Cost KeepingPace::cost() const {
  const double all = since_begin_.seconds();
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
  const Stopwatch watch;
  checkpoint_.save(std::move(state));
  pace_.kept(watch.seconds());
}

}  // namespace serenade
