// The emulated device has no cuDNN.

#include "kernels/cuda/cudnn.h"

#include <stdexcept>

namespace serenade::cuda {
namespace {

constexpr const char* kReason = "cuDNN does not run on the emulated device";

}  // namespace

bool cudnn_available(std::string* reason) {
  if (reason != nullptr) *reason = kReason;
  return false;
}

void conv2d_forward_cudnn(real*, const real*, const real*, const real*, const Conv2dShape&) {
  throw std::runtime_error(kReason);
}

void conv2d_backward_input_cudnn(real*, const real*, const real*, const Conv2dShape&) {
  throw std::runtime_error(kReason);
}

void conv2d_backward_weight_cudnn(real*, const real*, const real*, const Conv2dShape&) {
  throw std::runtime_error(kReason);
}

void gru_forward_cudnn(real*, const real*, const real*, const GruParameters*, const std::int64_t*,
                       const GruSizes&) {
  throw std::runtime_error(kReason);
}

}  // namespace serenade::cuda
