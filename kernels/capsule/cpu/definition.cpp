// v0 of routing: the procedure of Sabour et al. (2017) line by line, with the logits and every
// iteration's coefficients in memory, and its derivative by the chain rule. The definition of what
// capsule.cpp does faster, and the oracle of its tests. Formulas and shapes:
// kernels/capsule/capsule.h.

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/capsule/capsule.h"
#include "kernels/capsule/squash.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

real dot(const real* a, const real* b, std::int64_t size) {
  real sum = 0;
  for (std::int64_t o = 0; o < size; ++o) sum += a[o] * b[o];
  return sum;
}

/// c = softmax of b; both J values.
void softmax(real* c, const real* b, std::int64_t J) {
  const real largest = *std::max_element(b, b + J);
  real sum = 0;
  for (std::int64_t j = 0; j < J; ++j) sum += c[j] = std::exp(b[j] - largest);
  for (std::int64_t j = 0; j < J; ++j) c[j] /= sum;
}

/// What the procedure computes for one sample, step by step.
class Procedure {
 public:
  Procedure(const real* u_hat, std::int64_t valid, const CapsuleShape& shape)
      : p_(shape),
        u_hat_(u_hat),
        valid_(valid),
        b_(static_cast<std::size_t>(p_.I * p_.J), 0),
        c_(static_cast<std::size_t>(p_.iterations * p_.I * p_.J), 0),
        v_(static_cast<std::size_t>(p_.iterations * p_.J * p_.O), 0) {}

  const real* c(std::int64_t t) const { return c_.data() + t * p_.I * p_.J; }
  const real* v(std::int64_t t) const { return v_.data() + t * p_.J * p_.O; }

  /// c = softmax of b; 0 where the input capsule is masked.
  void set_coefficients(std::int64_t t) {
    real* c = c_.data() + t * p_.I * p_.J;
    for (std::int64_t i = 0; i < valid_; ++i) softmax(c + i * p_.J, b_.data() + i * p_.J, p_.J);
  }

  /// s = sum_i c u_hat + bias.
  void add_up(real* s, const real* bias, std::int64_t t) const {
    const std::int64_t JO = p_.J * p_.O;
    for (std::int64_t k = 0; k < JO; ++k) s[k] = bias == nullptr ? 0 : bias[k];
    for (std::int64_t i = 0; i < valid_; ++i) {
      for (std::int64_t k = 0; k < JO; ++k) s[k] += c(t)[i * p_.J + k / p_.O] * u_hat_[i * JO + k];
    }
  }

  /// v = squash(s); b += u_hat . v.
  void agree(const real* s, std::int64_t t) {
    squash_forward(v_.data() + t * p_.J * p_.O, s, p_.J, p_.O);
    for (std::int64_t i = 0; i < valid_; ++i) {
      for (std::int64_t j = 0; j < p_.J; ++j) {
        b_[static_cast<std::size_t>(i * p_.J + j)] +=
            dot(u_hat_ + (i * p_.J + j) * p_.O, v(t) + j * p_.O, p_.O);
      }
    }
  }

 private:
  const CapsuleShape& p_;
  const real* u_hat_;
  std::int64_t valid_;
  std::vector<real> b_;  // [I, J]
  std::vector<real> c_;  // [R, I, J]
  std::vector<real> v_;  // [R, J, O]
};

/// One sample's derivative. du_hat: [I, J, O] and dbias: [J, O], both added to; s: [R, J, O].
void route_backward(real* du_hat, real* dbias, const real* dv_last, const real* s,
                    const real* u_hat, std::int64_t valid, const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O, R = p.iterations;
  Procedure trace(u_hat, valid, p);
  for (std::int64_t t = 0; t < R; ++t) {
    trace.set_coefficients(t);
    trace.agree(s + t * JO, t);
  }
  std::vector<real> db(static_cast<std::size_t>(p.I * p.J), 0);  // of the logits after iteration t
  std::vector<real> dc(static_cast<std::size_t>(p.J));
  std::vector<real> dv(dv_last, dv_last + JO);
  for (std::int64_t t = R - 1; t >= 0; --t) {
    if (t < R - 1) {  // b += u_hat . v
      std::fill(dv.begin(), dv.end(), real(0));
      for (std::int64_t i = 0; i < valid; ++i) {
        for (std::int64_t k = 0; k < JO; ++k) {
          const real db_ij = db[static_cast<std::size_t>(i * p.J + k / p.O)];
          dv[static_cast<std::size_t>(k)] += db_ij * u_hat[i * JO + k];
          du_hat[i * JO + k] += db_ij * trace.v(t)[k];
        }
      }
    }
    std::vector<real> ds(static_cast<std::size_t>(JO), 0);
    squash_backward(ds.data(), dv.data(), s + t * JO, p.J, p.O);
    for (std::int64_t k = 0; k < JO; ++k) dbias[k] += ds[static_cast<std::size_t>(k)];
    for (std::int64_t i = 0; i < valid; ++i) {  // s = sum c u_hat, then c = softmax(b)
      const real* c = trace.c(t) + i * p.J;
      real mean = 0;
      for (std::int64_t j = 0; j < p.J; ++j) {
        const std::int64_t at = (i * p.J + j) * p.O;
        const real* ds_j = ds.data() + j * p.O;
        for (std::int64_t o = 0; o < p.O; ++o) du_hat[at + o] += c[j] * ds_j[o];
        dc[static_cast<std::size_t>(j)] = dot(u_hat + at, ds_j, p.O);
        mean += c[j] * dc[static_cast<std::size_t>(j)];
      }
      for (std::int64_t j = 0; j < p.J; ++j) {
        db[static_cast<std::size_t>(i * p.J + j)] +=
            c[j] * (dc[static_cast<std::size_t>(j)] - mean);
      }
    }
    if (p.last_only) return;
  }
}

}  // namespace

void capsule_routing_forward_v0_definition(real* v, real* s, const real* u_hat, const real* bias,
                                           const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O, R = p.iterations;
  parallel_items(p.N, p.I * JO, [&](std::int64_t n) {
    Procedure procedure(u_hat + n * p.I * JO, p.valid(n), p);
    for (std::int64_t t = 0; t < R; ++t) {
      real* s_t = s + (n * R + t) * JO;
      procedure.set_coefficients(t);
      procedure.add_up(s_t, bias, t);
      procedure.agree(s_t, t);
    }
    std::copy(procedure.v(R - 1), procedure.v(R - 1) + JO, v + n * JO);
  });
}

void capsule_routing_backward_v0_definition(real* du_hat, real* dbias, const real* dv,
                                            const real* s, const real* u_hat,
                                            const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O, votes = p.I * JO;
  std::vector<real> nowhere(du_hat == nullptr ? static_cast<std::size_t>(p.N * votes) : 0);
  std::vector<real> dbias_of(static_cast<std::size_t>(p.N * JO), 0);  // one per sample
  parallel_items(p.N, votes, [&](std::int64_t n) {
    route_backward((du_hat == nullptr ? nowhere.data() : du_hat) + n * votes,
                   dbias_of.data() + n * JO, dv + n * JO, s + n * p.iterations * JO,
                   u_hat + n * votes, p.valid(n), p);
  });
  if (dbias == nullptr) return;
  for (std::int64_t nk = 0; nk < p.N * JO; ++nk) {
    dbias[nk % JO] += dbias_of[static_cast<std::size_t>(nk)];
  }
}

void capsule_layer_forward_v0_stored_votes(real* v, real* s, const real* u, const real* weight,
                                           const real* bias, const CapsuleShape& p) {
  std::vector<real> u_hat(static_cast<std::size_t>(p.N * p.I * p.J * p.O));
  capsule_votes_forward(u_hat.data(), u, weight, p);
  capsule_routing_forward_v0_definition(v, s, u_hat.data(), bias, p);
}

void capsule_layer_backward_v0_stored_votes(real* du, real* dweight, real* dbias, const real* dv,
                                            const real* s, const real* u, const real* weight,
                                            const CapsuleShape& p) {
  std::vector<real> u_hat(static_cast<std::size_t>(p.N * p.I * p.J * p.O));
  std::vector<real> du_hat(u_hat.size(), 0);
  capsule_votes_forward(u_hat.data(), u, weight, p);
  capsule_routing_backward_v0_definition(du_hat.data(), dbias, dv, s, u_hat.data(), p);
  capsule_votes_backward(du, dweight, du_hat.data(), u, weight, p);
}

// Not a step of the ladder: c is only inspected, so the procedure itself is fast enough.
void capsule_routing_coefficients(real* c, const real* u_hat, const real* s,
                                  const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O, R = p.iterations;
  for (std::int64_t n = 0; n < p.N; ++n) {
    Procedure procedure(u_hat + n * p.I * JO, p.valid(n), p);
    for (std::int64_t t = 0; t < R; ++t) {
      procedure.set_coefficients(t);
      procedure.agree(s + (n * R + t) * JO, t);
      std::copy(procedure.c(t), procedure.c(t) + p.I * p.J, c + (t * p.N + n) * p.I * p.J);
    }
  }
}

}  // namespace serenade::cpu
