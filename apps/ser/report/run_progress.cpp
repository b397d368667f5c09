#include "apps/ser/report/run_progress.h"

#include <algorithm>
#include <memory>

namespace serenade::ser {

namespace {

constexpr double kUnits = 1000;  // the bar counts whole numbers; one epoch is this many
// A search epoch trains the supernet's merged convolutions on training and on validation batches,
// and follows one child: about this many training epochs of a single architecture.
constexpr double kSearchEpoch = 2;

// Training epochs of a single architecture that a search stands for, and trainings of trials.
struct SearchWork {
  double epochs = 0;
  std::int64_t trials = 0;
};

SearchWork search_work(const Config& config) {
  const std::unique_ptr<Strategy> strategy =
      make_strategy(config, baseline_genotype(config.options));
  const std::int64_t steps = strategy->planned_steps();
  if (strategy->needs_supernet()) return {kSearchEpoch * static_cast<double>(steps), 0};
  return {0, steps};
}

// Work done when a stage is at `fraction` of its own. search: that of the search's epochs.
double work_at(double search, int epochs, const std::string& stage, double fraction) {
  if (stage == "search") return fraction * search;
  double before = search;
  if (stage.rfind("train ", 0) == 0) before += (std::stod(stage.substr(6)) - 1) * epochs;
  return before + fraction * epochs;
}

std::int64_t units(double work) { return static_cast<std::int64_t>(work * kUnits); }

}  // namespace

double expected_work(const Config& config) {
  // A trial's training is the training of what is found.
  const SearchWork search = search_work(config);
  return search.epochs +
         static_cast<double>(std::max<std::int64_t>(1, search.trials)) * config.epochs;
}

RunProgress::RunProgress(const std::string& label, double work) : bar_(label, units(work)) {}

Observer RunProgress::observe(const Config& config, const std::string& fold, RunFolder* folder) {
  Observer observer;
  const double search = search_work(config).epochs;
  observer.on_step = [this, search, epochs = config.epochs, fold](
                         const std::string& stage, std::int64_t done, std::int64_t total,
                         const std::string& figures) {
    const auto work = [&](std::int64_t steps) {
      return work_at(search, epochs, stage,
                     static_cast<double>(steps) / static_cast<double>(total));
    };
    advance(fold, work(std::max<std::int64_t>(0, done - 1)), work(done), stage + "  " + figures);
  };
  if (folder != nullptr) {
    observer.checkpoints = &folder->checkpoints();
    observer.on_epoch = [folder, fold](const EpochRecord& record) {
      folder->log_epoch(fold, record);
    };
  }
  return observer;
}

void RunProgress::advance(const std::string& fold, double before, double work,
                          const std::string& figures) {
  const std::lock_guard lock(mutex_);
  // What lies before a fold's first step was kept by an earlier session.
  if (!running_.contains(fold)) bar_.skip(units(before));
  running_[fold] = work;
  double done = finished_;
  for (const auto& [name, part] : running_) done += part;
  bar_.update(units(done), fold + "  " + figures);
}

void RunProgress::finish(const Config& config, const std::string& fold) {
  const std::lock_guard lock(mutex_);
  finished_ += expected_work(config);
  running_.erase(fold);
}

void RunProgress::finish() {
  const std::lock_guard lock(mutex_);
  bar_.update(units(finished_));
  bar_.finish();
}

void RunProgress::message(const std::string& line) {
  const std::lock_guard lock(mutex_);
  bar_.message(line);
}

}  // namespace serenade::ser
