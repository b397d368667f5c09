#pragma once
// NVIDIA's convolutions: a yardstick for ours, and what `--device cudnn` runs. Loaded when first
// asked for, never linked, so a program does without the library.
//
// All of it runs in float32_math() with algorithms that give the same bits every time, and throws
// std::runtime_error where cuDNN is not available or refuses.

#include <string>

#include "kernels/conv2d/conv2d.h"
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

}  // namespace serenade::cuda
