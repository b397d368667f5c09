// Inner loops of routing (what they compute, layout: kernels/capsule/cpu/capsule_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/capsule/cpu/capsule_simd.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const CapsuleSimd capsule_simd;

namespace {

constexpr int kGroup = kCapsuleGroup;
constexpr int kBlocks = 4;  // blocks per step: their share of a sum stays in a register

#ifdef SERENADE_DOUBLE
typedef std::int64_t Integer;
constexpr int kMantissaBits = 52, kExponentBias = 1023;
constexpr int kExpTerms = 13;        // of the Taylor series: 4e-18 on |r| <= ln 2 / 2
constexpr real kExpLowest = -708;    // below, 2^n would leave the normal numbers
constexpr real kRounder = 0x1.8p52;  // x + kRounder - kRounder rounds x to an integer
constexpr real kLn2High = 0x1.62e42fee00000p-1, kLn2Low = 0x1.a39ef35793c76p-33;
#else
typedef std::int32_t Integer;
constexpr int kMantissaBits = 23, kExponentBias = 127;
constexpr int kExpTerms = 7;  // 5e-9
constexpr real kExpLowest = -87;
constexpr real kRounder = 0x1.8p23f;
constexpr real kLn2High = 0x1.62e3p-1f, kLn2Low = 0x1.2fefa2p-17f;
#endif
constexpr real kLog2E = static_cast<real>(1.4426950408889634074);

typedef Integer Integers __attribute__((vector_size(kVectorBytes), may_alias));

[[gnu::always_inline]] inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }

struct ReciprocalFactorials {
  real of[kExpTerms + 1];
  constexpr ReciprocalFactorials() : of() {
    double factorial = 1;
    for (int k = 0; k <= kExpTerms; ++k) {
      if (k > 0) factorial *= k;
      of[k] = static_cast<real>(1 / factorial);
    }
  }
};
constexpr ReciprocalFactorials kReciprocalFactorials;

// exp(x) for x <= 0: 2^n times the Taylor series of exp(x - n ln 2). A NaN stays one.
[[gnu::always_inline]] inline Vector exp_negative(Vector x) {
  const Vector lowest = Vector{} + kExpLowest;
  x = x < lowest ? lowest : x;
  const Vector n = (x * kLog2E + kRounder) - kRounder;
  const Vector r = (x - n * kLn2High) - n * kLn2Low;
  Vector sum = Vector{} + kReciprocalFactorials.of[kExpTerms];
#pragma GCC unroll 16
  for (int k = kExpTerms - 1; k >= 0; --k) sum = sum * r + kReciprocalFactorials.of[k];
  const Integers exponent = __builtin_convertvector(n, Integers) + Integer(kExponentBias);
  const Integers bits = exponent << Integer(kMantissaBits);
  return sum * reinterpret_cast<const Vector&>(bits);
}

// to[k] = the lanes of from[k], added in pairs: the same order for every k.
void fold(real* to, real* from, std::int64_t count) {
  for (std::int64_t k = 0; k < count; ++k, from += kLanes) {
    for (int half = kLanes / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) from[lane] += from[lane + half];
    }
    to[k] = from[0];
  }
}

void clear(real* sums, std::int64_t count) {
  for (std::int64_t k = 0; k < count * kLanes; k += kLanes) store(sums + k, Vector{});
}

// Where the votes of one output capsule and block go: sample g at votes + g * votes_stride, and
// added to sums + g * sums_stride unless sums is null.
struct VotesTo {
  real* votes;
  std::int64_t votes_stride;
  real* sums;
  std::int64_t sums_stride;
};

// `outputs` components from o on, `group` samples. u: [group][D][lane]; weight: [D][O][lane].
template <int group, int outputs>
[[gnu::always_inline]] inline void predict_outputs(const VotesTo& to, const real* u,
                                                   const real* weight, std::int64_t o,
                                                   const CapsuleTile& tile) {
  Vector vote[group][outputs] = {};
  for (std::int64_t d = 0; d < tile.D; ++d) {
    Vector w[outputs];
#pragma GCC unroll 8
    for (int k = 0; k < outputs; ++k) w[k] = load(weight + (d * tile.O + o + k) * kLanes);
#pragma GCC unroll 8
    for (int g = 0; g < group; ++g) {
      const Vector x = load(u + (g * tile.D + d) * kLanes);
#pragma GCC unroll 8
      for (int k = 0; k < outputs; ++k) vote[g][k] += x * w[k];
    }
  }
#pragma GCC unroll 8
  for (int g = 0; g < group; ++g) {
#pragma GCC unroll 8
    for (int k = 0; k < outputs; ++k) {
      store(to.votes + g * to.votes_stride + (o + k) * kLanes, vote[g][k]);
      if (to.sums == nullptr) continue;
      real* sum = to.sums + g * to.sums_stride + (o + k) * kLanes;
      store(sum, load(sum) + vote[g][k]);
    }
  }
}

template <int group>
void predict_group(real* votes, real* sums, const real* u, const real* weight,
                   const CapsuleTile& tile) {
  constexpr int kOutputs = kVectorBytes == 64 ? 4 : 2;  // group * kOutputs sums in registers
  const std::int64_t JO = tile.J * tile.O, block_u = group * tile.D * kLanes;
  for (std::int64_t block = 0; block < tile.blocks; ++block) {
    for (std::int64_t j = 0; j < tile.J; ++j) {
      const std::int64_t capsule = j * tile.O * kLanes;
      const VotesTo to = {votes + block * JO * kLanes + capsule, tile.blocks * JO * kLanes,
                          sums == nullptr ? nullptr : sums + capsule, JO * kLanes};
      const real* w = weight + (block * JO * kLanes + capsule) * tile.D;
      std::int64_t o = 0;
      for (; o + kOutputs <= tile.O; o += kOutputs) {
        predict_outputs<group, kOutputs>(to, u + block * block_u, w, o, tile);
      }
      for (; o < tile.O; ++o) predict_outputs<group, 1>(to, u + block * block_u, w, o, tile);
    }
  }
}

void predict(real* votes, real* sums, const real* u, const real* weight, std::int64_t group,
             const CapsuleTile& tile, real* work) {
  const std::int64_t JO = tile.J * tile.O;
  real* lane_sums = sums == nullptr ? nullptr : work;
  if (sums != nullptr) clear(work, group * JO);
  static_assert(kGroup == 4, "one case per number of samples");
  switch (group) {
    case 1:
      predict_group<1>(votes, lane_sums, u, weight, tile);
      break;
    case 2:
      predict_group<2>(votes, lane_sums, u, weight, tile);
      break;
    case 3:
      predict_group<3>(votes, lane_sums, u, weight, tile);
      break;
    default:
      predict_group<4>(votes, lane_sums, u, weight, tile);
  }
  if (sums != nullptr) fold(sums, work, group * JO);
}

void add_votes(real* sums, const real* votes, const CapsuleTile& tile, real* work) {
  const std::int64_t JO = tile.J * tile.O;
  clear(work, JO);
  for (std::int64_t block = 0; block < tile.blocks; ++block) {
    for (std::int64_t k = 0; k < JO * kLanes; k += kLanes) {
      store(work + k, load(work + k) + load(votes + block * JO * kLanes + k));
    }
  }
  fold(sums, work, JO);
}

// out[q][j] = votes of block q . towards, for `blocks` blocks that follow each other.
template <int blocks>
[[gnu::always_inline]] inline void agreements(real* out, const real* votes, const real* towards,
                                              std::int64_t J, std::int64_t O) {
  for (std::int64_t j = 0; j < J; ++j) {
    Vector sum[blocks] = {};
    for (std::int64_t o = j * O; o < (j + 1) * O; ++o) {
#pragma GCC unroll 4
      for (int q = 0; q < blocks; ++q) {
        sum[q] += load(votes + (q * J * O + o) * kLanes) * towards[o];
      }
    }
#pragma GCC unroll 4
    for (int q = 0; q < blocks; ++q) store(out + (q * J + j) * kLanes, sum[q]);
  }
}

// The same towards two directions, for one loading of the votes.
template <int blocks>
[[gnu::always_inline]] inline void two_agreements(real* out, real* other, const real* votes,
                                                  const real* towards, const real* also,
                                                  std::int64_t J, std::int64_t O) {
  for (std::int64_t j = 0; j < J; ++j) {
    Vector sum[blocks] = {}, second[blocks] = {};
    for (std::int64_t o = j * O; o < (j + 1) * O; ++o) {
#pragma GCC unroll 4
      for (int q = 0; q < blocks; ++q) {
        const Vector vote = load(votes + (q * J * O + o) * kLanes);
        sum[q] += vote * towards[o];
        second[q] += vote * also[o];
      }
    }
#pragma GCC unroll 4
    for (int q = 0; q < blocks; ++q) {
      store(out + (q * J + j) * kLanes, sum[q]);
      store(other + (q * J + j) * kLanes, second[q]);
    }
  }
}

// b[j] = softmax over j of b, lane by lane.
[[gnu::always_inline]] inline void softmax(real* b, std::int64_t J) {
  Vector largest = load(b);
  for (std::int64_t j = 1; j < J; ++j) largest = larger(load(b + j * kLanes), largest);
  Vector sum = {};
  for (std::int64_t j = 0; j < J; ++j) {
    const Vector e = exp_negative(load(b + j * kLanes) - largest);
    store(b + j * kLanes, e);
    sum += e;
  }
  const Vector scale = real(1) / sum;
  for (std::int64_t j = 0; j < J; ++j) store(b + j * kLanes, load(b + j * kLanes) * scale);
}

// dc[j] becomes the gradient of the logits: c_j (dc_j - sum_j' c_j' dc_j').
[[gnu::always_inline]] inline void softmax_gradient(real* dc, const real* c, std::int64_t J) {
  Vector mean = {};
  for (std::int64_t j = 0; j < J; ++j) mean += load(c + j * kLanes) * load(dc + j * kLanes);
  for (std::int64_t j = 0; j < J; ++j) {
    store(dc + j * kLanes, load(c + j * kLanes) * (load(dc + j * kLanes) - mean));
  }
}

// sums[j, o] += sum over blocks of factor[q][j] votes[q][j, o].
template <int blocks>
[[gnu::always_inline]] inline void add_weighted(real* sums, const real* votes, const real* factors,
                                                std::int64_t J, std::int64_t O) {
  for (std::int64_t j = 0; j < J; ++j) {
    Vector factor[blocks];
#pragma GCC unroll 4
    for (int q = 0; q < blocks; ++q) factor[q] = load(factors + (q * J + j) * kLanes);
    for (std::int64_t o = j * O; o < (j + 1) * O; ++o) {
      Vector sum = load(sums + o * kLanes);
#pragma GCC unroll 4
      for (int q = 0; q < blocks; ++q) {
        sum += factor[q] * load(votes + (q * J * O + o) * kLanes);
      }
      store(sums + o * kLanes, sum);
    }
  }
}

template <int blocks>
[[gnu::always_inline]] inline void weigh_blocks(real* sums, real* c, const real* votes,
                                                const real* earlier, std::int64_t J,
                                                std::int64_t O) {
  agreements<blocks>(c, votes, earlier, J, O);
  for (int q = 0; q < blocks; ++q) softmax(c + q * J * kLanes, J);
  add_weighted<blocks>(sums, votes, c, J, O);
}

void weigh(real* sums, const real* votes, const real* earlier, const CapsuleTile& tile,
           real* work) {
  const std::int64_t JO = tile.J * tile.O;
  real* c = work + JO * kLanes;
  clear(work, JO);
  std::int64_t block = 0;
  for (; block + kBlocks <= tile.blocks; block += kBlocks) {
    weigh_blocks<kBlocks>(work, c, votes + block * JO * kLanes, earlier, tile.J, tile.O);
  }
  for (; block < tile.blocks; ++block) {
    weigh_blocks<1>(work, c, votes + block * JO * kLanes, earlier, tile.J, tile.O);
  }
  fold(sums, work, JO);
}

// c and db of `blocks` blocks: [2][J][lane] each, c first.
template <int blocks>
[[gnu::always_inline]] inline void logit_gradient_blocks(real* sums, real* coefficients, real* work,
                                                         const real* votes, const real* earlier,
                                                         const real* ds, std::int64_t J,
                                                         std::int64_t O) {
  real* c = work;
  real* db = work + blocks * J * kLanes;
  two_agreements<blocks>(c, db, votes, earlier, ds, J, O);
  for (int q = 0; q < blocks; ++q) {
    real* c_q = c + q * J * kLanes;
    real* db_q = db + q * J * kLanes;
    softmax(c_q, J);
    softmax_gradient(db_q, c_q, J);
    for (std::int64_t j = 0; j < J * kLanes; j += kLanes) {
      store(coefficients + 2 * q * J * kLanes + j, load(c_q + j));
      store(coefficients + (2 * q + 1) * J * kLanes + j, load(db_q + j));
    }
  }
  add_weighted<blocks>(sums, votes, db, J, O);
}

void logit_gradient(real* dearlier, real* coefficients, const real* votes, const real* earlier,
                    const real* ds, const CapsuleTile& tile, real* work) {
  const std::int64_t JO = tile.J * tile.O;
  real* block_work = work + JO * kLanes;
  clear(work, JO);
  std::int64_t block = 0;
  for (; block + kBlocks <= tile.blocks; block += kBlocks) {
    logit_gradient_blocks<kBlocks>(work, coefficients + 2 * block * tile.J * kLanes, block_work,
                                   votes + block * JO * kLanes, earlier, ds, tile.J, tile.O);
  }
  for (; block < tile.blocks; ++block) {
    logit_gradient_blocks<1>(work, coefficients + 2 * block * tile.J * kLanes, block_work,
                             votes + block * JO * kLanes, earlier, ds, tile.J, tile.O);
  }
  fold(dearlier, work, JO);
}

void constant_coefficients(real* coefficients, const real* votes, const real* earlier,
                           const CapsuleTile& tile) {
  const std::int64_t J = tile.J;
  for (std::int64_t block = 0; block < tile.blocks; ++block, coefficients += 2 * J * kLanes) {
    agreements<1>(coefficients, votes + block * J * tile.O * kLanes, earlier, J, tile.O);
    softmax(coefficients, J);
    clear(coefficients + J * kLanes, J);
  }
}

void vote_gradient(real* dvotes, const RoutingTerms& terms, const CapsuleTile& tile) {
  const bool first_counts = terms.R == 1 || !terms.last_only;
  const std::int64_t begin = terms.last_only && terms.R > 1 ? terms.R - 1 : 1;
  const std::int64_t JO = tile.J * tile.O;
  for (std::int64_t j = 0; j < tile.J; ++j) {
    for (std::int64_t o = j * tile.O; o < (j + 1) * tile.O; ++o) {
      // iteration 1: c = 1 / J
      const real share = first_counts ? terms.ds[o] / static_cast<real>(tile.J) : 0;
      Vector sum = Vector{} + share;
      for (std::int64_t t = begin; t < terms.R; ++t) {
        const real* c = terms.coefficients + (t - 1) * terms.iteration_stride + j * kLanes;
        sum += load(c) * terms.ds[t * JO + o];
        sum += load(c + tile.J * kLanes) * terms.earlier[t * JO + o];
      }
      store(dvotes + o * kLanes, sum);
    }
  }
}

template <int group>
void predict_gradient_group(real* du, real* dweight, const real* dvotes, const real* u,
                            const real* weight, const CapsuleTile& tile) {
  const std::int64_t JO = tile.J * tile.O, DO = tile.D * tile.O;
  for (std::int64_t j = 0; j < tile.J; ++j) {
    const real* dv = dvotes + j * tile.O * kLanes;
    for (std::int64_t d = 0; d < tile.D; ++d) {
      Vector x[group], dx[group];
#pragma GCC unroll 4
      for (int g = 0; g < group; ++g) {
        x[g] = load(u + (g * tile.D + d) * kLanes);
        dx[g] = j == 0 ? Vector{} : load(du + (g * tile.D + d) * kLanes);
      }
      const std::int64_t row = j * DO + d * tile.O;
      for (std::int64_t o = 0; o < tile.O; ++o) {
        const Vector w = load(weight + (row + o) * kLanes);
        Vector dw = load(dweight + (row + o) * kLanes);
#pragma GCC unroll 4
        for (int g = 0; g < group; ++g) {
          const Vector g_o = load(dv + (g * JO + o) * kLanes);
          dw += x[g] * g_o;
          dx[g] += w * g_o;
        }
        store(dweight + (row + o) * kLanes, dw);
      }
#pragma GCC unroll 4
      for (int g = 0; g < group; ++g) store(du + (g * tile.D + d) * kLanes, dx[g]);
    }
  }
}

void predict_gradient(real* du, real* dweight, const real* dvotes, const real* u,
                      const real* weight, std::int64_t group, const CapsuleTile& tile) {
  switch (group) {
    case 1:
      return predict_gradient_group<1>(du, dweight, dvotes, u, weight, tile);
    case 2:
      return predict_gradient_group<2>(du, dweight, dvotes, u, weight, tile);
    case 3:
      return predict_gradient_group<3>(du, dweight, dvotes, u, weight, tile);
    default:
      return predict_gradient_group<4>(du, dweight, dvotes, u, weight, tile);
  }
}

}  // namespace

const CapsuleSimd capsule_simd = {kLanes,        predict,         add_votes,
                                  weigh,         logit_gradient,  constant_coefficients,
                                  vote_gradient, predict_gradient};

}  // namespace serenade::cpu::SERENADE_ISA
