// Settings of the device that need no device.

#include "kernels/runtime/cuda_device.h"

#include <atomic>

namespace serenade::cuda {
namespace {

std::atomic<Float32Math> math{Float32Math::exact};
std::atomic<ConvolutionLibrary> library{ConvolutionLibrary::ours};

}  // namespace

void set_float32_math(Float32Math wanted) { math = wanted; }
Float32Math float32_math() { return math; }
void set_convolution_library(ConvolutionLibrary wanted) { library = wanted; }
ConvolutionLibrary convolution_library() { return library; }

}  // namespace serenade::cuda
