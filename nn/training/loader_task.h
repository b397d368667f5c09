#pragma once
// A training task whose batches come from a loader; and how often a classifier is right.

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "nn/data/data_loader.h"
#include "nn/training/trainer.h"

namespace serenade {

class LoaderTask : public TrainingTask {
 public:
  struct Options {
    const DataLoader* loader = nullptr;  ///< must outlive this
    /// The mean loss over a batch. epoch: from 1; step: of the training, from 0, for keys of random
    /// numbers.
    std::function<Variable(const Batch& batch, int epoch, std::int64_t step)> loss = {};
    std::function<void(EpochMetrics&)> measure = {};  ///< after an epoch: adds to the values
  };

  explicit LoaderTask(Options options);

  std::int64_t steps() const override { return options_.loader->size(); }
  void begin_epoch(int epoch, std::int64_t first_step) override;
  std::int64_t next_batch() override;
  Variable loss() override { return options_.loss(batch_, epoch_, step_); }
  void end_epoch(EpochMetrics& metrics) override;

 private:
  Options options_;
  std::optional<EpochBatches> batches_;
  Batch batch_;
  int epoch_ = 0;
  std::int64_t step_ = 0;
};

/// The share of a set's samples whose label has the largest score, in evaluation mode and without a
/// graph; the network is left in the mode it was in. scores: [N, classes] of inputs [N, ..].
double accuracy(Module& network, const std::function<Variable(const Variable&)>& scores,
                const DataLoader& loader);

/// The accuracy on some labels of who always says what is most frequent among others.
double majority_accuracy(const std::vector<std::int64_t>& training,
                         const std::vector<std::int64_t>& test);

}  // namespace serenade
