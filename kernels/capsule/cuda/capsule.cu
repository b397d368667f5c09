// Routing and the capsule layer: which step of the ladder (versions.h) is in use for a shape.

#include "kernels/capsule/capsule.h"

#include "kernels/capsule/cuda/versions.h"
#include "kernels/runtime/cuda/runtime.h"

namespace serenade::cuda {

void capsule_routing_forward(real* v, real* s, const real* u_hat, const real* bias,
                             const CapsuleShape& shape) {
  if (routes_in_one_block(u_hat, nullptr, shape)) {
    return capsule_routing_forward_v1_one_block(v, s, u_hat, bias, shape);
  }
  capsule_routing_forward_v0_definition(v, s, u_hat, bias, shape);
}

void capsule_routing_backward(real* du_hat, real* dbias, const real* dv, const real* s,
                              const real* u_hat, const CapsuleShape& shape) {
  if (routes_in_one_block(u_hat, du_hat, shape)) {
    return capsule_routing_backward_v1_one_block(du_hat, dbias, dv, s, u_hat, shape);
  }
  capsule_routing_backward_v0_definition(du_hat, dbias, dv, s, u_hat, shape);
}

// What v2 cannot do stores its votes. In the systems that is the layer with shared weights, whose
// 9 windows per utterance are few.

void capsule_layer_forward(real* v, real* s, const real* u, const real* weight, const real* bias,
                           const CapsuleShape& shape) {
  if (recomputes_votes(u, weight, shape)) {
    return capsule_layer_forward_v2_recomputed_votes(v, s, u, weight, bias, shape);
  }
  const DeviceArray<real> u_hat(shape.N * shape.I * shape.J * shape.O);
  capsule_votes_forward(u_hat.data(), u, weight, shape);
  capsule_routing_forward(v, s, u_hat.data(), bias, shape);
}

void capsule_layer_backward(real* du, real* dweight, real* dbias, const real* dv, const real* s,
                            const real* u, const real* weight, const CapsuleShape& shape) {
  if (recomputes_votes(u, weight, shape)) {
    return capsule_layer_backward_v2_recomputed_votes(du, dweight, dbias, dv, s, u, weight, shape);
  }
  const std::int64_t votes = shape.N * shape.I * shape.J * shape.O;
  const DeviceArray<real> u_hat(votes), du_hat(votes);
  clear(du_hat.data(), static_cast<std::size_t>(votes) * sizeof(real));
  capsule_votes_forward(u_hat.data(), u, weight, shape);
  capsule_routing_backward(du_hat.data(), dbias, dv, s, u_hat.data(), shape);
  capsule_votes_backward(du, dweight, du_hat.data(), u, weight, shape);
}

}  // namespace serenade::cuda
