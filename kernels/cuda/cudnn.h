#pragma once
// NVIDIA's convolutions and GRU: a yardstick for ours, and what `--device cudnn` runs. Loaded when
// first asked for, never linked, so a program does without the library.
//
// The functions take the arguments of their namesakes in kernels/conv2d.h and kernels/gru.h, run in
// float32_math(), and use only algorithms that give the same bits every time. They throw
// std::runtime_error where cuDNN is not available or refuses.

#include <cstdint>
#include <string>

#include "kernels/conv2d.h"
#include "kernels/gru.h"
#include "kernels/real.h"

namespace serenade::cuda {

/// Whether cuDNN and a device are there; if not, why not in *reason (may be null), as a sentence
/// without a full stop.
bool cudnn_available(std::string* reason);

void conv2d_forward_cudnn(real* y, const real* x, const real* weight, const real* bias,
                          const Conv2dShape& shape);
void conv2d_backward_input_cudnn(real* dx, const real* dy, const real* weight,
                                 const Conv2dShape& shape);
void conv2d_backward_weight_cudnn(real* dweight, const real* dy, const real* x,
                                  const Conv2dShape& shape);

/// y of gru_forward; reset after only. Beside the arguments of gru_forward there is no `saved`:
/// what cuDNN keeps for a backward is thrown away.
void gru_forward_cudnn(real* y, const real* x, const real* h0, const GruParameters* parameters,
                       const std::int64_t* lengths, const GruSizes& sizes);

}  // namespace serenade::cuda
