// v0 of routing: the procedure of Sabour et al. (2017) line by line, each line a kernel with one
// thread per element, logits and every iteration's coefficients in memory; and its derivative by
// the chain rule. Formulas and shapes: kernels/capsule/capsule.h. Any sizes.
//
// Every iteration reads the votes twice forward (47 MB each time for the paper's 144 windows) and
// four times backward, and launches 4 and 5 kernels.

#include "kernels/capsule/cuda/steps.cuh"
#include "kernels/capsule/cuda/versions.h"

namespace serenade::cuda {
namespace {

/// b = u_hat . (sum of earlier v). b: [N, I, J]; earlier: sample n at n * stride, [J, O].
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_logits(GlobalPointer<real> b, GlobalPointer<const real> u_hat,
                   GlobalPointer<const real> earlier, std::int64_t stride,
                   GlobalPointer<const std::int64_t> lengths, CapsuleSizes p) {
  const std::int64_t nij = capsule_thread();
  if (nij >= p.N * p.I * p.J) return;
  const std::int64_t n = nij / (p.I * p.J), i = nij / p.J % p.I, j = nij % p.J;
  real sum = 0;
  if (i < p.valid(lengths, n)) {  // others are not read
    for (std::int64_t o = 0; o < p.O; ++o) {
      const real vote = u_hat[nij * p.O + o], e = earlier[n * stride + j * p.O + o];
      sum += vote * e;
    }
  }
  b[nij] = sum;
}

/// c = softmax over j of b, in place; 0 for masked capsules. One thread per
/// input capsule.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_softmax(GlobalPointer<real> c, GlobalPointer<const std::int64_t> lengths,
                    CapsuleSizes p) {
  const std::int64_t ni = capsule_thread();
  if (ni >= p.N * p.I) return;
  const bool counts = ni % p.I < p.valid(lengths, ni / p.I);
  real largest = c[ni * p.J];
  for (std::int64_t j = 1; j < p.J; ++j) {
    const real b = c[ni * p.J + j];
    largest = b > largest ? b : largest;
  }
  real sum = 0;
  for (std::int64_t j = 0; j < p.J; ++j) {
    const real b = c[ni * p.J + j], e = exp(b - largest);
    sum += e;
    c[ni * p.J + j] = e;
  }
  for (std::int64_t j = 0; j < p.J; ++j) {
    const real e = c[ni * p.J + j];
    c[ni * p.J + j] = counts ? e / sum : 0;
  }
}

/// The sum over input capsules of factor u_hat. One thread per element of [N, J, O].
__device__ real weighted_sum(GlobalPointer<const real> factor, GlobalPointer<const real> u_hat,
                             std::int64_t njo, std::int64_t valid, const CapsuleSizes& p) {
  const std::int64_t JO = p.J * p.O, n = njo / JO, k = njo % JO, j = k / p.O;
  real sum = 0;
  for (std::int64_t i = 0; i < valid; ++i) {
    const real c = factor[(n * p.I + i) * p.J + j], vote = u_hat[(n * p.I + i) * JO + k];
    sum += c * vote;
  }
  return sum;
}

/// s of iteration t = sum_i c u_hat + bias. s: [N, R, J, O].
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_weigh(GlobalPointer<real> s, GlobalPointer<const real> c,
                  GlobalPointer<const real> u_hat, GlobalPointer<const real> bias, std::int64_t t,
                  GlobalPointer<const std::int64_t> lengths, CapsuleSizes p) {
  const std::int64_t njo = capsule_thread(), JO = p.J * p.O;
  if (njo >= p.N * JO) return;
  const std::int64_t n = njo / JO, k = njo % JO;
  const real start = bias ? static_cast<real>(bias[k]) : real(0);
  s[(n * p.R + t) * JO + k] = start + weighted_sum(c, u_hat, njo, p.valid(lengths, n), p);
}

/// v = squash(s of iteration t), which joins the sum of earlier ones. v, earlier: [N, J, O].
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_agree(GlobalPointer<real> v, GlobalPointer<real> earlier, GlobalPointer<const real> s,
                  std::int64_t t, CapsuleSizes p) {
  const std::int64_t nj = capsule_thread();
  if (nj >= p.N * p.J) return;
  const std::int64_t at = ((nj / p.J * p.R + t) * p.J + nj % p.J) * p.O;
  real n2 = 0;
  for (std::int64_t o = 0; o < p.O; ++o) {
    const real x = s[at + o];
    n2 += x * x;
  }
  const real f = squash_factor(n2);
  for (std::int64_t o = 0; o < p.O; ++o) {
    const real x = s[at + o];
    v[nj * p.O + o] = f * x;
    earlier[nj * p.O + o] += f * x;
  }
}

/// The gradient of the logits: c (dc - sum_j c dc) with dc = u_hat . ds. db: [N, I, J]; ds of
/// iteration t in [N, R, J, O]. One thread per input capsule.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_logit_gradient(GlobalPointer<real> db, GlobalPointer<const real> c,
                           GlobalPointer<const real> u_hat, GlobalPointer<const real> ds,
                           std::int64_t t, GlobalPointer<const std::int64_t> lengths,
                           CapsuleSizes p) {
  const std::int64_t ni = capsule_thread(), JO = p.J * p.O;
  if (ni >= p.N * p.I) return;
  const std::int64_t n = ni / p.I;
  if (ni % p.I >= p.valid(lengths, n)) return;
  real mean = 0;
  for (std::int64_t j = 0; j < p.J; ++j) {
    real dc = 0;
    for (std::int64_t o = 0; o < p.O; ++o) {
      const real vote = u_hat[ni * JO + j * p.O + o], d = ds[(n * p.R + t) * JO + j * p.O + o];
      dc += vote * d;
    }
    const real weight = c[ni * p.J + j];
    mean += weight * dc;
    db[ni * p.J + j] = dc;
  }
  for (std::int64_t j = 0; j < p.J; ++j) {
    const real weight = c[ni * p.J + j], dc = db[ni * p.J + j];
    db[ni * p.J + j] = weight * (dc - mean);
  }
}

/// du_hat += c ds, and + db (sum of earlier v) where the logits had a gradient. earlier, ds:
/// [N, R, J, O]. One thread per vote.
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_vote_gradient(GlobalPointer<real> du_hat, GlobalPointer<const real> c,
                          GlobalPointer<const real> db, GlobalPointer<const real> earlier,
                          GlobalPointer<const real> ds, std::int64_t t, bool through_logits,
                          GlobalPointer<const std::int64_t> lengths, CapsuleSizes p) {
  const std::int64_t index = capsule_thread(), JO = p.J * p.O;
  if (index >= p.N * p.I * JO) return;
  const std::int64_t ni = index / JO, k = index % JO, n = ni / p.I, at = (n * p.R + t) * JO + k;
  if (ni % p.I >= p.valid(lengths, n)) return;
  const real weight = c[ni * p.J + k / p.O], d = ds[at];
  real sum = weight * d;
  if (through_logits) {
    const real g = db[ni * p.J + k / p.O], e = earlier[at];
    sum += g * e;
  }
  du_hat[index] += sum;
}

/// dv of the iteration before: every later one has used it. dv: [N, J, O].
__global__ void __launch_bounds__(kCapsuleThreads)
    capsule_agreement_gradient(GlobalPointer<real> dv, GlobalPointer<const real> db,
                               GlobalPointer<const real> u_hat,
                               GlobalPointer<const std::int64_t> lengths, CapsuleSizes p) {
  const std::int64_t njo = capsule_thread(), JO = p.J * p.O;
  if (njo >= p.N * JO) return;
  dv[njo] += weighted_sum(db, u_hat, njo, p.valid(lengths, njo / JO), p);
}

/// c: [N, I, J] of one iteration.
void launch_coefficients(real* c, const real* u_hat, const real* earlier, std::int64_t stride,
                         const std::int64_t* lengths, const CapsuleSizes& p) {
  LAUNCH_CAPSULE_ITEMS(capsule_logits, p.N * p.I * p.J, c, u_hat, earlier, stride, lengths, p);
  LAUNCH_CAPSULE_ITEMS(capsule_softmax, p.N * p.I, c, lengths, p);
}

std::size_t bytes(std::int64_t count) { return static_cast<std::size_t>(count) * sizeof(real); }

}  // namespace

void capsule_routing_forward_v0_definition(real* v, real* s, const real* u_hat, const real* bias,
                                           const CapsuleShape& shape) {
  const CapsuleSizes p(shape);
  const std::int64_t count = p.N * p.J * p.O;
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const DeviceArray<real> c(p.N * p.I * p.J), earlier(count);
  clear(earlier.data(), bytes(count));
  for (std::int64_t t = 0; t < p.R; ++t) {
    launch_coefficients(c.data(), u_hat, earlier.data(), p.J * p.O, lengths.data(), p);
    LAUNCH_CAPSULE_ITEMS(capsule_weigh, count, s, c.data(), u_hat, bias, t, lengths.data(), p);
    LAUNCH_CAPSULE_ITEMS(capsule_agree, p.N * p.J, v, earlier.data(), s, t, p);
  }
}

void capsule_routing_backward_v0_definition(real* du_hat, real* dbias, const real* dv,
                                            const real* s, const real* u_hat,
                                            const CapsuleShape& shape) {
  const CapsuleSizes p(shape);
  const std::int64_t JO = p.J * p.O, count = p.N * JO;
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const DeviceArray<real> c(p.N * p.I * p.J), db(p.N * p.I * p.J), dv_before(count);
  const DeviceArray<real> earlier(p.R * count), ds(p.R * count);
  add_up_earlier(earlier.data(), s, p);
  clear(ds.data(), bytes(p.R * count));
  clear(dv_before.data(), bytes(count));
  for (std::int64_t t = p.R - 1; t >= 0; --t) {
    const bool through_logits = t > 0 && !shape.last_only;
    squash_gradient(ds.data(), t == p.R - 1 ? dv : dv_before.data(), s, t, p);
    launch_coefficients(c.data(), u_hat, earlier.data() + t * JO, p.R * JO, lengths.data(), p);
    if (through_logits) {
      LAUNCH_CAPSULE_ITEMS(capsule_logit_gradient, p.N * p.I, db.data(), c.data(), u_hat, ds.data(),
                           t, lengths.data(), p);
    }
    if (du_hat != nullptr) {
      LAUNCH_CAPSULE_ITEMS(capsule_vote_gradient, p.N * p.I * JO, du_hat, c.data(), db.data(),
                           earlier.data(), ds.data(), t, through_logits, lengths.data(), p);
    }
    if (!through_logits) break;
    LAUNCH_CAPSULE_ITEMS(capsule_agreement_gradient, count, dv_before.data(), db.data(), u_hat,
                         lengths.data(), p);
  }
  if (dbias != nullptr) bias_gradient(dbias, ds.data(), p);
}

void capsule_layer_forward_v0_stored_votes(real* v, real* s, const real* u, const real* weight,
                                           const real* bias, const CapsuleShape& p) {
  const DeviceArray<real> u_hat(p.N * p.I * p.J * p.O);
  capsule_votes_forward(u_hat.data(), u, weight, p);
  capsule_routing_forward_v0_definition(v, s, u_hat.data(), bias, p);
}

void capsule_layer_backward_v0_stored_votes(real* du, real* dweight, real* dbias, const real* dv,
                                            const real* s, const real* u, const real* weight,
                                            const CapsuleShape& p) {
  const std::int64_t votes = p.N * p.I * p.J * p.O;
  const DeviceArray<real> u_hat(votes), du_hat(votes);
  clear(du_hat.data(), bytes(votes));
  capsule_votes_forward(u_hat.data(), u, weight, p);
  capsule_routing_backward_v0_definition(du_hat.data(), dbias, dv, s, u_hat.data(), p);
  capsule_votes_backward(du, dweight, du_hat.data(), u, weight, p);
}

// c is only inspected: the definition is the version in use.
void capsule_routing_coefficients(real* c, const real* u_hat, const real* s,
                                  const CapsuleShape& shape) {
  const CapsuleSizes p(shape);
  const std::int64_t JO = p.J * p.O;
  const OnDevice<std::int64_t> lengths(shape.lengths, p.N);
  const DeviceArray<real> earlier(p.N * p.R * JO);
  add_up_earlier(earlier.data(), s, p);
  for (std::int64_t t = 0; t < p.R; ++t) {
    launch_coefficients(c + t * p.N * p.I * p.J, u_hat, earlier.data() + t * JO, p.R * JO,
                        lengths.data(), p);
  }
}

}  // namespace serenade::cuda
