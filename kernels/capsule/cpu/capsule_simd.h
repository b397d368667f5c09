#pragma once
// The inner loops of routing, one table per instruction set (kernels/runtime/cpu/isa.h).
//
// A lane is an input capsule. Votes of one sample lie as [block][j][o][lane], with `lanes` input
// capsules to a block; capsules and weights as [block][d][lane] and [block][j][d][o][lane]. Then
// predictions, agreements, the softmax over j and all sums are vertical: no value ever has to move
// to another lane, and the same source serves any vector width. Lanes without an input capsule
// (past the end or masked) hold zeros: their votes are zero, whatever their c, and add nothing.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// Samples that are predicted together, so that a weight once loaded is used for each of them.
inline constexpr std::int64_t kCapsuleGroup = 4;

struct CapsuleTile {
  std::int64_t blocks;  ///< of input capsules
  std::int64_t D;       ///< size of an input capsule
  std::int64_t J;       ///< output capsules
  std::int64_t O;       ///< size of an output capsule
};

/// What the derivative of the votes of one block of one sample is made of.
struct RoutingTerms {
  const real* earlier;  ///< [R, J, O]: sum of the v of earlier iterations, so that b = u_hat . it
  const real* ds;       ///< [R, J, O]
  std::int64_t R;       ///< iterations
  bool last_only;       ///< c of the last iteration is a constant
  /// c and the gradient of the logits of iterations 2 .. R: [2, J, lanes], each `iteration_stride`
  /// reals after the one before.
  const real* coefficients;
  std::int64_t iteration_stride;
};

/// All pointers are aligned to vectors unless they point to single values ([J, O]). `work` holds
/// kCapsuleGroup * J * (O + 2) * lanes reals.
struct CapsuleSimd {
  std::int64_t lanes;

  /// votes[g] = the votes of sample g; sums[g], if not null: [J, O], those votes added over i.
  /// votes: [group, blocks, J, O, lanes]; u: [blocks, group, D, lanes]; group <= kCapsuleGroup.
  void (*predict)(real* votes, real* sums, const real* u, const real* weight, std::int64_t group,
                  const CapsuleTile& tile, real* work);

  /// sums: [J, O], the votes of one sample added over i.
  void (*add_votes)(real* sums, const real* votes, const CapsuleTile& tile, real* work);

  /// sums: [J, O] = sum_i c u_hat with c = softmax over j of u_hat . earlier. earlier: [J, O].
  void (*weigh)(real* sums, const real* votes, const real* earlier, const CapsuleTile& tile,
                real* work);

  /// dearlier: [J, O] = sum_i db u_hat with db the gradient of the logits of `weigh`, where
  /// ds: [J, O] is the gradient of its result. coefficients: [blocks, 2, J, lanes], c and db.
  void (*logit_gradient)(real* dearlier, real* coefficients, const real* votes, const real* earlier,
                         const real* ds, const CapsuleTile& tile, real* work);

  /// The same coefficients where c is a constant: db = 0.
  void (*constant_coefficients)(real* coefficients, const real* votes, const real* earlier,
                                const CapsuleTile& tile);

  /// dvotes [J, O, lanes] = the gradient of one block of votes of one sample. It is linear in what
  /// iterations have left, so the votes themselves are not needed.
  void (*vote_gradient)(real* dvotes, const RoutingTerms& terms, const CapsuleTile& tile);

  /// The gradient of `predict`, for one block of input capsules: dweight [J, D, O, lanes] +=, and
  /// du [group, D, lanes] =. dvotes: [group, J, O, lanes]; u: [group, D, lanes].
  void (*predict_gradient)(real* du, real* dweight, const real* dvotes, const real* u,
                           const real* weight, std::int64_t group, const CapsuleTile& tile);
};

/// The table of the active instruction set.
const CapsuleSimd& capsule_simd();

}  // namespace serenade::cpu
