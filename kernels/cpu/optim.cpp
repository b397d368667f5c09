// Optimiser steps on the host.

#include "kernels/optim.h"

#include <cmath>

#include "kernels/cpu/parallel.h"

namespace serenade::cpu {

void adam_step(real* parameter, real* m, real* v, const real* gradient, std::int64_t count,
               const AdamStep& options) {
  const double t = static_cast<double>(options.step);
  const double correction1 = 1 - std::pow(options.beta1, t);
  const double correction2 = 1 - std::pow(options.beta2, t);
  const real rate = static_cast<real>(options.learning_rate / correction1);
  const real root_scale = static_cast<real>(1 / std::sqrt(correction2));
  const real epsilon = static_cast<real>(options.epsilon);
  const real decay = static_cast<real>(options.weight_decay);
  const real beta1 = static_cast<real>(options.beta1), beta2 = static_cast<real>(options.beta2);
  const real rest1 = static_cast<real>(1 - options.beta1);
  const real rest2 = static_cast<real>(1 - options.beta2);
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const real g = gradient[i] + decay * parameter[i];
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      parameter[i] -= rate * m[i] / (std::sqrt(v[i]) * root_scale + epsilon);
    }
  });
}

void sgd_step(real* parameter, real* velocity, const real* gradient, std::int64_t count,
              const SgdStep& options) {
  const real rate = static_cast<real>(options.learning_rate);
  const real momentum = static_cast<real>(options.momentum);
  const real decay = static_cast<real>(options.weight_decay);
  const bool nesterov = options.nesterov;
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const real g = gradient[i] + decay * parameter[i];
      real direction = g;
      if (momentum != 0) {
        velocity[i] = momentum * velocity[i] + g;
        direction = nesterov ? g + momentum * velocity[i] : velocity[i];
      }
      parameter[i] -= rate * direction;
    }
  });
}

}  // namespace serenade::cpu
