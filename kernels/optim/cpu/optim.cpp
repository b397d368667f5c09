// Optimiser steps on the host.
//
// Adam reads four arrays and writes three: 28 bytes per element, which is what limits it. One pass
// that does all of the formula therefore beats one pass per line of it by the factor of their
// traffic, and one parallel region for all parameters of a network saves waking threads for each.

#include "kernels/optim/optim.h"

#include <cmath>

#include "kernels/optim/cpu/optim_simd.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(OptimSimd, optim_simd);

namespace {

AdamFactors factors_of(const AdamStep& options, std::int64_t step) {
  const double t = static_cast<double>(step);
  const double correction1 = 1 - std::pow(options.beta1, t);
  const double correction2 = 1 - std::pow(options.beta2, t);
  return {.rate = static_cast<real>(options.learning_rate / correction1),
          .root_scale = static_cast<real>(1 / std::sqrt(correction2)),
          .epsilon = static_cast<real>(options.epsilon),
          .decay = static_cast<real>(options.decoupled ? 0 : options.weight_decay),
          .kept = static_cast<real>(
              options.decoupled ? 1 - options.learning_rate * options.weight_decay : 1),
          .beta1 = static_cast<real>(options.beta1),
          .beta2 = static_cast<real>(options.beta2),
          .rest1 = static_cast<real>(1 - options.beta1),
          .rest2 = static_cast<real>(1 - options.beta2)};
}

std::int64_t blocks_of(const AdamTensor& tensor) {
  return (tensor.count + kLoopBlock - 1) / kLoopBlock;
}

bool is_stopped(const real* stopped) { return stopped != nullptr && *stopped != 0; }

}  // namespace

void record_non_finite(real* noted, const real* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) *noted = 1;
  }
}

void adam_step(const AdamTensor* tensors, std::int64_t count, const AdamStep& options) {
  if (is_stopped(options.stopped)) return;
  std::int64_t blocks = 0;
  for (std::int64_t i = 0; i < count; ++i) blocks += blocks_of(tensors[i]);
  parallel_items(blocks, kLoopBlock, [=](std::int64_t block) {
    const AdamTensor* of = tensors;  // a walk over dozens of sizes, for thousands of updates
    for (; block >= blocks_of(*of); ++of) block -= blocks_of(*of);
    const std::int64_t first = block * kLoopBlock;
    optim_simd().adam(of->parameter + first, of->m + first, of->v + first, of->gradient + first,
                      std::min(kLoopBlock, of->count - first), factors_of(options, of->step));
  });
}

void sgd_step(real* parameter, real* velocity, const real* gradient, std::int64_t count,
              const SgdStep& options) {
  if (is_stopped(options.stopped)) return;
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

void rmsprop_step(real* parameter, real* square, real* mean, real* velocity, const real* gradient,
                  std::int64_t count, const RmspropStep& options) {
  if (is_stopped(options.stopped)) return;
  const RmspropFactors factors{.rate = static_cast<real>(options.learning_rate),
                               .epsilon = static_cast<real>(options.epsilon),
                               .decay = static_cast<real>(options.weight_decay),
                               .momentum = static_cast<real>(options.momentum),
                               .alpha = static_cast<real>(options.alpha),
                               .rest = static_cast<real>(1 - options.alpha)};
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    const auto from = [begin](real* array) { return array == nullptr ? nullptr : array + begin; };
    optim_simd().rmsprop(parameter + begin, square + begin, from(mean), from(velocity),
                         gradient + begin, end - begin, factors);
  });
}

}  // namespace serenade::cpu
