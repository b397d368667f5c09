// Work on the CPU runs as it is asked for; there is nothing to capture.

#include "kernels/runtime/cuda_device.h"

namespace serenade::cpu {

void run_captured(CudaGraph&, const std::function<void()>& work) { work(); }
void release_graph(CudaGraph&) {}

}  // namespace serenade::cpu
