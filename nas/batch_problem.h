#pragma once
// BatchProblem: a one-shot search over the batches of two loaders, with progress, metrics and a
// state that is kept: what Trainer (nn/training/trainer.h) is to the training of one network.
//
//   manual_seed(seed);
//   Net net(builder);                                   a supernet
//   BatchProblem digits(*method, net, {.training = &half, .validation = &other_half,
//                                      .loss = [&](const Batch& batch) { return ..; }});
//   digits.run();
//   Genotype best = method->recommend();
//
// Stopped at any moment and begun again, a search ends with the bits of the undisturbed one.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/data/data_loader.h"
#include "nn/schedule.h"
#include "nn/training/trainer.h"

namespace serenade {

struct BatchProblemOptions {
  const DataLoader* training = nullptr;    ///< the weights learn from it
  const DataLoader* validation = nullptr;  ///< the alphas do; begun anew where it is the shorter
  std::function<Variable(const Batch&)> loss = {};  ///< mean loss of the supernet over a batch
  std::function<void(EpochMetrics&)> measure = {};  ///< after an epoch: adds to the values
  Schedule* schedule = nullptr;                     ///< of the weights' rate, by epochs
  std::string identity = {};                        ///< as in TrainerOptions, like the rest
  StateKeeper* keeper = nullptr;
  std::function<void(const StepProgress&)> on_step = {};
  std::function<void(const EpochMetrics&)> on_epoch = {};
};

class BatchProblem : public Problem {
 public:
  /// supernet: of the method's space, made after manual_seed() with the method's seed. All that is
  /// given must outlive this, and the method be used for nothing else.
  BatchProblem(OneShot& method, Module& supernet, BatchProblemOptions options);

  /// Searches to the end, from where the keeper's state left off. Throws NonFiniteLoss,
  /// Interrupted, and what the keeper throws.
  void run();
  /// One per epoch, with the value "validation_loss" that the alphas had.
  const std::vector<EpochMetrics>& metrics() const { return metrics_; }

  // Problem
  const SearchSpace& space() const override { return method_.space(); }
  Module& supernet(const OneShot& /*method*/) override { return supernet_; }
  std::int64_t train_batches() const override { return options_.training->size(); }
  std::int64_t validation_batches() const override { return options_.validation->size(); }
  LossFunction next_train_loss() override;
  LossFunction next_validation_loss() override;
  std::vector<LossFunction> validation_losses(std::int64_t at_most) override;
  void begin_epoch(SupernetSearch& search) override;
  void end_step(const StepRecord& last, std::int64_t step, std::int64_t steps) override;
  void end_epoch(SupernetSearch& search) override;

 private:
  void resume();
  void keep_if_due(Moment moment);

  OneShot& method_;
  Module& supernet_;
  BatchProblemOptions options_;
  std::optional<EpochBatches> training_, validation_;
  std::int64_t validation_epoch_ = 0;
  std::vector<EpochMetrics> metrics_;
  double seconds_ = 0;  // of this epoch before a break
  Stopwatch watch_;
};

}  // namespace serenade
