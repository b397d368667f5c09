#pragma once
// The passes of normalisation over a stretch of elements, one table per instruction set
// (kernels/runtime/cpu/isa.h). Sums are those of short stretches: the caller adds them up.

#include <cstdint>

#include "kernels/runtime/real.h"
#include "kernels/runtime/write.h"

namespace serenade::cpu {

inline constexpr std::int64_t kNormBlock = 1024;  // elements that are summed in real at most

/// count >= 1 elements in each. weight and bias: [count], or null for 1 and 0.
struct NormalisationSimd {
  /// sums[0] = mean, sums[1] = sum (x - mean)^2.
  void (*moments)(double* sums, const real* x, std::int64_t count);
  /// sums[0] = sum x^2.
  void (*squares)(double* sums, const real* x, std::int64_t count);
  /// y = (x - mean) scale + shift.
  void (*scale)(real* y, const real* x, std::int64_t count, real mean, real scale, real shift);
  /// y = (x - mean) scale weight + bias.
  void (*scale_row)(real* y, const real* x, const real* weight, const real* bias,
                    std::int64_t count, real mean, real scale);
  /// sums[0] = sum g, sums[1] = sum g (x - mean), with g = dy weight.
  void (*products)(double* sums, const real* dy, const real* x, const real* weight,
                   std::int64_t count, real mean);
  /// dx += a dy weight - b (x - mean) - c, or = that.
  void (*backward)(real* dx, const real* dy, const real* x, const real* weight, std::int64_t count,
                   real mean, real a, real b, real c, Write write);
  /// dweight += dy (x - mean) scale, dbias += dy.
  void (*parameters)(real* dweight, real* dbias, const real* dy, const real* x, std::int64_t count,
                     real mean, real scale);
};

/// The table of the active instruction set.
const NormalisationSimd& normalisation_simd();

}  // namespace serenade::cpu
