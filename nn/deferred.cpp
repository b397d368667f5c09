#include "nn/deferred.h"

#include "kernels/transfer.h"
#include "tensor/check.h"

namespace serenade {

struct DeferredNumber::State {
  Device device;
  Download download;
  bool fetched = false;
  real value = 0;

  explicit State(const Tensor& tensor) : device(tensor.device()) {
    KERNEL(device, begin_download, download, tensor.data(), sizeof(real));
  }
  ~State() { KERNEL(device, abandon_download, download); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

DeferredNumber::DeferredNumber(const Tensor& value) {
  check(value.numel() == 1, "DeferredNumber", "needs one element; got shape ", value.shape());
  state_ = std::make_shared<State>(value);
}

double DeferredNumber::get() const {
  check(defined(), "DeferredNumber", "holds no number yet");
  if (!state_->fetched) {
    KERNEL(state_->device, finish_download, state_->download, &state_->value, sizeof(real));
    state_->fetched = true;
  }
  return static_cast<double>(state_->value);
}

}  // namespace serenade
