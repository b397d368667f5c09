#pragma once
// Errors of the CUDA runtime as exceptions, and the calls between runtime.cu and graph.cu. For the
// sources that only a real device needs.

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace serenade::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("cuda: ") + what + ": " + cudaGetErrorString(error));
}

/// Between the two, copies to the device are only captured: each happens whenever the graph is
/// launched, so what they read must stay until then.
void begin_capture();
void end_capture();
/// Copies the constants of what was captured to the device; before the graph is launched.
void copy_captured_constants();

}  // namespace serenade::cuda
