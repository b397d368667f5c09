#include "nn/training/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tensor/files.h"

namespace serenade {

namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kFinished = "finished";  // an empty file
constexpr const char* kLock = "lock";          // of the process that works on the run

// Whether a folder holds nothing, but for what a run that was killed at its very start has left.
bool is_unused(const std::string& path) {
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (name != kLock && !name.ends_with(kPartialSuffix)) return false;
  }
  return true;
}

// What stands in the way of a run with this configuration, and what to do about it; or nothing.
std::string obstacle(const std::string& path, const std::string& config) {
  const std::string stored = path + "/" + kConfig;
  if (path.empty()) return "name a folder";
  if (!fs::exists(path)) return fs::is_symlink(path) ? "that link leads nowhere" : "";
  if (!fs::is_directory(path)) return "that is a file; name a folder";
  if (fs::exists(path + "/" + kFinished)) {
    return "it holds a finished run; name another folder, or remove this one";
  }
  if (!fs::exists(stored)) {
    return is_unused(path) ? "" : "it holds something that is no run; name another folder";
  }
  if (read_file(stored) == config) return "";
  return std::string("it holds a run with other settings (") + kConfig +
         "); use those, or name another folder";
}

}  // namespace

RunFolder::RunFolder(std::string option, std::string path, std::string config, double minutes)
    : option_(std::move(option)),
      path_(std::move(path)),
      config_(std::move(config)),
      keeper_(file("checkpoint.safetensors"), minutes,
              [](const std::string& damage) { std::fprintf(stderr, "%s\n", damage.c_str()); }) {
  look_at([&] {
    if (fs::exists(file(kConfig))) take_lock();
  });
}

// Does it, unless the folder cannot be this run's.
void RunFolder::look_at(const std::function<void()>& then) {
  try {
    const std::string reason = obstacle(path_, config_);
    if (!reason.empty()) throw InputError(option_ + " " + path_ + ": " + reason);
    then();
  } catch (const fs::filesystem_error& error) {
    throw std::runtime_error(option_ + " " + path_ + ": " + error.code().message() +
                             "; name a folder that can be made and read");
  }
}

void RunFolder::take_lock() {
  lock_ = Descriptor(file(kLock), O_CREAT | O_RDWR, 0644);
  if (!lock_.valid()) {
    throw std::runtime_error(option_ + " " + path_ + ": " + std::strerror(errno) +
                             "; name a folder that can be written to");
  }
  if (flock(lock_.number(), LOCK_EX | LOCK_NB) != 0) {
    throw InputError(option_ + " " + path_ + ": another process is at work on this run");
  }
  remove_partial_files(path_);
}

// The first step is about to be shown: from now on there is a run.
void RunFolder::begin() {
  if (lock_.valid()) return;
  look_at([&] {
    fs::create_directories(path_);
    take_lock();
    const std::string reason = obstacle(path_, config_);  // who had the lock until now may have won
    if (!reason.empty()) throw InputError(option_ + " " + path_ + ": " + reason);
    write_file(file(kConfig), config_);
  });
}

TrainerOptions RunFolder::record(TrainerOptions options) {
  options.identity = config_;
  options.keeper = &keeper_;
  options.on_step = [this, also = std::move(options.on_step)](const StepProgress& step) {
    begin();
    if (!bar_) {
      bar_ = std::make_unique<ProgressBar>("training", step.total);
      bar_->skip(step.done);  // its clock begins at the end of this step
    }
    char figures[64];
    std::snprintf(figures, sizeof(figures), "epoch %d  loss %.4g", step.epoch, step.loss);
    bar_->update(step.done, figures);
    if (also) also(step);
  };
  options.on_epoch = [this, also = std::move(options.on_epoch)](const EpochMetrics& metrics) {
    write_file(file("metrics.jsonl"), epochs_ += to_json(metrics) + "\n");
    if (bar_) bar_->message(to_json(metrics));
    if (also) also(metrics);
  };
  return options;
}

void RunFolder::finish() {
  begin();  // nothing was left to do
  if (bar_) bar_->finish();
  write_file(file(kFinished), "");
}

}  // namespace serenade
