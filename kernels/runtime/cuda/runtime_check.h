#pragma once
// Errors of the CUDA runtime as exceptions, and what the host sides of memory and graphs tell each
// other. For the sources that a real device alone needs.

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace serenade::cuda {

inline void check(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return;
  throw std::runtime_error(std::string("cuda: ") + what + ": " + cudaGetErrorString(error));
}

/// Between the two, copies to the device are only recorded: each happens whenever the graph is
/// launched, so what they read must stay until then.
void begin_recording();
void end_recording();
/// Brings the constants of what was recorded to the device; before the graph is launched.
void copy_recorded_constants();

}  // namespace serenade::cuda
