#pragma once
// A training step as one launch. On a GPU, most kernels of these systems take less time than it
// takes to launch them one after the other; captured as a graph, they are launched together.

#include <functional>

#include "kernels/runtime/cuda_graph.h"
#include "kernels/runtime/device.h"

namespace serenade {

/// Work of the same kind, done again and again on one device. On the CPU it is simply done.
class CapturedStep {
 public:
  explicit CapturedStep(Device device) : device_(device) {}
  ~CapturedStep();
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  /// `work` runs at every call and must not read results from the device (`item()`, `to()`); they
  /// may be read afterwards. With large inputs, move them to the device before.
  void run(const std::function<void()>& work);

  /// Graphs built anew, and graphs that only got new arguments.
  const CudaGraph& graph() const { return graph_; }

 private:
  Device device_;
  CudaGraph graph_;
};

}  // namespace serenade
