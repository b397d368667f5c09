#pragma once
// Merging the candidate convolutions of one searched layer into a single kernel. Convolution is
// linear, so the mixture of Wu et al. (ICASSP 2022, Eq. 1), before its ReLU,
//
//   sum_i c_i conv(x; W_i)  =  conv(x; U)   with   U = sum_i c_i pad_i(W_i),
//
// where pad_i puts W_i at its offset in the union box. Gradients: dW_i = c_i crop_i(dU) and
// dc_i = <W_i, crop_i(dU)>, exact for every candidate.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// One candidate that takes part. The struct and the arrays of it live in host memory, the arrays
/// they point to on the device.
struct MixedCandidate {
  const real* weight = nullptr;  ///< [planes, kernel_h, kernel_w]
  real* dweight = nullptr;       ///< the same; backward only; null where not wanted
  std::int64_t kernel_h = 1;
  std::int64_t kernel_w = 1;
  std::int64_t offset_h = 0;  ///< of its corner in the union box
  std::int64_t offset_w = 0;
  std::int64_t coefficient = 0;  ///< its index into the coefficients
};

/// merged = sum_i c_i pad_i(W_i). merged: [planes, height, width] (planes = output times input
/// channels); candidates: `count` of them; coefficients: any number, each candidate names its own.
DECLARE_KERNEL(void mixed_kernel_forward(real* merged, const MixedCandidate* candidates,
                                         std::int64_t count, const real* coefficients,
                                         std::int64_t planes, std::int64_t height,
                                         std::int64_t width));

/// Adds to every dweight that is not null and, unless null, to dcoefficients.
/// dmerged: [planes, height, width].
DECLARE_KERNEL(void mixed_kernel_backward(real* dcoefficients, const MixedCandidate* candidates,
                                          std::int64_t count, const real* dmerged,
                                          const real* coefficients, std::int64_t planes,
                                          std::int64_t height, std::int64_t width));

}  // namespace serenade
