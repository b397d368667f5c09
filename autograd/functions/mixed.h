#pragma once
// Mixed operations of an architecture search. Conventions: autograd/functions.h.

#include <cstdint>
#include <vector>

#include "autograd/variable.h"

namespace serenade {

/// The union kernel sum_i c_i pad(W_i) of stride-1 'same' convolutions. weights: [out, in, KH_i,
/// KW_i] each; coefficients: [n]; result [out, in, max KH, max KW], candidate i at offset
/// ((KH - 1) / 2 - (KH_i - 1) / 2, likewise for width). Exact gradients: dW_i = c_i crop_i(dU),
/// dc_i = <W_i, crop_i(dU)>. Candidates with active[i] == false take no part: they add nothing and
/// neither they nor their coefficient receive a gradient. Empty `active`: all take part.
Variable mixed_kernel(const std::vector<Variable>& weights, const Variable& coefficients,
                      const std::vector<bool>& active = {});
/// The taps of mixed_kernel's result that no active candidate covers, for conv2d: 6 x 6
/// around 5 x 5, 4 x 6 and 6 x 4 has three. 0 where the box has more than 64 taps.
std::uint64_t unused_taps(const std::vector<Variable>& weights,
                          const std::vector<bool>& active = {});
/// sum_i c_i b_i over the active candidates. biases: [d_i] each, shorter ones padded with zeros to
/// the longest; coefficients: [n].
Variable mixed_bias(const std::vector<Variable>& biases, const Variable& coefficients,
                    const std::vector<bool>& active = {});

}  // namespace serenade
