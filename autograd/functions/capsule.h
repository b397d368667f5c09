#pragma once
// Capsules. Conventions: autograd/functions.h.

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tensor/enum_names.h"

namespace serenade {

/// v = s |s|^2 / ((1 + |s|^2) sqrt(|s|^2 + 1e-12)) over the last axis (Sabour et al. 2017, Eq. 1);
/// value and gradient are 0 at 0.
Variable squash(const Variable& s);
/// sqrt(|v|^2 + 1e-12) over the last axis, which disappears.
Variable capsule_norm(const Variable& v);
/// [.., J, D] to [.., J * D + J]: all values, then all norms.
Variable append_norms(const Variable& v);
/// Votes u_hat[n, i, j, :] = u[n, i, :] W[i, j]. u: [N, I, D]; weight: [I, J, D, O], or [1, J, D,
/// O] shared by all input capsules; result [N, I, J, O].
Variable capsule_votes(const Variable& u, const Variable& weight);

enum class RoutingGradient {
  full,  ///< through every iteration
  last   ///< the logit updates see u_hat as a constant: c of the last iteration counts as constant
};
inline EnumNames<RoutingGradient> enum_names(RoutingGradient) {
  return {{RoutingGradient::full, "full"}, {RoutingGradient::last, "last"}};
}

struct RoutingOptions {
  int iterations = 3;
  RoutingGradient gradient = RoutingGradient::full;
  Indices lengths =
      {};  ///< input capsules at and beyond a sample's length are masked in c; empty: all
};

/// Dynamic routing (Sabour et al. 2017, procedure 1). b = 0; per iteration c = softmax of b over
/// the output capsules j, s_j = sum_i c_ij u_hat_ij + bias_j, v_j = squash(s_j), b_ij += u_hat_ij .
/// v_j (not after the last). u_hat: [N, I, J, O]; bias: [J, O] or undefined; result [N, J, O].
Variable capsule_routing(const Variable& u_hat, const Variable& bias = {},
                         const RoutingOptions& options = {});
/// capsule_routing(capsule_votes(u, weight), bias, options) without keeping the votes.
Variable capsule_layer(const Variable& u, const Variable& weight, const Variable& bias = {},
                       const RoutingOptions& options = {});
/// The coefficients c of every iteration, for inspection: [iterations, N, I, J]. No gradient.
Tensor routing_coefficients(const Tensor& u_hat, const Tensor& bias,
                            const RoutingOptions& options = {});

}  // namespace serenade
