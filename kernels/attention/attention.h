#pragma once
// Scaled dot-product attention (Vaswani et al. 2017, Eq. 1): with one row of q per query and one
// row of k and v per key,
//   y = softmax(scale q k^T + bias) v
// The matrix of all queries by all keys is never kept. Forward goes over the keys in tiles with a
// running maximum m and a running sum l of e^(score - m) (the online softmax: Milakov & Gimelshein
// 2018; Dao et al. 2022); out of log_sum = m + ln l backward forms a tile's probabilities again.
//
// Sizes: B matrices (a head of a sample each), L queries, S keys, E numbers in a query or a key, V
// in a value. A query that sees no key gets zeros.

#include <cstdint>

#include "kernels/runtime/dispatch.h"
#include "kernels/runtime/host_device.h"

namespace serenade {

struct AttentionSizes {
  std::int64_t batch = 1;       ///< B
  std::int64_t queries = 1;     ///< L
  std::int64_t keys = 1;        ///< S
  std::int64_t size = 1;        ///< E
  std::int64_t value_size = 1;  ///< V
  real scale = 1;
  bool causal = false;  ///< query i sees the keys 0 .. i only
  /// Of the bias, which rows may share: matrix b of the batch begins at
  /// b / inner * outer_stride + b % inner * inner_stride, its row i at i * row_stride.
  std::int64_t inner = 1, outer_stride = 0, inner_stride = 0, row_stride = 0;

  /// How many of the keys `from` .. `to` - 1 a query may see.
  SERENADE_HOST_DEVICE std::int64_t visible(std::int64_t query, std::int64_t from,
                                            std::int64_t to) const {
    const std::int64_t end = causal && query + 1 < to ? query + 1 : to;
    return end > from ? end - from : 0;
  }
  SERENADE_HOST_DEVICE std::int64_t bias_at(std::int64_t matrix, std::int64_t query) const {
    return matrix / inner * outer_stride + matrix % inner * inner_stride + query * row_stride;
  }
};

/// y: [B, L, V]; log_sum: [B, L], infinity where a query sees no key; q: [B, L, E]; k: [B, S, E];
/// v: [B, S, V]; bias: rows of S as AttentionSizes says, minus infinity for a key that is not seen;
/// may be null: zeros.
DECLARE_KERNEL(void attention_forward(real* y, real* log_sum, const real* q, const real* k,
                                      const real* v, const real* bias,
                                      const AttentionSizes& sizes));

/// Adds to dq, dk and dv, shaped like q, k and v, each of which may be null. With p the
/// probabilities and d_i = sum_c dy_ic y_ic:
///   dv += p^T dy,  s = p (dy v^T - d),  dq += scale s k,  dk += scale s^T q
/// dy: [B, L, V]; y, log_sum: as attention_forward left them; others: as given to it.
DECLARE_KERNEL(void attention_backward(real* dq, real* dk, real* dv, const real* dy, const real* y,
                                       const real* log_sum, const real* q, const real* k,
                                       const real* v, const real* bias,
                                       const AttentionSizes& sizes));

namespace cpu {

/// The definition: all scores of a query, their softmax, the sum. Same arguments. The oracle of the
/// tests.
void attention_forward_v0_plain(real* y, real* log_sum, const real* q, const real* k, const real* v,
                                const real* bias, const AttentionSizes& sizes);

}  // namespace cpu
}  // namespace serenade
