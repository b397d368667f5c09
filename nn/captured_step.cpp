#include "nn/captured_step.h"

#include "kernels/runtime/cuda_device.h"

namespace serenade {

CapturedStep::~CapturedStep() { KERNEL(device_, release_graph, graph_); }

void CapturedStep::run(const std::function<void()>& work) {
  KERNEL(device_, run_captured, graph_, work);
}

}  // namespace serenade
