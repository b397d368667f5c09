#pragma once
// Attention of queries to keys. Conventions: autograd/functions.h.

#include <optional>

#include "autograd/variable.h"

namespace serenade {

struct DotProductAttentionOptions {
  /// Not 0 where a query sees a key. Broadcasts to [.., L, S]; undefined: every one is seen.
  Tensor mask = {};
  /// Added to the scores; as the mask, and without a gradient. Minus infinity hides a key.
  Tensor bias = {};
  bool causal = false;               ///< query i sees the keys 0 .. i only
  std::optional<double> scale = {};  ///< 1 / sqrt(E) if not given
};

/// softmax(scale q k^T + bias) v (Vaswani et al. 2017, Eq. 1). query: [.., L, E]; key: [.., S, E];
/// value: [.., S, V]; result [.., L, V]. A query that sees no key gets zeros. Memory grows with
/// L + S, not with their product.
Variable scaled_dot_product_attention(const Variable& query, const Variable& key,
                                      const Variable& value,
                                      const DotProductAttentionOptions& options = {});

}  // namespace serenade
