#pragma once
// The CUDA device as the layers above see it: whether there is one, how exact its products are, and
// whose kernels run.

#include <cstddef>
#include <functional>
#include <string>

#include "kernels/dispatch.h"

namespace serenade {

/// What was found when the program first asked. Nothing here needs a GPU or its driver.
struct CudaDevice {
  bool usable = false;
  std::string reason;          ///< why not, as a sentence without a full stop; empty when usable
  std::string name;            ///< "NVIDIA H200"
  int compute_capability = 0;  ///< 90 for 9.0
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  int driver_version = 0;   ///< CUDA version of the driver, 12040 for 12.4; 0: no driver
  int runtime_version = 0;  ///< of the toolkit this program was built with
};

/// How convolutions and matrix products multiply on the device. tf32 rounds their factors to 10
/// bits of mantissa for the tensor cores and adds up in float32.
enum class Float32Math { exact, tf32 };

/// Whose convolutions run on the device: ours, or those of cuDNN, loaded at its first use.
enum class ConvolutionLibrary { ours, cudnn };

namespace cuda {

const CudaDevice& device();

/// Waits until the device has done everything that was asked of it. Throws std::runtime_error if
/// something went wrong on the way.
void synchronize();

/// Both hold for the calls that follow, on all threads. The beginning: exact, ours.
void set_float32_math(Float32Math math);
Float32Math float32_math();
void set_convolution_library(ConvolutionLibrary library);
ConvolutionLibrary convolution_library();

/// Runs pieces of work that launch the same kernels again and again, each as one CUDA graph: a call
/// records what `work` launches instead of running it, brings the graph of the call before up to
/// date with the new arguments, and launches it whole. Where the sequence of kernels has changed,
/// the graph is built anew. Work must not wait for the device. Values on the host (labels, learning
/// rates, dropout masks' keys) may change from call to call, because `work` runs every time.
class LaunchGraph {
 public:
  LaunchGraph();
  ~LaunchGraph();
  LaunchGraph(const LaunchGraph&) = delete;
  LaunchGraph& operator=(const LaunchGraph&) = delete;

  void run(const std::function<void()>& work);

  /// How often the graph had to be built, and how often it was only brought up to date.
  int built() const { return built_; }
  int updated() const { return updated_; }

 private:
  void* executable_ = nullptr;
  int built_ = 0;
  int updated_ = 0;
};

}  // namespace cuda

/// The device, or why there is none; also in a build without CUDA.
inline CudaDevice cuda_device() {
  if constexpr (kHasCuda) {
    return cuda::device();
  } else {
    CudaDevice none;
    none.reason = "this program was built without CUDA";
    return none;
  }
}

}  // namespace serenade
