// Optimiser steps on the device.
//
// Adam reads four values per parameter and writes three, 28 bytes: 6.5 ns for a thousand on an
// H200, so a launch (2 to 3 us) per tensor would cost a network of dozens of small ones far more
// than its bytes. One launch serves all: the tensors come as a table, their elements are cut into
// pieces of 1024, and each block looks up the piece it has.

#include "kernels/optim/optim.h"

#include <cmath>
#include <vector>

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

constexpr std::int64_t kPiece = 4 * kLoopThreads;  // elements per block

/// A line of the table.
struct AdamEntry {
  real *parameter, *m, *v;
  const real* gradient;
  std::int64_t count;
  std::int64_t first_block;
  real rate;        // learning rate over the correction of m
  real root_scale;  // 1 / the root of the correction of v
  bool wide;        // all four arrays take Vec4s
};

/// What all tensors share.
struct AdamConstants {
  real epsilon, decay, kept, beta1, beta2, rest1, rest2;
};

__device__ __forceinline__ void adam_update(real& parameter, real& m, real& v, real gradient,
                                            real rate, real root_scale, const AdamConstants& c) {
  const real g = gradient + c.decay * parameter;
  m = c.beta1 * m + c.rest1 * g;
  v = c.beta2 * v + c.rest2 * g * g;
  parameter = c.kept * parameter - rate * m / (sqrt(v) * root_scale + c.epsilon);
}

/// One block. v - v is 0 for finite values only.
__global__ void __launch_bounds__(kLoopThreads)
    not_finite(GlobalPointer<real> noted, GlobalPointer<const real> values, std::int64_t count) {
  int found = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kLoopThreads) {
    const real v = values[i];
    if (!(v - v == 0)) found = 1;
  }
  if (__syncthreads_or(found) != 0 && threadIdx.x == 0) noted[0] = real(1);
}

__device__ __forceinline__ bool is_stopped(GlobalPointer<const real> stopped) {
  if (!stopped) return false;
  const real value = stopped[0];
  return value != 0;
}

/// One piece of one tensor per block, four neighbouring elements per thread. The table is sorted by
/// first_block, so halving finds the tensor, in six steps for a network of 64 parameters.
__global__ void __launch_bounds__(kLoopThreads)
    adam(GlobalPointer<const AdamEntry> table, int tensors, GlobalPointer<const real> stopped,
         AdamConstants constants) {
  if (is_stopped(stopped)) return;
  int at = 0;
  for (int beyond = tensors; beyond - at > 1;) {
    const int middle = (at + beyond) / 2;
    const AdamEntry entry = table[middle];
    if (entry.first_block <= static_cast<std::int64_t>(blockIdx.x)) {
      at = middle;
    } else {
      beyond = middle;
    }
  }
  const AdamEntry entry = table[at];
  const GlobalPointer<real> parameter = entry.parameter, m = entry.m, v = entry.v;
  const GlobalPointer<const real> gradient = entry.gradient;
  const std::int64_t piece = (blockIdx.x - entry.first_block) * kPiece;
  if (entry.wide && piece + kPiece <= entry.count) {
    const std::int64_t i = piece + 4 * threadIdx.x;
    Vec4 p4 = load_vector<Vec4>(parameter + i), m4 = load_vector<Vec4>(m + i);
    Vec4 v4 = load_vector<Vec4>(v + i);
    const Vec4 g4 = load_vector<Vec4>(gradient + i);
    for (int k = 0; k < 4; ++k) {
      adam_update(p4.value[k], m4.value[k], v4.value[k], g4.value[k], entry.rate, entry.root_scale,
                  constants);
    }
    store_vector(parameter + i, p4);
    store_vector(m + i, m4);
    store_vector(v + i, v4);
    return;
  }
  const std::int64_t end = piece + kPiece < entry.count ? piece + kPiece : entry.count;
  for (std::int64_t i = piece + threadIdx.x; i < end; i += kLoopThreads) {
    real p = parameter[i], m_i = m[i], v_i = v[i];
    const real g = gradient[i];
    adam_update(p, m_i, v_i, g, entry.rate, entry.root_scale, constants);
    parameter[i] = p;
    m[i] = m_i;
    v[i] = v_i;
  }
}

struct SgdConstants {
  real rate, momentum, decay;
  bool nesterov;
};

/// Bytes per parameter: 12, with momentum 20. velocity is null where momentum is 0.
__global__ void __launch_bounds__(kLoopThreads)
    sgd(GlobalPointer<real> parameter, GlobalPointer<real> velocity,
        GlobalPointer<const real> gradient, std::int64_t count, GlobalPointer<const real> stopped,
        SgdConstants c) {
  if (is_stopped(stopped)) return;
  for (std::int64_t i = loop_begin(); i < count; i += grid_stride()) {
    const real p = parameter[i], d = gradient[i];
    const real g = d + c.decay * p;
    real direction = g;
    if (c.momentum != 0) {
      const real before = velocity[i], after = c.momentum * before + g;
      velocity[i] = after;
      direction = c.nesterov ? g + c.momentum * after : after;
    }
    parameter[i] = p - c.rate * direction;
  }
}

struct RmspropConstants {
  real rate, alpha, rest, epsilon, momentum, decay;
};

/// Bytes per parameter: 20, centred 28, with momentum 8 more. mean is null where it is not centred,
/// velocity where momentum is 0.
__global__ void __launch_bounds__(kLoopThreads)
    rmsprop(GlobalPointer<real> parameter, GlobalPointer<real> square, GlobalPointer<real> mean,
            GlobalPointer<real> velocity, GlobalPointer<const real> gradient, std::int64_t count,
            GlobalPointer<const real> stopped, RmspropConstants c) {
  if (is_stopped(stopped)) return;
  for (std::int64_t i = loop_begin(); i < count; i += grid_stride()) {
    const real p = parameter[i], d = gradient[i], s = square[i];
    const real g = d + c.decay * p;
    real variance = c.alpha * s + c.rest * g * g;
    square[i] = variance;
    if (mean) {
      const real before = mean[i], after = c.alpha * before + c.rest * g;
      mean[i] = after;
      variance -= after * after;
      variance = variance > 0 ? variance : real(0);
    }
    real change = g / (sqrt(variance) + c.epsilon);
    if (c.momentum != 0) {
      const real before = velocity[i];
      change += c.momentum * before;
      velocity[i] = change;
    }
    parameter[i] = p - c.rate * change;
  }
}

}  // namespace

void record_non_finite(real* noted, const real* values, std::int64_t count) {
  if (count == 0) return;
  SERENADE_LAUNCH(not_finite, dim3(1), dim3(kLoopThreads), 0, current_stream(), noted, values,
                  count);
}

void adam_step(const AdamTensor* tensors, std::int64_t count, const AdamStep& options) {
  std::vector<AdamEntry> table;
  std::int64_t blocks = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const AdamTensor& t = tensors[i];
    if (t.count == 0) continue;
    const double step = static_cast<double>(t.step);
    const double correction1 = 1 - std::pow(options.beta1, step);
    const double correction2 = 1 - std::pow(options.beta2, step);
    const bool wide = is_vec4_aligned(t.parameter) && is_vec4_aligned(t.m) &&
                      is_vec4_aligned(t.v) && is_vec4_aligned(t.gradient);
    table.push_back({t.parameter, t.m, t.v, t.gradient, t.count, blocks,
                     static_cast<real>(options.learning_rate / correction1),
                     static_cast<real>(1 / std::sqrt(correction2)), wide});
    blocks += (t.count + kPiece - 1) / kPiece;
  }
  if (blocks == 0) return;
  const AdamConstants constants{
      static_cast<real>(options.epsilon),
      static_cast<real>(options.decoupled ? 0 : options.weight_decay),
      static_cast<real>(options.decoupled ? 1 - options.learning_rate * options.weight_decay : 1),
      static_cast<real>(options.beta1),
      static_cast<real>(options.beta2),
      static_cast<real>(1 - options.beta1),
      static_cast<real>(1 - options.beta2)};
  const OnDevice<AdamEntry> uploaded(table.data(), static_cast<std::int64_t>(table.size()));
  SERENADE_LAUNCH(adam, dim3(static_cast<unsigned>(blocks)), dim3(kLoopThreads), 0,
                  current_stream(), uploaded.data(), static_cast<int>(table.size()),
                  options.stopped, constants);
}

void sgd_step(real* parameter, real* velocity, const real* gradient, std::int64_t count,
              const SgdStep& options) {
  if (count == 0) return;
  const SgdConstants constants{static_cast<real>(options.learning_rate),
                               static_cast<real>(options.momentum),
                               static_cast<real>(options.weight_decay), options.nesterov};
  SERENADE_LAUNCH(sgd, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), parameter,
                  velocity, gradient, count, options.stopped, constants);
}

void rmsprop_step(real* parameter, real* square, real* mean, real* velocity, const real* gradient,
                  std::int64_t count, const RmspropStep& options) {
  if (count == 0) return;
  const RmspropConstants constants{
      static_cast<real>(options.learning_rate), static_cast<real>(options.alpha),
      static_cast<real>(1 - options.alpha),     static_cast<real>(options.epsilon),
      static_cast<real>(options.momentum),      static_cast<real>(options.weight_decay)};
  SERENADE_LAUNCH(rmsprop, loop_grid(count), dim3(kLoopThreads), 0, current_stream(), parameter,
                  square, mean, velocity, gradient, count, options.stopped, constants);
}

}  // namespace serenade::cuda
