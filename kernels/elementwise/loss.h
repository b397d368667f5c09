#pragma once
// Losses: one value for a batch. Labels and class weights are small and lie in host memory.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

/// loss = sum_n w[l_n] (-ln softmax(logits_n)[l_n]) / sum_n w[l_n]: the (weighted) mean.
///   loss:          [1]
///   probabilities: [N, classes], softmax(logits), for the backward pass
///   logits:        [N, classes]
///   labels:        [N] of 0 .. classes-1, host
///   class_weights: [classes], host; may be null: all 1. Their sum over the labels must not be 0.
DECLARE_KERNEL(void cross_entropy_forward(real* loss, real* probabilities, const real* logits,
                                          const std::int64_t* labels, const real* class_weights,
                                          std::int64_t N, std::int64_t classes));
/// dlogits[n, k] += dloss w[l_n] (probabilities[n, k] - [k = l_n]) / sum_n w[l_n].
/// dlogits: [N, classes]; dloss: [1]; others as above.
DECLARE_KERNEL(void cross_entropy_backward(real* dlogits, const real* dloss,
                                           const real* probabilities, const std::int64_t* labels,
                                           const real* class_weights, std::int64_t N,
                                           std::int64_t classes));

/// Capsule margin loss (Sabour et al. 2017, Eq. 4), mean over the batch, NaN where a norm is:
///   sum_k T_k max(0, m_plus - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m_minus)^2
/// with T_k = 1 for the labelled class. loss: [1]; norms: [N, classes]; labels: [N], host.
DECLARE_KERNEL(void margin_loss_forward(real* loss, const real* norms, const std::int64_t* labels,
                                        real m_plus, real m_minus, real lambda, std::int64_t N,
                                        std::int64_t classes));
/// dnorms: [N, classes]; dloss: [1]; others as above.
DECLARE_KERNEL(void margin_loss_backward(real* dnorms, const real* dloss, const real* norms,
                                         const std::int64_t* labels, real m_plus, real m_minus,
                                         real lambda, std::int64_t N, std::int64_t classes));

}  // namespace serenade
