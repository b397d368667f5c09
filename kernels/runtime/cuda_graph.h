#pragma once
// What a captured step is kept as; how one is made stands in cuda_device.h.

namespace serenade {

/// The kernels that a piece of work launched, ready to be launched again as a whole (CUDA graphs).
struct CudaGraph {
  void* state = nullptr;
  int built = 0;    ///< how often one had to be made anew
  int updated = 0;  ///< how often one only got new arguments
};

}  // namespace serenade
