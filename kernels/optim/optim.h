#pragma once
// One step of an optimiser, in one pass over memory. Hyper-parameters are double, so that
// 1 - beta^t keeps its digits.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// noted[0] = 1 if one of the values [count] is not finite; otherwise noted is not changed.
DECLARE_KERNEL(void record_non_finite(real* noted, const real* values, std::int64_t count));

struct AdamStep {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;    ///< added after the square root
  double weight_decay = 0;  ///< L2: adds weight_decay * parameter to the gradient
  /// AdamW: the decay does not reach m and v; parameter *= 1 - learning_rate * weight_decay first.
  bool decoupled = false;
  /// [1] on the device, or null: where it is not 0 when the step is reached, nothing is updated.
  const real* stopped = nullptr;
};

/// One parameter of a step. The struct lies in host memory, the values on the device.
struct AdamTensor {
  real* parameter;       ///< [count], as the pointers below
  real* m;               ///< begins as zeros
  real* v;               ///< begins as zeros
  const real* gradient;  ///< not changed
  std::int64_t count;
  std::int64_t step;  ///< number of this step, from 1
};

/// Adam (Kingma & Ba 2015, algorithm 1) and AdamW (Loshchilov & Hutter 2019, algorithm 2). With g
/// the gradient and t the step:
///   m = beta1 m + (1 - beta1) g
///   v = beta2 v + (1 - beta2) g^2
///   parameter -= learning_rate * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// for each of `count` tensors, which do not overlap, all in one call: a network has dozens of
/// parameters, and most are too small to be worth waking threads for.
DECLARE_KERNEL(void adam_step(const AdamTensor* tensors, std::int64_t count,
                              const AdamStep& options));

struct SgdStep {
  double learning_rate = 1e-2;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;  ///< L2: adds weight_decay * parameter to the gradient
  /// [1] on the device, or null: where it is not 0 when the step is reached, nothing is updated.
  const real* stopped = nullptr;
};

/// Stochastic gradient descent with momentum, in PyTorch's form, where the velocity is a sum of
/// gradients and the learning rate is applied last:
///   velocity = momentum * velocity + g
///   parameter -= learning_rate * (nesterov ? g + momentum * velocity : velocity)
/// parameter, velocity, gradient: [count]; velocity begins as zeros; may be null where momentum is
/// 0.
DECLARE_KERNEL(void sgd_step(real* parameter, real* velocity, const real* gradient,
                             std::int64_t count, const SgdStep& options));

struct RmspropStep {
  double learning_rate = 1e-2;
  double alpha = 0.99;
  double epsilon = 1e-8;  ///< added after the square root
  double momentum = 0;
  double weight_decay = 0;  ///< L2: adds weight_decay * parameter to the gradient
  /// [1] on the device, or null: where it is not 0 when the step is reached, nothing is updated.
  const real* stopped = nullptr;
};

/// RMSprop (Hinton 2012, lecture 6e) in PyTorch's form:
///   square = alpha square + (1 - alpha) g^2
///   mean = alpha mean + (1 - alpha) g                   (centred; otherwise mean is 0)
///   velocity = momentum velocity + g / (sqrt(square - mean^2) + epsilon)
///   parameter -= learning_rate velocity
/// All arrays: [count], beginning as zeros. mean null: not centred. velocity may be null where
/// momentum is 0.
DECLARE_KERNEL(void rmsprop_step(real* parameter, real* square, real* mean, real* velocity,
                                 const real* gradient, std::int64_t count,
                                 const RmspropStep& options));

}  // namespace serenade
