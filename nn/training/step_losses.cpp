#include "nn/training/step_losses.h"

namespace serenade {

void StepLosses::add(AsyncScalar loss, std::int64_t samples) {
  finish();
  waiting_ = std::move(loss);
  samples_ = samples;
  if (!runs_ahead(device_)) finish();
}

void StepLosses::finish() {
  if (waiting_.defined()) look_(step_++, std::exchange(waiting_, {}).get(), samples_);
}

}  // namespace serenade
