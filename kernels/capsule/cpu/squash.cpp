// Squash and capsule norms (formulas and shapes: kernels/capsule/squash.h). One capsule at a time:
// the plain version is the version in use.

#include "kernels/capsule/squash.h"

#include <cmath>

#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

real squared_length(const real* v, std::int64_t size) {
  real n2 = 0;
  for (std::int64_t k = 0; k < size; ++k) n2 += v[k] * v[k];
  return n2;
}

real length(const real* v, std::int64_t size) {
  return std::sqrt(squared_length(v, size) + static_cast<real>(kSquashEpsilon));
}

void add_norm_gradient(real* dv, real dnorm, const real* v, std::int64_t size) {
  const real factor = dnorm / length(v, size);
  for (std::int64_t k = 0; k < size; ++k) dv[k] += factor * v[k];
}

}  // namespace

void squash_forward(real* v, const real* s, std::int64_t count, std::int64_t size) {
  parallel_items(count, size, [&](std::int64_t i) {
    const real* from = s + i * size;
    real* to = v + i * size;
    const real n2 = squared_length(from, size);
    const real f = n2 / ((1 + n2) * std::sqrt(n2 + static_cast<real>(kSquashEpsilon)));
    for (std::int64_t k = 0; k < size; ++k) to[k] = f * from[k];
  });
}

void squash_backward(real* ds, const real* dv, const real* s, std::int64_t count,
                     std::int64_t size) {
  parallel_items(count, size, [&](std::int64_t i) {
    const real* at = s + i * size;
    const real* from = dv + i * size;
    real* to = ds + i * size;
    const real n2 = squared_length(at, size);
    const real padded = n2 + static_cast<real>(kSquashEpsilon);
    const real g = 1 / ((1 + n2) * std::sqrt(padded));  // f = n2 g
    // f' = g (1 - n2 / (1 + n2) - n2 / (2 (n2 + eps))), written so that n2 = 0 divides nothing.
    const real slope = g * (1 / (1 + n2) - real(0.5) * n2 / padded);
    real dot = 0;
    for (std::int64_t k = 0; k < size; ++k) dot += at[k] * from[k];
    for (std::int64_t k = 0; k < size; ++k) to[k] += n2 * g * from[k] + 2 * slope * dot * at[k];
  });
}

void capsule_norm_forward(real* lengths, const real* v, std::int64_t count, std::int64_t size) {
  parallel_items(count, size, [&](std::int64_t i) { lengths[i] = length(v + i * size, size); });
}

void capsule_norm_backward(real* dv, const real* dnorms, const real* v, std::int64_t count,
                           std::int64_t size) {
  parallel_items(count, size, [&](std::int64_t i) {
    add_norm_gradient(dv + i * size, dnorms[i], v + i * size, size);
  });
}

void append_norms_forward(real* y, const real* v, std::int64_t rows, std::int64_t capsules,
                          std::int64_t size) {
  const std::int64_t values = capsules * size;
  parallel_items(rows, values, [&](std::int64_t row) {
    const real* from = v + row * values;
    real* to = y + row * (values + capsules);
    for (std::int64_t k = 0; k < values; ++k) to[k] = from[k];
    for (std::int64_t j = 0; j < capsules; ++j) to[values + j] = length(from + j * size, size);
  });
}

void append_norms_backward(real* dv, const real* dy, const real* v, std::int64_t rows,
                           std::int64_t capsules, std::int64_t size) {
  const std::int64_t values = capsules * size;
  parallel_items(rows, values, [&](std::int64_t row) {
    const real* from = dy + row * (values + capsules);
    real* to = dv + row * values;
    for (std::int64_t k = 0; k < values; ++k) to[k] += from[k];
    for (std::int64_t j = 0; j < capsules; ++j) {
      add_norm_gradient(to + j * size, from[values + j], v + row * values + j * size, size);
    }
  });
}

}  // namespace serenade::cpu
