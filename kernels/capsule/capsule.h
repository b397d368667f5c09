#pragma once
// Votes and dynamic routing between capsules (Sabour, Frosst & Hinton 2017, procedure 1).
//
//   votes    u_hat_ij = u_i W_ij                                   i input, j output capsule
//   routing  b_ij = 0; for t = 1 .. R:
//              c_ij = softmax over j of b_ij
//              s_j  = sum_i c_ij u_hat_ij + bias_j
//              v_j  = squash(s_j)                                  kernels/capsule/squash.h
//              b_ij += u_hat_ij . v_j                              not after the last
//   result   v_j of iteration R
//
// Two facts that the fast version uses: c of iteration 1 is 1 / J, and the logits need no
// memory, because b_ij before iteration t is u_hat_ij . (v_j(1) + .. + v_j(t - 1)). All that the
// backward pass has to be given is s of every iteration: N * R * J * O values.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

struct CapsuleShape {
  std::int64_t N = 1;           ///< samples
  std::int64_t I = 1;           ///< input capsules
  std::int64_t D = 1;           ///< size of an input capsule; votes and layer only
  std::int64_t J = 1;           ///< output capsules
  std::int64_t O = 1;           ///< size of an output capsule
  bool shared_weight = false;   ///< one [J, D, O] for all input capsules; votes and layer only
  std::int64_t iterations = 3;  ///< R
  /// Backward: false: the exact derivative. true: c of the last iteration counts as a constant, so
  /// that the logit updates pass no gradient, neither to votes nor to the bias.
  bool last_only = false;
  /// Valid input capsules of each sample, N of 1 .. I, in host memory; null: all I. Those at and
  /// beyond have c = 0 and get no gradient. They are not read, except by the layer with shared
  /// weights, where they must be finite.
  const std::int64_t* lengths = nullptr;

  std::int64_t valid(std::int64_t n) const { return lengths == nullptr ? I : lengths[n]; }
  std::int64_t weights() const { return (shared_weight ? 1 : I) * J * D * O; }
};

/// u_hat: [N, I, J, O]; u: [N, I, D]; weight: [I, J, D, O], or [1, J, D, O] if shared. All input
/// capsules, whatever `lengths`.
DECLARE_KERNEL(void capsule_votes_forward(real* u_hat, const real* u, const real* weight,
                                          const CapsuleShape& shape));

/// du: as u; dweight: as weight; either may be null: not wanted.
DECLARE_KERNEL(void capsule_votes_backward(real* du, real* dweight, const real* du_hat,
                                           const real* u, const real* weight,
                                           const CapsuleShape& shape));

/// v: [N, J, O]; s: [N, R, J, O], s_j of every iteration; u_hat: [N, I, J, O]; bias: [J, O] or
/// null.
DECLARE_KERNEL(void capsule_routing_forward(real* v, real* s, const real* u_hat, const real* bias,
                                            const CapsuleShape& shape));

/// du_hat: as u_hat; dbias: [J, O]; either may be null: not wanted. dv: [N, J, O]; s: as the
/// forward pass wrote it.
DECLARE_KERNEL(void capsule_routing_backward(real* du_hat, real* dbias, const real* dv,
                                             const real* s, const real* u_hat,
                                             const CapsuleShape& shape));

/// c of every iteration, for inspection. c: [R, N, I, J]; s: as the forward pass wrote it.
DECLARE_KERNEL(void capsule_routing_coefficients(real* c, const real* u_hat, const real* s,
                                                 const CapsuleShape& shape));

/// Routing of the votes of u, which are never stored. Arguments as above.
DECLARE_KERNEL(void capsule_layer_forward(real* v, real* s, const real* u, const real* weight,
                                          const real* bias, const CapsuleShape& shape));

/// du: as u; dweight: as weight; dbias: [J, O]; any may be null: not wanted.
DECLARE_KERNEL(void capsule_layer_backward(real* du, real* dweight, real* dbias, const real* dv,
                                           const real* s, const real* u, const real* weight,
                                           const CapsuleShape& shape));

namespace cpu {

/// The definition: the procedure as it stands above, logits and every iteration's c stored. Same
/// arguments. The oracle of the tests.
void capsule_routing_forward_v0_definition(real* v, real* s, const real* u_hat, const real* bias,
                                           const CapsuleShape& shape);
void capsule_routing_backward_v0_definition(real* du_hat, real* dbias, const real* dv,
                                            const real* s, const real* u_hat,
                                            const CapsuleShape& shape);
/// The same with votes stored in memory.
void capsule_layer_forward_v0_stored_votes(real* v, real* s, const real* u, const real* weight,
                                           const real* bias, const CapsuleShape& shape);
void capsule_layer_backward_v0_stored_votes(real* du, real* dweight, real* dbias, const real* dv,
                                            const real* s, const real* u, const real* weight,
                                            const CapsuleShape& shape);

}  // namespace cpu
}  // namespace serenade
