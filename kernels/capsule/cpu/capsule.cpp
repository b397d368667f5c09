// v1 of routing (definition: kernels/capsule/cpu/definition.cpp; formulas and shapes:
// kernels/capsule/capsule.h).
//
// What makes it fast, on top of the inner loops of capsule_simd.h:
//   * Votes are recomputed, never stored: those of a few samples stay in the cache through all
//     iterations. Logits are recomputed from u_hat . (sum of earlier v).
//   * The backward of the layer goes over a chunk of samples twice. First by sample, to find ds of
//     every iteration; then by block of input capsules, so that one thread owns a block of dW,
//     which stays in its cache. No partial sums, and the same bits for any thread count. In between
//     only c and the gradient of the logits are kept, 2 (R - 1) values for every O votes: the
//     gradient of the votes is linear in them, so that the votes are predicted once only.

#include "kernels/capsule/capsule.h"

#include <algorithm>
#include <vector>

#include "kernels/capsule/cpu/capsule_simd.h"
#include "kernels/capsule/squash.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(CapsuleSimd, capsule_simd);

namespace {

/// The sizes of one call in units of the inner loops.
struct Plan {
  const CapsuleShape& p;
  const CapsuleSimd& simd = capsule_simd();
  std::int64_t lanes = simd.lanes;
  std::int64_t JO = p.J * p.O;
  std::int64_t blocks = ceil_div(p.I, lanes);
  std::int64_t groups = ceil_div(p.N, kCapsuleGroup);
  std::int64_t block_votes = JO * lanes;           // votes of one block
  std::int64_t block_u = p.D * lanes;              // input capsules of one block
  std::int64_t block_weights = p.D * block_votes;  // weights of one block
  std::int64_t work = kCapsuleGroup * p.J * (p.O + 2) * lanes;

  std::int64_t group_size(std::int64_t group) const {
    return std::min(kCapsuleGroup, p.N - group * kCapsuleGroup);
  }
  /// Blocks that hold a valid input capsule of sample n, or of any sample of a group.
  std::int64_t sample_blocks(std::int64_t n) const { return ceil_div(p.valid(n), lanes); }
  std::int64_t group_blocks(std::int64_t group) const {
    std::int64_t most = 0;
    for (std::int64_t g = 0; g < group_size(group); ++g) {
      most = std::max(most, sample_blocks(group * kCapsuleGroup + g));
    }
    return most;
  }
  /// c and the gradient of the logits of that many blocks, in one iteration.
  std::int64_t coefficients(std::int64_t count) const { return count * 2 * p.J * lanes; }
  CapsuleTile tile(std::int64_t count) const { return {count, p.D, p.J, p.O}; }
};

/// to [width][lanes] = `rows` rows of `width` values, one per lane; the other lanes are zeros.
void pack(real* to, const real* from, std::int64_t rows, std::int64_t width, std::int64_t lanes) {
  rows = std::clamp<std::int64_t>(rows, 0, lanes);
  for (std::int64_t k = 0; k < width; ++k) {
    for (std::int64_t lane = 0; lane < rows; ++lane) to[k * lanes + lane] = from[lane * width + k];
    for (std::int64_t lane = rows; lane < lanes; ++lane) to[k * lanes + lane] = 0;
  }
}

/// The opposite, adding: rows beyond `rows` are dropped.
void unpack_add(real* to, const real* from, std::int64_t rows, std::int64_t width,
                std::int64_t lanes) {
  rows = std::clamp<std::int64_t>(rows, 0, lanes);
  for (std::int64_t lane = 0; lane < rows; ++lane) {
    for (std::int64_t k = 0; k < width; ++k) to[lane * width + k] += from[k * lanes + lane];
  }
}

/// packed: [blocks][J D O][lanes].
void pack_weights(real* packed, const real* weight, const Plan& plan) {
  const std::int64_t width = plan.p.D * plan.JO;
  parallel_items(plan.blocks, plan.block_weights, [&](std::int64_t block) {
    const std::int64_t first = block * plan.lanes;
    pack(packed + block * plan.block_weights, weight + first * width, plan.p.I - first, width,
         plan.lanes);
  });
}

/// packed: [blocks][group_size][D][lanes] of one group of samples.
void pack_inputs(real* packed, const real* u, std::int64_t group, std::int64_t blocks,
                 const Plan& plan) {
  const std::int64_t size = plan.group_size(group);
  for (std::int64_t block = 0; block < blocks; ++block) {
    const std::int64_t first = block * plan.lanes;
    for (std::int64_t g = 0; g < size; ++g, packed += plan.block_u) {
      const std::int64_t n = group * kCapsuleGroup + g;
      pack(packed, u + (n * plan.p.I + first) * plan.p.D, plan.p.valid(n) - first, plan.p.D,
           plan.lanes);
    }
  }
}

/// packed: [blocks][J O][lanes] of one sample.
void pack_votes(real* packed, const real* u_hat, std::int64_t n, const Plan& plan) {
  for (std::int64_t block = 0; block < plan.sample_blocks(n); ++block) {
    const std::int64_t first = block * plan.lanes;
    pack(packed + block * plan.block_votes, u_hat + (n * plan.p.I + first) * plan.JO,
         plan.p.valid(n) - first, plan.JO, plan.lanes);
  }
}

/// The iterations of one sample. s: [R, J, O], whose first row holds the sum of the votes.
void iterate(real* v, real* s, const real* votes, const real* bias, std::int64_t n,
             const Plan& plan, real* work) {
  const CapsuleShape& p = plan.p;
  std::vector<real> earlier(static_cast<std::size_t>(plan.JO), 0);
  for (std::int64_t t = 0; t < p.iterations; ++t, s += plan.JO) {
    if (t == 0) {
      for (std::int64_t k = 0; k < plan.JO; ++k) s[k] /= static_cast<real>(p.J);
    } else {
      for (std::int64_t k = 0; k < plan.JO; ++k) earlier[static_cast<std::size_t>(k)] += v[k];
      plan.simd.weigh(s, votes, earlier.data(), plan.tile(plan.sample_blocks(n)), work);
    }
    if (bias != nullptr) {
      for (std::int64_t k = 0; k < plan.JO; ++k) s[k] += bias[k];
    }
    squash_forward(v, s, p.J, p.O);
  }
}

/// earlier: [R, J, O] from s: [R, J, O].
void add_up_earlier(real* earlier, const real* s, const CapsuleShape& p) {
  const std::int64_t JO = p.J * p.O;
  std::fill(earlier, earlier + JO, real(0));
  for (std::int64_t t = 1; t < p.iterations; ++t) {
    real* to = earlier + t * JO;
    squash_forward(to, s + (t - 1) * JO, p.J, p.O);
    for (std::int64_t k = 0; k < JO; ++k) to[k] += to[k - JO];
  }
}

/// ds of every iteration of one sample, from the last to the first, and the coefficients that the
/// gradient of its votes needs. ds: [R, J, O], overwritten; coefficients: [R - 1, blocks, 2, J,
/// lanes]; votes: of `blocks` blocks.
void iterate_backward(real* ds, real* coefficients, const real* dv, const real* s,
                      const real* earlier, const real* votes, std::int64_t blocks, const Plan& plan,
                      real* work) {
  const CapsuleShape& p = plan.p;
  const std::int64_t JO = plan.JO, last = p.iterations - 1, stride = plan.coefficients(blocks);
  std::fill(ds, ds + p.iterations * JO, real(0));
  squash_backward(ds + last * JO, dv, s + last * JO, p.J, p.O);
  if (last == 0) return;
  if (p.last_only) {
    return plan.simd.constant_coefficients(coefficients + (last - 1) * stride, votes,
                                           earlier + last * JO, plan.tile(blocks));
  }
  std::vector<real> gradients(static_cast<std::size_t>(2 * JO), 0);
  real* dv_t = gradients.data();
  real* dearlier = dv_t + JO;
  for (std::int64_t t = last; t > 0; --t) {
    plan.simd.logit_gradient(dearlier, coefficients + (t - 1) * stride, votes, earlier + t * JO,
                             ds + t * JO, plan.tile(blocks), work);
    // v of iteration t - 1 is part of the sum that every later iteration has used.
    for (std::int64_t k = 0; k < JO; ++k) dv_t[k] += dearlier[k];
    squash_backward(ds + (t - 1) * JO, dv_t, s + (t - 1) * JO, p.J, p.O);
  }
}

/// What the first part of a backward leaves: [N, R, J, O] each.
struct Terms {
  std::vector<real> earlier, ds;
  std::int64_t R, size;

  explicit Terms(const Plan& plan)
      : earlier(static_cast<std::size_t>(plan.p.N * plan.p.iterations * plan.JO)),
        ds(earlier.size()),
        R(plan.p.iterations),
        size(R * plan.JO) {}

  /// coefficients: of sample n, [R - 1, blocks, 2, J, lanes].
  RoutingTerms of(std::int64_t n, std::int64_t block, const real* coefficients, std::int64_t blocks,
                  const Plan& plan) const {
    return {earlier.data() + n * size,
            ds.data() + n * size,
            R,
            plan.p.last_only,
            coefficients + plan.coefficients(block),
            plan.coefficients(blocks)};
  }
  void fill(std::int64_t n, real* coefficients, const real* dv, const real* s, const real* votes,
            std::int64_t blocks, const Plan& plan, real* work) {
    add_up_earlier(earlier.data() + n * size, s + n * size, plan.p);
    iterate_backward(ds.data() + n * size, coefficients, dv + n * plan.JO, s + n * size,
                     earlier.data() + n * size, votes, blocks, plan, work);
  }
  void add_bias_gradient(real* dbias, std::int64_t JO) const {
    if (dbias == nullptr) return;
    for (std::size_t k = 0; k < ds.size(); ++k) dbias[static_cast<std::int64_t>(k) % JO] += ds[k];
  }
};

}  // namespace

void capsule_routing_forward(real* v, real* s, const real* u_hat, const real* bias,
                             const CapsuleShape& shape) {
  const Plan plan{shape};
  const std::int64_t votes_size = plan.blocks * plan.block_votes;
  const std::int64_t per_thread = votes_size + plan.work;
  real* const memory = scratch(thread_count() * per_thread);
  parallel_items(shape.N, shape.I * plan.JO, [&](std::int64_t n) {
    real* votes = memory + thread_index() * per_thread;
    real* work = votes + votes_size;
    real* s_n = s + n * shape.iterations * plan.JO;
    pack_votes(votes, u_hat, n, plan);
    plan.simd.add_votes(s_n, votes, plan.tile(plan.sample_blocks(n)), work);
    iterate(v + n * plan.JO, s_n, votes, bias, n, plan, work);
  });
}

void capsule_routing_backward(real* du_hat, real* dbias, const real* dv, const real* s,
                              const real* u_hat, const CapsuleShape& shape) {
  const Plan plan{shape};
  const std::int64_t votes_size = plan.blocks * plan.block_votes;
  const std::int64_t coefficients_size = (shape.iterations - 1) * plan.coefficients(plan.blocks);
  const std::int64_t per_thread = votes_size + coefficients_size + plan.block_votes + plan.work;
  real* const memory = scratch(thread_count() * per_thread);
  Terms terms(plan);
  parallel_items(shape.N, shape.I * plan.JO, [&](std::int64_t n) {
    real* votes = memory + thread_index() * per_thread;
    real* coefficients = votes + votes_size;
    real* dvotes = coefficients + coefficients_size;
    real* work = dvotes + plan.block_votes;
    const std::int64_t blocks = plan.sample_blocks(n);
    pack_votes(votes, u_hat, n, plan);
    terms.fill(n, coefficients, dv, s, votes, blocks, plan, work);
    if (du_hat == nullptr) return;
    for (std::int64_t block = 0; block < blocks; ++block) {
      const std::int64_t first = block * plan.lanes;
      plan.simd.vote_gradient(dvotes, terms.of(n, block, coefficients, blocks, plan), plan.tile(1));
      unpack_add(du_hat + (n * shape.I + first) * plan.JO, dvotes, shape.valid(n) - first, plan.JO,
                 plan.lanes);
    }
  });
  terms.add_bias_gradient(dbias, plan.JO);
}

namespace {

/// Shared weights: few of them, and one input capsule per window, so the votes are small too.
void shared_layer_forward(real* v, real* s, const real* u, const real* weight, const real* bias,
                          const CapsuleShape& p) {
  std::vector<real> u_hat(static_cast<std::size_t>(p.N * p.I * p.J * p.O));
  capsule_votes_forward(u_hat.data(), u, weight, p);
  capsule_routing_forward(v, s, u_hat.data(), bias, p);
}

void shared_layer_backward(real* du, real* dweight, real* dbias, const real* dv, const real* s,
                           const real* u, const real* weight, const CapsuleShape& p) {
  const std::int64_t count = p.N * p.I * p.J * p.O;
  std::vector<real> memory(static_cast<std::size_t>(2 * count), 0);
  real* u_hat = memory.data();
  real* du_hat = u_hat + count;
  capsule_votes_forward(u_hat, u, weight, p);
  capsule_routing_backward(du_hat, dbias, dv, s, u_hat, p);
  capsule_votes_backward(du, dweight, du_hat, u, weight, p);
}

/// Coefficients kept between the two parts: so many samples go together that they stay close to the
/// cores (2.6 MB in float: 16 samples with 1,280 input capsules, or all 144 with 80). With four
/// times as many the second part is a third slower; with fewer, dW is read and written more often.
constexpr std::int64_t kKeptCoefficients = 655'360;

/// Blocks of input capsules whose second part goes together, where there are enough of them to
/// share out: their coefficients lie side by side in a page.
constexpr std::int64_t kBlockStep = 4, kMinBlocks = 32;

/// The layer's backward in chunks of samples.
struct LayerBackward {
  const Plan plan;
  std::int64_t group_u = kCapsuleGroup * plan.blocks * plan.block_u;
  std::int64_t sample_coefficients = (plan.p.iterations - 1) * plan.coefficients(plan.blocks);
  std::int64_t chunk = groups_together();
  Terms terms{plan};

  real* packed_weight = nullptr;  ///< [blocks][J D O][lanes]
  real* packed_dweight = nullptr;
  real* packed_u = nullptr;      ///< [groups of a chunk][blocks][group_size][D][lanes]
  real* coefficients = nullptr;  ///< [samples of a chunk][R - 1, blocks, 2, J, lanes]
  real* memory = nullptr;        ///< per thread
  std::int64_t per_thread = 0;

  explicit LayerBackward(const CapsuleShape& shape) : plan{shape} {
    const std::int64_t weights = plan.blocks * plan.block_weights;
    const std::int64_t inputs = chunk * group_u;
    const std::int64_t all_coefficients = chunk * kCapsuleGroup * sample_coefficients;
    const std::int64_t first_part = kCapsuleGroup * plan.blocks * plan.block_votes;
    const std::int64_t second_part = kCapsuleGroup * (plan.block_votes + plan.block_u);
    per_thread = plan.work + std::max(first_part, second_part);
    packed_weight = scratch(2 * weights + inputs + all_coefficients + thread_count() * per_thread);
    packed_dweight = packed_weight + weights;
    packed_u = packed_dweight + weights;
    coefficients = packed_u + inputs;
    memory = coefficients + all_coefficients;
  }

  std::int64_t groups_together() const {
    const std::int64_t of_group = std::max<std::int64_t>(1, kCapsuleGroup * sample_coefficients);
    return std::max<std::int64_t>(1, std::min(kKeptCoefficients / of_group, plan.groups));
  }

  real* coefficients_of(std::int64_t group, std::int64_t g) const {
    return coefficients + (group % chunk * kCapsuleGroup + g) * sample_coefficients;
  }

  /// First part, for one group: its ds of every iteration and its coefficients.
  void find_terms(std::int64_t group, const real* dv, const real* s, const real* u) {
    real* work = memory + thread_index() * per_thread;
    real* votes = work + plan.work;
    real* u_group = packed_u + group % chunk * group_u;
    const std::int64_t size = plan.group_size(group), blocks = plan.group_blocks(group);
    pack_inputs(u_group, u, group, blocks, plan);
    if (plan.p.iterations > 1) {
      plan.simd.predict(votes, nullptr, u_group, packed_weight, size, plan.tile(blocks), work);
    }
    for (std::int64_t g = 0; g < size; ++g) {
      terms.fill(group * kCapsuleGroup + g, coefficients_of(group, g), dv, s,
                 votes + g * blocks * plan.block_votes, blocks, plan, work);
    }
  }

  /// Second part, for some blocks of input capsules and groups: dW of the blocks (added to what
  /// earlier chunks left, handed over after the last) and du of their capsules.
  void spread(real* du, real* dweight, std::int64_t first_block, std::int64_t last_block,
              std::int64_t first_group, std::int64_t last_group) {
    if (first_group == 0) {
      std::fill(packed_dweight + first_block * plan.block_weights,
                packed_dweight + last_block * plan.block_weights, real(0));
    }
    for (std::int64_t group = first_group; group < last_group; ++group) {
      const std::int64_t end = std::min(last_block, plan.group_blocks(group));
      for (std::int64_t block = first_block; block < end; ++block) spread(du, block, group);
    }
    if (dweight == nullptr || last_group < plan.groups) return;
    const std::int64_t width = plan.p.D * plan.JO;
    for (std::int64_t block = first_block; block < last_block; ++block) {
      const std::int64_t first = block * plan.lanes;
      unpack_add(dweight + first * width, packed_dweight + block * plan.block_weights,
                 plan.p.I - first, width, plan.lanes);
    }
  }

  void spread(real* du, std::int64_t block, std::int64_t group) {
    const CapsuleShape& p = plan.p;
    real* dvotes = memory + thread_index() * per_thread + plan.work;
    real* du_group = dvotes + kCapsuleGroup * plan.block_votes;
    const std::int64_t size = plan.group_size(group), blocks = plan.group_blocks(group);
    for (std::int64_t g = 0; g < size; ++g) {
      plan.simd.vote_gradient(
          dvotes + g * plan.block_votes,
          terms.of(group * kCapsuleGroup + g, block, coefficients_of(group, g), blocks, plan),
          plan.tile(1));
    }
    const real* u_block = packed_u + group % chunk * group_u + block * size * plan.block_u;
    plan.simd.predict_gradient(du_group, packed_dweight + block * plan.block_weights, dvotes,
                               u_block, packed_weight + block * plan.block_weights, size,
                               plan.tile(1));
    for (std::int64_t g = 0; g < size && du != nullptr; ++g) {
      const std::int64_t n = group * kCapsuleGroup + g, first = block * plan.lanes;
      unpack_add(du + (n * p.I + first) * p.D, du_group + g * plan.block_u, p.valid(n) - first, p.D,
                 plan.lanes);
    }
  }
};

}  // namespace

void capsule_layer_forward(real* v, real* s, const real* u, const real* weight, const real* bias,
                           const CapsuleShape& shape) {
  if (shape.shared_weight) return shared_layer_forward(v, s, u, weight, bias, shape);
  const Plan plan{shape};
  const std::int64_t inputs = kCapsuleGroup * plan.blocks * plan.block_u;
  const std::int64_t votes_size = kCapsuleGroup * plan.blocks * plan.block_votes;
  const std::int64_t sums_size = kCapsuleGroup * plan.JO;
  const std::int64_t per_thread = inputs + votes_size + plan.work;
  real* const packed_weight =
      scratch(plan.blocks * plan.block_weights + thread_count() * per_thread);
  real* const memory = packed_weight + plan.blocks * plan.block_weights;
  pack_weights(packed_weight, weight, plan);
  parallel_items(plan.groups, kCapsuleGroup * shape.I * plan.JO, [&](std::int64_t group) {
    real* work = memory + thread_index() * per_thread;
    real* packed_u = work + plan.work;
    real* votes = packed_u + inputs;
    const std::int64_t size = plan.group_size(group), blocks = plan.group_blocks(group);
    pack_inputs(packed_u, u, group, blocks, plan);
    std::vector<real> sums(static_cast<std::size_t>(sums_size));
    plan.simd.predict(votes, sums.data(), packed_u, packed_weight, size, plan.tile(blocks), work);
    for (std::int64_t g = 0; g < size; ++g) {
      const std::int64_t n = group * kCapsuleGroup + g;
      real* s_n = s + n * shape.iterations * plan.JO;
      std::copy_n(sums.data() + g * plan.JO, plan.JO, s_n);
      iterate(v + n * plan.JO, s_n, votes + g * blocks * plan.block_votes, bias, n, plan, work);
    }
  });
}

void capsule_layer_backward(real* du, real* dweight, real* dbias, const real* dv, const real* s,
                            const real* u, const real* weight, const CapsuleShape& shape) {
  if (shape.shared_weight) {
    return shared_layer_backward(du, dweight, dbias, dv, s, u, weight, shape);
  }
  LayerBackward backward(shape);
  const Plan& plan = backward.plan;
  pack_weights(backward.packed_weight, weight, plan);
  for (std::int64_t begin = 0; begin < plan.groups; begin += backward.chunk) {
    const std::int64_t end = std::min(plan.groups, begin + backward.chunk);
    parallel_items(end - begin, kCapsuleGroup * shape.I * plan.JO,
                   [&](std::int64_t i) { backward.find_terms(begin + i, dv, s, u); });
    if (du == nullptr && dweight == nullptr) continue;
    const std::int64_t step = plan.blocks >= kMinBlocks ? kBlockStep : 1;
    parallel_items(ceil_div(plan.blocks, step),
                   step * (end - begin) * kCapsuleGroup * plan.block_votes, [&](std::int64_t i) {
                     backward.spread(du, dweight, i * step, std::min(plan.blocks, (i + 1) * step),
                                     begin, end);
                   });
  }
  backward.terms.add_bias_gradient(dbias, plan.JO);
}

}  // namespace serenade::cpu
