#include "nn/training/run_folder.h"

#include <cstdio>
#include <filesystem>
#include <utility>

#include "tensor/files.h"

namespace serenade {

namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kFinished = "finished";  // an empty file

// What stands in the way of a run with this configuration, and what to do about it; or nothing.
std::string obstacle(const std::string& path, const std::string& config) {
  const std::string stored = path + "/" + kConfig;
  if (fs::exists(path) && !fs::is_directory(path)) return "that is a file; name a folder";
  if (fs::exists(path + "/" + kFinished)) return "it holds a finished run; name another folder";
  if (!fs::exists(stored)) {
    return fs::exists(path) && !fs::is_empty(path)
               ? "it holds something that is no run; name another folder"
               : "";
  }
  if (read_file(stored) == config) return "";
  return std::string("it holds a run with other settings (") + kConfig +
         "); use those, or name another folder";
}

}  // namespace

RunFolder::RunFolder(const std::string& option, const std::string& path, const std::string& config,
                     double minutes)
    : path_(path),
      config_(config),
      keeper_(file("checkpoint.safetensors"), minutes,
              [](const std::string& damage) { std::fprintf(stderr, "%s\n", damage.c_str()); }) {
  const std::string reason = obstacle(path, config);
  if (!reason.empty()) throw InputError(option + " " + path + ": " + reason);
  if (fs::exists(file(kConfig))) return;
  fs::create_directories(path);
  write_file(file(kConfig), config);
}

TrainerOptions RunFolder::record(TrainerOptions options) {
  options.identity = config_;
  options.keeper = &keeper_;
  options.on_step = [this, also = std::move(options.on_step)](const StepProgress& step) {
    if (!bar_) {
      bar_ = std::make_unique<ProgressBar>("training", step.total);
      bar_->skip(step.done - 1);
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
  if (bar_) bar_->finish();
  write_file(file(kFinished), "");
}

}  // namespace serenade
