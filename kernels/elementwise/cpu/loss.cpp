// Losses on the host. Sums over the batch are taken in order, whatever the number of threads.

#include "kernels/elementwise/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/elementwise/cpu/softmax_simd.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

real weight_of(const real* class_weights, std::int64_t label) {
  return class_weights == nullptr ? real(1) : class_weights[label];
}

real total_weight(const real* class_weights, const std::int64_t* labels, std::int64_t N) {
  real total = 0;
  for (std::int64_t n = 0; n < N; ++n) total += weight_of(class_weights, labels[n]);
  return total;
}

/// How far a capsule's norm is from its margin; 0 if it keeps it, and NaN of NaN.
real positive_part(real x) { return x <= 0 ? real(0) : x; }

}  // namespace

void cross_entropy_forward(real* loss, real* probabilities, const real* logits,
                           const std::int64_t* labels, const real* class_weights, std::int64_t N,
                           std::int64_t classes) {
  std::vector<real> largest(static_cast<std::size_t>(N)), sums(largest.size());
  const SoftmaxSimd& simd = softmax_simd();
  parallel_items(N, classes, [&](std::int64_t n) {
    simd.softmax_of_row(probabilities + n * classes, &largest[static_cast<std::size_t>(n)],
                        &sums[static_cast<std::size_t>(n)], logits + n * classes, classes);
  });
  real total = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    const auto row = static_cast<std::size_t>(n);
    // From the logits, not from the probability: that may have rounded to 0.
    const real above = logits[n * classes + labels[n]] - largest[row];
    total += weight_of(class_weights, labels[n]) * (std::log(sums[row]) - above);
  }
  *loss = total / total_weight(class_weights, labels, N);
}

void cross_entropy_backward(real* dlogits, const real* dloss, const real* probabilities,
                            const std::int64_t* labels, const real* class_weights, std::int64_t N,
                            std::int64_t classes) {
  const real scale = *dloss / total_weight(class_weights, labels, N);
  parallel_items(N, classes, [=](std::int64_t n) {
    const real factor = scale * weight_of(class_weights, labels[n]);
    for (std::int64_t k = 0; k < classes; ++k) {
      const real target = k == labels[n] ? real(1) : real(0);
      dlogits[n * classes + k] += factor * (probabilities[n * classes + k] - target);
    }
  });
}

void margin_loss_forward(real* loss, const real* norms, const std::int64_t* labels, real m_plus,
                         real m_minus, real lambda, std::int64_t N, std::int64_t classes) {
  real total = 0;
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t k = 0; k < classes; ++k) {
      const real norm = norms[n * classes + k];
      const real missing = positive_part(m_plus - norm);
      const real excess = positive_part(norm - m_minus);
      total += k == labels[n] ? missing * missing : lambda * excess * excess;
    }
  }
  *loss = total / static_cast<real>(N);
}

void margin_loss_backward(real* dnorms, const real* dloss, const real* norms,
                          const std::int64_t* labels, real m_plus, real m_minus, real lambda,
                          std::int64_t N, std::int64_t classes) {
  const real scale = *dloss / static_cast<real>(N);
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t k = 0; k < classes; ++k) {
      const real norm = norms[n * classes + k];
      const real missing = positive_part(m_plus - norm);
      const real excess = positive_part(norm - m_minus);
      dnorms[n * classes + k] += scale * (k == labels[n] ? -2 * missing : 2 * lambda * excess);
    }
  }
}

}  // namespace serenade::cpu
