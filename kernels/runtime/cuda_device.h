#pragma once
// The CUDA device as the layers above see it: whether there is one, how exact its products are, and
// whose kernels run.

#include <cstddef>
#include <functional>
#include <string>

#include "kernels/runtime/cuda_graph.h"
#include "kernels/runtime/dispatch.h"

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

/// Runs `work`, which launches much the same kernels at each call. On the CPU that is all. On a
/// device what it launches is captured first; the graph of an earlier call with the same sequence
/// of launches gets the new kernels and arguments, or one is built anew, and is launched whole,
/// which costs the device far less than one launch after the other. The host does not wait: it may
/// capture the next step while this one runs. `work` must not wait for the device (read a result),
/// and copies at most 4 MB from the host. It runs at every call, so labels, learning rates and the
/// like may change.
DECLARE_KERNEL(void run_captured(CudaGraph& graph, const std::function<void()>& work));
DECLARE_KERNEL(void release_graph(CudaGraph& graph));

namespace cuda {

const CudaDevice& device();

/// Waits until the device has done everything that was asked of it. Throws std::runtime_error if
/// something went wrong on the way.
void synchronize();

/// Both hold for the calls that follow, on all threads. Initially: exact, ours.
void set_float32_math(Float32Math math);
Float32Math float32_math();
void set_convolution_library(ConvolutionLibrary library);
ConvolutionLibrary convolution_library();

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
