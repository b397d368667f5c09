#include "nn/async_scalar.h"

#include "kernels/runtime/async_copy.h"
#include "tensor/check.h"

namespace serenade {

struct AsyncScalar::State {
  Device device;
  AsyncCopyToHost download;
  bool fetched = false;
  real value = 0;

  explicit State(const Tensor& tensor) : device(tensor.device()) {
    KERNEL(device, begin_copy_to_host, download, tensor.data(), sizeof(real));
  }
  ~State() { KERNEL(device, abandon_copy_to_host, download); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

AsyncScalar::AsyncScalar(const Tensor& value) {
  check(value.numel() == 1, "AsyncScalar", "needs one element; got shape ", value.shape());
  state_ = std::make_shared<State>(value);
}

double AsyncScalar::get() const {
  check(defined(), "AsyncScalar", "holds no value yet");
  if (!state_->fetched) {
    KERNEL(state_->device, finish_copy_to_host, state_->download, &state_->value, sizeof(real));
    state_->fetched = true;
  }
  return static_cast<double>(state_->value);
}

}  // namespace serenade
