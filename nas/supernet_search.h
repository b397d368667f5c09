#pragma once
// SupernetSearch: the steps in which a one-shot strategy trains the weights W and the architecture
// parameters alpha of a supernet.
//
// Independent of data and network: the caller provides the losses as functions that run the
// supernet. OneShot::advance() is this loop over the batches of a Problem:
//
//   auto method = make_one_shot("dropout", space, {.seed = 0, .epochs = 60});
//   SupernetSearch search(supernet, *method);
//   for (; !search.finished(); search.end_epoch()) {
//     for (each training batch) {
//       if (search.trains_architecture())
//         search.architecture_step([&] { return loss of a validation batch; });
//       if (search.trains_weights())
//         search.weight_step([&] { return loss of the training batch; });
//     }
//   }
//   Genotype best = method->derive(search.alphas());

#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "nas/history.h"
#include "nas/mixed_layer.h"
#include "nas/one_shot.h"
#include "nas/path.h"
#include "nas/search_space.h"
#include "nn/async_scalar.h"
#include "nn/captured_step.h"
#include "nn/module.h"
#include "nn/optim.h"
#include "tensor/safetensors.h"

namespace serenade {

/// What happened in one step.
struct StepRecord {
  std::int64_t step = 0;  ///< number of the step within its phase, from 0
  Phase phase = Phase::weights;
  AsyncScalar loss;         ///< before the update; on a device, reading it waits for the step
  std::vector<Path> paths;  ///< per choice
};

class SupernetSearch {
 public:
  /// The supernet and the method must outlive this. The supernet must have mixed layers for every
  /// choice of the method's space (find_choices); else std::invalid_argument.
  SupernetSearch(Module& supernet, const OneShot& method);
  ~SupernetSearch();

  /// Draws the paths, runs the loss and updates W (and alpha where they are trained jointly). On a
  /// device the step is only launched: the host may prepare the next batch and the next step while
  /// it runs, and a NonFiniteLoss shows a step or two later, at the latest in end_epoch().
  StepRecord weight_step(const LossFunction& loss);
  /// Updates alpha only. Not where it is trained jointly. train_loss: of the weight step to come,
  /// for methods that look ahead.
  StepRecord architecture_step(const LossFunction& loss, const LossFunction& train_loss = {});
  /// Closes the epoch: lets the method look at the validation data, where they are given, adds the
  /// epoch's record to the history and returns it.
  const SearchRecord& end_epoch(const ValidationLosses& validation = {});

  /// Whether the current epoch is to contain weight_steps / architecture_steps.
  bool trains_weights() const;
  bool trains_architecture() const;
  std::int64_t epoch() const { return static_cast<std::int64_t>(history_.size()); }
  /// Steps of the current epoch that are done: a weight step, an architecture step, or both.
  std::int64_t epoch_steps() const;
  /// All architecture steps so far.
  std::int64_t architecture_steps() const { return architecture_steps_; }
  std::int64_t total_epochs() const;
  bool finished() const;

  /// For learning-rate schedules: the rate of W, and of alpha where both take the same steps
  /// (OneShot::trains_jointly). Elsewhere alpha keeps the rate that it has.
  void set_learning_rate(double rate);
  Optimizer& weight_optimizer() { return *weight_optimizer_; }
  Optimizer& alpha_optimizer() { return *alpha_optimizer_; }

  const Module& supernet() const { return supernet_; }

  /// Current values of alpha per choice.
  std::vector<std::vector<double>> alphas() const;
  const std::vector<SearchRecord>& history() const { return history_; }

  /// Everything the search needs to go on as if it had never stopped: the supernet's parameters,
  /// both optimisers, counters and history. Names begin with "search.". Waits for the steps that a
  /// device has not finished.
  SafetensorsFile save_state();
  /// Continues from save_state() of a search with the same space and options; else
  /// std::invalid_argument, and nothing has changed.
  void load_state(const SafetensorsFile& state);

  // States without a supernet at hand.
  /// Of a search that has not begun.
  static SafetensorsFile initial_state(const OneShot& method);
  /// Throws std::invalid_argument unless it was saved by a search with the same space and options.
  static void check_state(const SafetensorsFile& state, const OneShot& method);
  /// The epochs that it has seen.
  static std::vector<SearchRecord> history_of(const SafetensorsFile& state);

 private:
  // The loss of a step that has been launched.
  struct PendingLoss {
    Phase phase;
    std::int64_t step;
    AsyncScalar loss;
    Variable kept_before;
  };

  StepRecord run_step(Phase phase, const LossFunction& loss, const LossFunction& train_loss);
  std::vector<Path> draw_paths(Phase phase, std::int64_t step) const;
  Variable weight_gradients(const LossFunction& loss, std::int64_t step);
  Variable architecture_gradients(const LossFunction& loss, const LossFunction& train_loss);
  void update(Phase phase);
  void drain_losses(std::size_t newest);
  void record_norms(Phase phase);
  void watch(bool on);
  void apply_state(const SafetensorsFile& state);

  Module& supernet_;
  const OneShot& method_;
  SearchSpace space_;
  std::vector<ChoiceLayers> choices_;  // in the order of the space
  std::vector<Variable> weights_, alphas_;
  std::unique_ptr<Optimizer> weight_optimizer_, alpha_optimizer_;
  Variable kept_;  // StepGradient::kept
  CapturedStep weight_work_, architecture_work_;
  NonFiniteGuard guard_;
  std::deque<PendingLoss> pending_;
  std::int64_t weight_steps_ = 0, architecture_steps_ = 0;
  std::int64_t epoch_weight_steps_ = 0, epoch_architecture_steps_ = 0;
  double epoch_weight_loss_ = 0, epoch_architecture_loss_ = 0;  // sums
  // Per choice, of this epoch.
  std::vector<double> activation_rms_, architecture_rms_, gradient_norms_;
  std::vector<SearchRecord> history_;
};

}  // namespace serenade
