#pragma once
// The steps of the capsule ladder, for tests and benchmarks. Arguments, shapes and formulas:
// kernels/capsule/capsule.h.
//
//   v0 definition     the procedure line by line: logits, coefficients and votes in memory, one
//                     thread per element
//   v0 stored votes   the layer: predict all votes, then route them
//   v1 one block      a block per sample does all iterations in one launch; a lane is an output
//                     capsule of an input capsule
//   v2 recomputed votes
//                     the layer: votes predicted anew in every pass by warps that hold weights in
//                     registers and apply them to many samples; D = J = O = 8

#include "kernels/capsule/capsule.h"

namespace serenade::cuda {

void capsule_routing_forward_v0_definition(real* v, real* s, const real* u_hat, const real* bias,
                                           const CapsuleShape& shape);
void capsule_routing_backward_v0_definition(real* du_hat, real* dbias, const real* dv,
                                            const real* s, const real* u_hat,
                                            const CapsuleShape& shape);

void capsule_layer_forward_v0_stored_votes(real* v, real* s, const real* u, const real* weight,
                                           const real* bias, const CapsuleShape& shape);
void capsule_layer_backward_v0_stored_votes(real* du, real* dweight, real* dbias, const real* dv,
                                            const real* s, const real* u, const real* weight,
                                            const CapsuleShape& shape);

/// Whether v1 can: O 8 or 16, at most 16 output capsules, few iterations, arrays that begin at
/// multiples of 16 bytes. du_hat may be null.
bool routes_in_one_block(const real* u_hat, const real* du_hat, const CapsuleShape& shape);
void capsule_routing_forward_v1_one_block(real* v, real* s, const real* u_hat, const real* bias,
                                          const CapsuleShape& shape);
void capsule_routing_backward_v1_one_block(real* du_hat, real* dbias, const real* dv, const real* s,
                                           const real* u_hat, const CapsuleShape& shape);

/// Whether v2 can: D = J = O = 8, weights of their own, arrays that begin at multiples of 16 bytes.
bool recomputes_votes(const real* u, const real* weight, const CapsuleShape& shape);
void capsule_layer_forward_v2_recomputed_votes(real* v, real* s, const real* u, const real* weight,
                                               const real* bias, const CapsuleShape& shape);
void capsule_layer_backward_v2_recomputed_votes(real* du, real* dweight, real* dbias,
                                                const real* dv, const real* s, const real* u,
                                                const real* weight, const CapsuleShape& shape);

}  // namespace serenade::cuda
