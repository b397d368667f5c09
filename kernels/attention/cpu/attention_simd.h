#pragma once
// The passes of attention over a row of scores, one table per instruction set
// (kernels/runtime/cpu/isa.h).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// What a running softmax knows of the keys seen so far.
struct RunningSoftmax {
  real largest;  ///< of the scores; minus infinity at the start
  real sum;      ///< of e^(score - largest)
};

/// count >= 0 elements in each; any alignment. bias: [count], or null for zeros.
struct AttentionSimd {
  /// scores[j] = e^(scores[j] + bias[j] - largest), with the largest of these and of those before,
  /// and 0 for j of count .. all - 1. Updates `row`; returns what all that was summed before has to
  /// be multiplied by.
  real (*exponentials)(real* scores, const real* bias, std::int64_t count, std::int64_t all,
                       RunningSoftmax& row);
  /// p[j] = e^(p[j] + bias[j] - log_sum), ds[j] = p[j] (ds[j] - d); 0 for j of count .. all - 1.
  void (*gradients)(real* p, real* ds, const real* bias, std::int64_t count, std::int64_t all,
                    real log_sum, real d);
  /// y[j] *= factor.
  void (*scale)(real* y, std::int64_t count, real factor);
  /// sum a[j] b[j].
  real (*dot)(const real* a, const real* b, std::int64_t count);
};

/// The table of the active instruction set.
const AttentionSimd& attention_simd();

}  // namespace serenade::cpu
