#pragma once
// NVIDIA's convolutions and GRU: a yardstick for ours, and what `--device cudnn` runs. Loaded when
// first asked for, never linked, so a program does without the library.
//
// All of it runs in float32_math() with algorithms that give the same bits every time, and throws
// std::runtime_error where cuDNN is not available or refuses.

#include <cstdint>
#include <memory>
#include <string>

#include "kernels/conv2d/conv2d.h"
#include "kernels/gru/gru.h"
#include "kernels/runtime/real.h"

namespace serenade::cuda {

/// Whether cuDNN and a device are there; if not, why not in *reason (may be null), as a sentence
/// without a full stop.
bool cudnn_available(std::string* reason);

// The arguments of their namesakes in kernels/conv2d/conv2d.h.
void conv2d_forward_cudnn(real* y, const real* x, const real* weight, const real* bias,
                          const Conv2dShape& shape);
void conv2d_backward_input_cudnn(real* dx, const real* dy, const real* weight,
                                 const Conv2dShape& shape);
void conv2d_backward_weight_cudnn(real* dweight, const real* dy, const real* x,
                                  const Conv2dShape& shape);

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

// The arguments of their namesakes in kernels/gru/gru.h, reset after only. What cuDNN keeps for the
// backward pass is not what `saved` holds: it is remembered under the address of `saved`, which is
// neither read nor written, until the backward pass. The weights are converted at every call; a
// benchmark of steps alone asks a CudnnGru.
void gru_forward_cudnn(real* y, real* saved, const real* x, const real* h0,
                       const GruParameters* parameters, const std::int64_t* lengths,
                       const GruSizes& sizes);
void gru_backward_cudnn(real* dx, real* dh0, const GruParameterGradients* gradients, const real* dy,
                        const real* y, const real* saved, const real* x, const real* h0,
                        const GruParameters* parameters, const std::int64_t* lengths,
                        const GruSizes& sizes);

}  // namespace serenade::cuda
