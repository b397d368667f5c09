// The emulated device has no cuDNN.

#include "kernels/conv2d/cuda/cudnn.h"

#include <stdexcept>

#include "kernels/conv2d/cuda/cudnn_api.h"

namespace serenade::cuda {

const cudnn::Library& cudnn::library() {
  static const Library none = [] {
    Library library;
    library.reason = "cuDNN does not run on the emulated device";
    return library;
  }();
  return none;
}

const cudnn::Library& cudnn::prepared_library() { throw std::runtime_error(library().reason); }

bool cudnn_available(std::string* reason) {
  if (reason != nullptr) *reason = cudnn::library().reason;
  return false;
}

void conv2d_forward_cudnn(real*, const real*, const real*, const real*, const Conv2dShape&) {
  cudnn::prepared_library();
}

void conv2d_backward_input_cudnn(real*, const real*, const real*, const Conv2dShape&) {
  cudnn::prepared_library();
}

void conv2d_backward_weight_cudnn(real*, const real*, const real*, const Conv2dShape&) {
  cudnn::prepared_library();
}

}  // namespace serenade::cuda
