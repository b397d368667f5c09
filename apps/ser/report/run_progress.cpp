#include "apps/ser/report/run_progress.h"

namespace serenade::ser {

namespace {

constexpr double kUnits = 1000;  // the bar counts whole numbers; one epoch is this many
// A search epoch trains the supernet's merged convolutions on training and on validation batches,
// and follows one child: about this many training epochs of a single architecture.
constexpr double kSearchEpoch = 2;

bool searches(const Config& config) {
  return config.mode != Mode::none && config.mode != Mode::random;
}

double search_work(const Config& config) {
  if (!searches(config)) return 0;
  const int extra = config.bilevel == Bilevel::two_stage ? config.architecture_epochs : 0;
  return kSearchEpoch * (config.search_epochs + extra);
}

// Work done when a stage is at `fraction` of its own.
double work_at(const Config& config, const std::string& stage, double fraction) {
  if (stage == "search") return fraction * search_work(config);
  double before = search_work(config);
  if (stage.rfind("train ", 0) == 0) before += (std::stod(stage.substr(6)) - 1) * config.epochs;
  return before + fraction * config.epochs;
}

std::int64_t units(double work) { return static_cast<std::int64_t>(work * kUnits); }

}  // namespace

double expected_work(const Config& config) {
  const int trainings = config.mode == Mode::random ? config.random_architectures : 1;
  return search_work(config) + static_cast<double>(trainings) * config.epochs;
}

RunProgress::RunProgress(const std::string& label, double work) : bar_(label, units(work)) {}

Observer RunProgress::observe(const Config& config, const std::string& fold, RunFolder* folder) {
  Observer observer;
  observer.on_step = [this, config, fold](const std::string& stage, std::int64_t done,
                                          std::int64_t total, const std::string& figures) {
    const double fraction = static_cast<double>(done) / static_cast<double>(total);
    advance(fold, work_at(config, stage, fraction), stage + "  " + figures);
  };
  if (folder != nullptr) {
    observer.on_epoch = [folder, fold](const EpochRecord& record) {
      folder->log_epoch(fold, record);
    };
  }
  return observer;
}

void RunProgress::advance(const std::string& fold, double work, const std::string& figures) {
  const std::lock_guard lock(mutex_);
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
