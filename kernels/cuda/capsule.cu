// Routing and the capsule layer: which step of the ladder (capsule_versions.h) a shape gets.

#include "kernels/capsule.h"

#include "kernels/cuda/capsule_versions.h"

namespace serenade::cuda {

void capsule_routing_forward(real* v, real* s, const real* u_hat, const real* bias,
                             const CapsuleShape& shape) {
  capsule_routing_forward_v0_definition(v, s, u_hat, bias, shape);
}

void capsule_routing_backward(real* du_hat, real* dbias, const real* dv, const real* s,
                              const real* u_hat, const CapsuleShape& shape) {
  capsule_routing_backward_v0_definition(du_hat, dbias, dv, s, u_hat, shape);
}

void capsule_layer_forward(real* v, real* s, const real* u, const real* weight, const real* bias,
                           const CapsuleShape& shape) {
  if (recomputes_votes(u, weight, shape)) {
    return capsule_layer_forward_v2_recomputed_votes(v, s, u, weight, bias, shape);
  }
  capsule_layer_forward_v0_stored_votes(v, s, u, weight, bias, shape);
}

void capsule_layer_backward(real* du, real* dweight, real* dbias, const real* dv, const real* s,
                            const real* u, const real* weight, const CapsuleShape& shape) {
  if (recomputes_votes(u, weight, shape)) {
    return capsule_layer_backward_v2_recomputed_votes(du, dweight, dbias, dv, s, u, weight, shape);
  }
  capsule_layer_backward_v0_stored_votes(du, dweight, dbias, dv, s, u, weight, shape);
}

}  // namespace serenade::cuda
