#pragma once
// The folder of one training: its configuration, its epochs, its state.
//
//   RunFolder folder("--out", "runs/digits", config);
//   Trainer trainer(net, adam, folder.record({.epochs = 10}));
//   trainer.resume(task);
//   trainer.run(task);
//   save_model(folder.file("model.safetensors"), net);
//   folder.finish();

#include <functional>
#include <memory>
#include <string>

#include "nn/training/program.h"
#include "nn/training/progress.h"
#include "nn/training/state_keeper.h"
#include "nn/training/trainer.h"
#include "tensor/descriptor.h"

namespace serenade {

class RunFolder {
 public:
  /// A new or empty folder becomes that of a run with this configuration, config.json, at the first
  /// step: settings that cannot be leave nothing. A run that was begun with the same ones goes on,
  /// unless another process works on it. Nothing else is touched: throws InputError, which begins
  /// with the option that named the folder, where it holds a run with another configuration, a
  /// finished one, or something that is no run; std::runtime_error for what the system refuses.
  /// minutes: of CheckpointFile. The configuration has to hold all that results depend on: of data,
  /// content_hash() (nn/data/dataset.h).
  RunFolder(std::string option, std::string path, std::string config, double minutes = 5);

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  /// The options, with what makes the training leave its traces here: identity and keeper
  /// (checkpoint.safetensors), a line of metrics.jsonl for each epoch, a progress bar. Functions
  /// that the options have already are called after. The folder must outlive the trainer.
  TrainerOptions record(TrainerOptions options);

  /// All results are there: the run is finished, from now on refused.
  void finish();

 private:
  void look_at(const std::function<void()>& then);
  void take_lock();
  void begin();

  std::string option_, path_, config_, epochs_;
  Descriptor lock_;
  CheckpointFile keeper_;
  std::unique_ptr<ProgressBar> bar_;  // from the first step on
};

}  // namespace serenade
