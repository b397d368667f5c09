#pragma once
// Training on the batches of a loader: the task of most programs.

#include <functional>
#include <optional>
#include <utility>

#include "nn/data/data_loader.h"
#include "nn/training/trainer.h"

namespace serenade {

/// Takes the batches of `loader`, which must outlive it, with its epochs counted from 1.
class LoaderTask : public TrainingTask {
 public:
  /// loss: the mean loss of a batch, as TrainingTask::loss(). validate: adds to the metrics of an
  /// epoch.
  LoaderTask(const DataLoader& loader, std::function<Variable(const Batch&)> loss,
             std::function<void(EpochMetrics&)> validate)
      : loader_(loader), loss_(std::move(loss)), validate_(std::move(validate)) {}

  std::int64_t steps() const override { return loader_.size(); }
  void begin_epoch(int epoch, std::int64_t first_step) override {
    batches_.emplace(loader_.epoch(epoch, first_step));
  }
  std::int64_t next_batch() override {
    batch_ = batches_->next().value();
    return batch_.size();
  }
  Variable loss() override { return loss_(batch_); }
  void end_epoch(EpochMetrics& metrics) override { validate_(metrics); }

 private:
  const DataLoader& loader_;
  std::function<Variable(const Batch&)> loss_;
  std::function<void(EpochMetrics&)> validate_;
  std::optional<EpochBatches> batches_;
  Batch batch_;
};

}  // namespace serenade
