#pragma once
// A number that a device has computed, fetched without anybody waiting for it.

#include <memory>

#include "tensor/tensor.h"

namespace serenade {

/// The loss of a training step is wanted for a log and a progress bar. Reading it at once would
/// make the host wait for the device, and then the device for the host, which has the next step
/// still to prepare. So it is asked for when its step has been launched, and looked at when the
/// next one has: by then it is there.
///
///   AsyncScalar loss(variable.value());
///   ...                                      launch more work
///   std::printf("%f\n", loss.get());
///
/// Copies share the number. On the CPU it is there at once.
class AsyncScalar {
 public:
  AsyncScalar() = default;
  /// A tensor of one element, as it is when the device has done all that was asked of it so far.
  explicit AsyncScalar(const Tensor& value);

  bool defined() const { return state_ != nullptr; }
  /// Waits until the number is there. Throws std::invalid_argument where it is not defined().
  double get() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace serenade
