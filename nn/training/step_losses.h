#pragma once
// The losses of steps, looked at in their order without making a device wait.

#include <cstdint>
#include <functional>
#include <utility>

#include "nn/async_scalar.h"

namespace serenade {

/// On the CPU a loss is looked at at once, on a device when the next step has been launched, so
/// that the device never waits for the host.
class StepLosses {
 public:
  /// look: what is done with the loss of a step, the mean over so many samples.
  using Look = std::function<void(std::int64_t step, double loss, std::int64_t samples)>;
  /// step: of the first loss that will be added.
  StepLosses(Device device, Look look, std::int64_t step = 0)
      : device_(device), look_(std::move(look)), step_(step) {}

  /// The loss of the next step, which has been launched.
  void add(AsyncScalar loss, std::int64_t samples = 1);
  /// After the last step.
  void finish();

 private:
  Device device_;
  Look look_;
  std::int64_t step_;  // of the next loss to be looked at
  AsyncScalar waiting_;
  std::int64_t samples_ = 0;  // of the one that waits
};

}  // namespace serenade
