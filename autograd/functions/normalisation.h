#pragma once
// Normalisation. Conventions: autograd/functions.h.

#include <cstdint>
#include <limits>

#include "autograd/variable.h"

namespace serenade {

//
// (x - mean) / sqrt(variance + epsilon) * weight + bias, mean and variance taken over a set of
// elements, the variance with correction 0. weight and bias may be undefined: 1 and 0.

struct BatchNormOptions {
  bool training = false;      ///< take the statistics of x, and move the running ones
  real momentum = real(0.1);  ///< running += momentum (of x - running)
  real epsilon = real(1e-5);
};
/// Over all elements of a channel (Ioffe & Szegedy 2015). x: [N, C, ..]; weight, bias, and the
/// running statistics: [C]. In training the statistics are those of x, and the running ones, if
/// defined, are changed in place, the variance as one with correction 1; a channel then needs two
/// elements. Otherwise the running ones are taken.
Variable batch_norm(const Variable& x, Tensor running_mean, Tensor running_var,
                    const Variable& weight = {}, const Variable& bias = {},
                    const BatchNormOptions& options = {});
/// Over the last axes (Ba et al. 2016), which have the sizes `shape`, as weight and bias have.
Variable layer_norm(const Variable& x, const Shape& shape, const Variable& weight = {},
                    const Variable& bias = {}, real epsilon = real(1e-5));
/// x / sqrt(mean x^2 + epsilon) * weight over the last axes (Zhang & Sennrich 2019).
Variable rms_norm(const Variable& x, const Shape& shape, const Variable& weight = {},
                  real epsilon = std::numeric_limits<real>::epsilon());
/// Over C / groups neighbouring channels of each sample (Wu & He 2018). x: [N, C, ..]; weight,
/// bias: [C].
Variable group_norm(const Variable& x, std::int64_t groups, const Variable& weight = {},
                    const Variable& bias = {}, real epsilon = real(1e-5));
/// Over each channel of each sample (Ulyanov et al. 2016), which needs two elements.
Variable instance_norm(const Variable& x, const Variable& weight = {}, const Variable& bias = {},
                       real epsilon = real(1e-5));

}  // namespace serenade
