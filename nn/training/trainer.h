#pragma once
// The loop of a training: epochs of steps, with progress, checkpoints, an early stop, and metrics.
//
//   struct Digits : TrainingTask { .. };    what is learned: batches, their loss, a validation
//   Digits digits(net, ..);
//   Adam adam(net.named_parameters(), {});
//   CheckpointFile kept("run/checkpoint.safetensors");
//   Trainer trainer(net, adam, {.epochs = 10, .monitor = "accuracy", .keeper = &kept});
//   trainer.resume(digits);
//   trainer.run(digits);
//   net.load_state_dict(trainer.best());
//
// Stopped at any moment, by a signal or without a word, and begun again, a training ends with the
// bits of the undisturbed one. What it needs besides the state that is kept must be a function of
// the numbers of epoch and step, as the batches of a DataLoader are.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nn/async_scalar.h"
#include "nn/captured_step.h"
#include "nn/module.h"
#include "nn/optim.h"
#include "nn/schedule.h"
#include "nn/training/state_keeper.h"
#include "nn/training/stopwatch.h"

namespace serenade {

/// What one epoch did.
struct EpochMetrics {
  int epoch = 0;  ///< from 1
  double learning_rate = 0;
  double train_loss = 0;                      ///< mean over the samples
  double gradient_norm = 0;                   ///< of all weights in the last step; NaN: not known
  double seconds = 0;                         ///< with those before a break
  std::map<std::string, double> values = {};  ///< what the task has added
};

/// One line of JSON: the members, and each value under its name. A value that is no number is null.
std::string to_json(const EpochMetrics& metrics);
/// The inverse, null as NaN; throws a std::exception that says what is wrong.
EpochMetrics epoch_metrics_from_json(const std::string& text);

/// What is learned.
class TrainingTask {
 public:
  virtual ~TrainingTask() = default;
  TrainingTask() = default;
  TrainingTask(const TrainingTask&) = delete;
  TrainingTask& operator=(const TrainingTask&) = delete;

  /// Steps of an epoch.
  virtual std::int64_t steps() const = 0;
  /// The steps of an epoch (from 1) follow, from number `first_step` on.
  virtual void begin_epoch(int epoch, std::int64_t first_step) = 0;
  /// Takes the next batch, and says how many samples it has.
  virtual std::int64_t next_batch() = 0;
  /// The mean loss of that batch; must not read results from a device (CapturedStep).
  virtual Variable loss() = 0;
  /// After the steps of an epoch: adds to `metrics.values`, say what a validation found.
  virtual void end_epoch(EpochMetrics& metrics) = 0;

  /// What else has to go on after a break: added to a state, and taken from it.
  virtual void save(SafetensorsFile& /*state*/) const {}
  virtual void load(const SafetensorsFile& /*state*/) {}
};

/// A step that is done.
struct StepProgress {
  int epoch = 1;
  std::int64_t done = 0;   ///< steps of all epochs, with those before a break
  std::int64_t total = 0;  ///< if no early stop comes
  double loss = 0;         ///< of this step
};

struct TrainerOptions {
  int epochs = 1;
  Schedule* schedule = nullptr;  ///< of the learning rate, by epochs; none: the optimiser's stays
  double clip_norm = 0;          ///< gradients are scaled down to this norm; 0: they are not
  std::string monitor = {};      ///< the value that makes an epoch the best one; "": the last is it
  bool lower_is_better = false;
  int patience = 0;               ///< stops after so many epochs that were not better; 0: never
  std::uint64_t seed = 0;         ///< that manual_seed() was given before the network was made
  std::string identity = {};      ///< a state with another one belongs to another training
  StateKeeper* keeper = nullptr;  ///< none: nothing is kept
  std::function<void(const StepProgress&)> on_step = {};
  std::function<void(const EpochMetrics&)> on_epoch = {};  ///< those before a break are told again
};

class Trainer {
 public:
  /// Network and optimiser must outlive this. Throws std::invalid_argument for options that cannot
  /// be.
  Trainer(Module& network, Optimizer& optimizer, TrainerOptions options);

  /// Takes over what the keeper has of this training; nothing, or that of another one, leaves all
  /// as it is. Throws what load() of the keeper does, and a std::exception that says what is wrong
  /// with a state that does not fit.
  void resume(TrainingTask& task);

  /// Trains until the last epoch or an early stop. Throws NonFiniteLoss, which names the step;
  /// Interrupted; and std::invalid_argument where the loss depends on a parameter that neither the
  /// network nor the optimiser knows: most likely that of a layer which was not registered.
  void run(TrainingTask& task);

  const std::vector<EpochMetrics>& history() const { return history_; }
  int best_epoch() const { return best_epoch_; }  ///< from 1; 0: none is done
  /// Parameters and buffers after the best epoch.
  StateDict best() const;

 private:
  bool finished() const;
  void run_epoch(TrainingTask& task);
  AsyncScalar run_step(TrainingTask& task);
  void check_registered(const Variable& loss) const;
  void end_epoch(TrainingTask& task);
  void choose_best(const EpochMetrics& metrics);
  void keep_if_due(const TrainingTask& task, Moment moment);
  SafetensorsFile state(const TrainingTask& task) const;

  Module& network_;
  Optimizer& optimizer_;
  TrainerOptions options_;
  NonFiniteGuard guard_;
  CapturedStep captured_;
  bool first_step_ = true;
  std::vector<EpochMetrics> history_;
  int best_epoch_ = 0;
  StateDict best_;  // where a value is monitored
  // Of the epoch in progress.
  int epoch_ = 1;
  std::int64_t step_ = 0;  // done
  double loss_sum_ = 0;    // over the samples of those steps
  std::int64_t samples_ = 0;
  double seconds_ = 0;  // before the break, if there was one
  Stopwatch watch_;
};

}  // namespace serenade
