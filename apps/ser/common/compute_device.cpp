#include "apps/ser/common/compute_device.h"

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/common/error.h"
#include "kernels/conv2d/cuda/cudnn.h"
#include "kernels/runtime/cuda_device.h"

namespace serenade::ser {

namespace {

Device chosen = Device::cpu;

}  // namespace

Device compute_device() { return chosen; }

const std::vector<std::string>& device_words() {
  static const std::vector<std::string> words = {"auto", "cpu", "cuda", "cudnn"};
  return words;
}

void choose_compute_device(const std::string& word, bool tf32) {
  find_setting_word("--device", word, device_words());
  const CudaDevice gpu = cuda_device();
  const bool wants_gpu = word == "cuda" || word == "cudnn";
  if (wants_gpu && !gpu.usable) {
    throw InputError("--device " + word + ": " + gpu.reason + "; use --device cpu");
  }
  chosen = wants_gpu || (word == "auto" && gpu.usable) ? Device::cuda : Device::cpu;
  if constexpr (kHasCuda) {
    std::string reason;
    if (word == "cudnn" && !cuda::cudnn_available(&reason)) {
      throw InputError("--device cudnn: " + reason + "; use --device cuda");
    }
    cuda::set_convolution_library(word == "cudnn" ? ConvolutionLibrary::cudnn
                                                  : ConvolutionLibrary::ours);
    cuda::set_float32_math(tf32 ? Float32Math::tf32 : Float32Math::exact);
  }
}

std::string compute_device_name() {
  if (in_host_memory(chosen)) return "cpu";
  std::string name = cuda_device().name;
  if constexpr (kHasCuda) {
    name += cuda::float32_math() == Float32Math::tf32 ? " (tf32" : " (float32";
    name += cuda::convolution_library() == ConvolutionLibrary::cudnn ? ", cuDNN)" : ")";
  }
  return name;
}

}  // namespace serenade::ser
