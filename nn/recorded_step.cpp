#include "nn/recorded_step.h"

namespace serenade {

RecordedStep::~RecordedStep() { KERNEL(device_, release_graph, graph_); }

void RecordedStep::run(const std::function<void()>& work) {
  KERNEL(device_, run_recorded, graph_, work);
}

}  // namespace serenade
