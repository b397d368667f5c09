#pragma once
// Parts that the loops of training and of searching share: train.cpp and search.cpp.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "apps/ser/data/batch_queue.h"
#include "apps/ser/data/protocol.h"
#include "apps/ser/training/config.h"
#include "nn/async_scalar.h"
#include "nn/schedule.h"

namespace serenade::ser {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Batches of one pass over a set.
std::int64_t batch_count(const Dataset& data, int batch_size);

/// The batches of one pass, in the order of (seed, pass), but for the first so many. The set must
/// outlive the source.
BatchQueue::Source one_pass(const Dataset& data, int batch_size, std::uint64_t seed,
                            std::uint64_t pass, std::int64_t first_batch = 0);

/// Endless batches of the validation set for the alphas: reshuffled per pass, in orders that no
/// training pass has; but for the first so many. The set must outlive the source.
BatchQueue::Source endless_passes(const Dataset& data, int batch_size, std::uint64_t seed,
                                  std::int64_t first_batch = 0);

/// Looks at the losses of steps in their order: on the CPU at once, on a device when the next step
/// has been launched, so that the device never waits for the host.
class StepLosses {
 public:
  /// look: what is done with the loss of a step.
  using Look = std::function<void(std::int64_t step, double loss)>;
  /// step: of the first loss that will be added.
  StepLosses(Device device, Look look, std::int64_t step = 0)
      : device_(device), look_(std::move(look)), step_(step) {}

  /// The loss of the next step, which has been launched.
  void add(AsyncScalar loss);
  /// After the last step.
  void finish();

 private:
  Device device_;
  Look look_;
  std::int64_t step_;  // of the next loss to be looked at
  AsyncScalar waiting_;
};

/// The paper's schedule, or a constant rate where the configuration asks for one.
std::unique_ptr<Schedule> make_schedule(const Config& config);

/// Throws NonFiniteError, saying where, unless the loss is a finite number.
void require_finite(double loss, const std::string& stage, int epoch, std::int64_t step);

/// Under what name a stage of a fold is kept: "train-2-session1-test-A".
std::string stage_key(std::string stage, const Fold& fold);

/// "epoch 3/20  loss 0.812", for a progress bar.
std::string epoch_text(int epoch, int epochs, double loss);

}  // namespace serenade::ser
