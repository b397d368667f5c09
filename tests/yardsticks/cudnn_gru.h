#pragma once
// cuDNN's GRU as a yardstick for ours: found in the library that kernels/conv2d/cuda/cudnn.h loads.
//
// It runs in float32_math() with an algorithm that gives the same bits every time, and throws
// std::runtime_error where cuDNN is not available or refuses.

#include <cstdint>
#include <memory>

#include "kernels/gru/gru.h"
#include "kernels/runtime/real.h"

namespace serenade::cuda {

/// cuDNN's GRU, reset after only. Its weights are stored in its own way when it is made.
class CudnnGru {
 public:
  /// parameters: K entries, lengths: N entries or null, both in host memory, as for gru_forward.
  CudnnGru(const GruParameters* parameters, const std::int64_t* lengths, const GruSizes& sizes);
  ~CudnnGru();
  CudnnGru(const CudnnGru&) = delete;
  CudnnGru& operator=(const CudnnGru&) = delete;

  /// y: [N, T, K, H]; x: [N, T, D]; h0: [K, N, H] or null.
  void forward(real* y, const real* x, const real* h0);

  /// The gradients of the last forward, whose arrays must still be there. dx: [N, T, D],
  /// overwritten; dy: [N, T, K, H]; dh0: [K, N, H], overwritten, or null. Those of the weights stay
  /// in here, added up.
  void backward(real* dx, const real* dy, real* dh0 = nullptr);

  /// gradients += those of the weights. K entries in host memory; any pointer may be null.
  void add_gradients(const GruParameterGradients* gradients);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace serenade::cuda
