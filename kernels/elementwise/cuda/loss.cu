// Losses on the device: one value for a batch, and its gradient.
//
// The work is tiny (144 samples of 4 classes are 2 KB); what counts is the number of launches.
// So a loss is one launch of one block, which adds up in a fixed order, and its gradient one
// launch. Labels and class weights become one small array of targets on the way to the device.

#include "kernels/elementwise/loss.h"

#include <vector>

#include "kernels/runtime/cuda/loops.cuh"

namespace serenade::cuda {
namespace {

/// The target of a sample, and its weight in the loss.
struct Target {
  std::int64_t label;
  real weight;
};

std::vector<Target> targets_of(const std::int64_t* labels, const real* class_weights,
                               std::int64_t N) {
  std::vector<Target> targets(static_cast<std::size_t>(N));
  for (std::int64_t n = 0; n < N; ++n) {
    const real weight = class_weights == nullptr ? real(1) : class_weights[labels[n]];
    targets[static_cast<std::size_t>(n)] = {labels[n], weight};
  }
  return targets;
}

real total_weight(const std::vector<Target>& targets) {
  real total = 0;
  for (const Target& target : targets) total += target.weight;
  return total;
}

/// One sample per thread at a time.
__global__ void __launch_bounds__(kLoopThreads)
    cross_entropy(GlobalPointer<real> loss, GlobalPointer<real> probabilities,
                  GlobalPointer<const real> logits, GlobalPointer<const Target> targets,
                  real total_weight, std::int64_t N, std::int64_t classes) {
  SERENADE_SHARED(double, scratch, [32]);
  double total = 0;
  for (std::int64_t n = threadIdx.x; n < N; n += kLoopThreads) {
    const Target target = targets[n];
    const std::int64_t row = n * classes;
    real largest = logits[row], sum = 0;
    for (std::int64_t k = 1; k < classes; ++k) largest = Larger{}(largest, logits[row + k]);
    for (std::int64_t k = 0; k < classes; ++k) {
      const real v = logits[row + k], e = exp(v - largest);
      probabilities[row + k] = e;
      sum += e;
    }
    for (std::int64_t k = 0; k < classes; ++k) probabilities[row + k] /= sum;
    // From the logits, not from the probability: that may have rounded to 0.
    const real wanted = logits[row + target.label];
    total += static_cast<double>(target.weight * (log(sum) - (wanted - largest)));
  }
  total = block_reduce(total, SharedPointer<double>(scratch), Plus{});
  if (threadIdx.x == 0) loss[0] = static_cast<real>(total) / total_weight;
}

__global__ void __launch_bounds__(kLoopThreads)
    cross_entropy_gradient(GlobalPointer<real> dlogits, GlobalPointer<const real> dloss,
                           GlobalPointer<const real> probabilities,
                           GlobalPointer<const Target> targets, real total_weight, std::int64_t N,
                           std::int64_t classes) {
  const real scale = dloss[0] / total_weight;
  for (std::int64_t i = loop_begin(); i < N * classes; i += grid_stride()) {
    const std::int64_t n = i / classes, k = i - n * classes;
    const Target target = targets[n];
    const real p = probabilities[i];
    dlogits[i] += scale * target.weight * (p - (k == target.label ? real(1) : real(0)));
  }
}

struct Margins {
  real plus, minus, lambda;
};

/// How far a capsule's norm is from its margin; 0 if it keeps it, and NaN of NaN.
__device__ __forceinline__ real positive_part(real x) { return x <= 0 ? real(0) : x; }

__global__ void __launch_bounds__(kLoopThreads)
    margin_loss(GlobalPointer<real> loss, GlobalPointer<const real> norms,
                GlobalPointer<const std::int64_t> labels, Margins margins, std::int64_t N,
                std::int64_t classes) {
  SERENADE_SHARED(double, scratch, [32]);
  double total = 0;
  for (std::int64_t i = threadIdx.x; i < N * classes; i += kLoopThreads) {
    const std::int64_t n = i / classes, k = i - n * classes;
    const real norm = norms[i];
    const real missing = positive_part(margins.plus - norm);
    const real excess = positive_part(norm - margins.minus);
    total +=
        static_cast<double>(k == labels[n] ? missing * missing : margins.lambda * excess * excess);
  }
  total = block_reduce(total, SharedPointer<double>(scratch), Plus{});
  if (threadIdx.x == 0) loss[0] = static_cast<real>(total) / static_cast<real>(N);
}

__global__ void __launch_bounds__(kLoopThreads)
    margin_loss_gradient(GlobalPointer<real> dnorms, GlobalPointer<const real> dloss,
                         GlobalPointer<const real> norms, GlobalPointer<const std::int64_t> labels,
                         Margins margins, std::int64_t N, std::int64_t classes) {
  const real scale = dloss[0] / static_cast<real>(N);
  for (std::int64_t i = loop_begin(); i < N * classes; i += grid_stride()) {
    const std::int64_t n = i / classes, k = i - n * classes;
    const real norm = norms[i];
    const real missing = positive_part(margins.plus - norm);
    const real excess = positive_part(norm - margins.minus);
    dnorms[i] += scale * (k == labels[n] ? -2 * missing : 2 * margins.lambda * excess);
  }
}

}  // namespace

void cross_entropy_forward(real* loss, real* probabilities, const real* logits,
                           const std::int64_t* labels, const real* class_weights, std::int64_t N,
                           std::int64_t classes) {
  const std::vector<Target> targets = targets_of(labels, class_weights, N);
  const OnDevice<Target> uploaded(targets.data(), N);
  SERENADE_LAUNCH(cross_entropy, dim3(1), dim3(kLoopThreads), 0, current_stream(), loss,
                  probabilities, logits, uploaded.data(), total_weight(targets), N, classes);
}

void cross_entropy_backward(real* dlogits, const real* dloss, const real* probabilities,
                            const std::int64_t* labels, const real* class_weights, std::int64_t N,
                            std::int64_t classes) {
  if (N * classes == 0) return;
  const std::vector<Target> targets = targets_of(labels, class_weights, N);
  const OnDevice<Target> uploaded(targets.data(), N);
  SERENADE_LAUNCH(cross_entropy_gradient, loop_grid(N * classes), dim3(kLoopThreads), 0,
                  current_stream(), dlogits, dloss, probabilities, uploaded.data(),
                  total_weight(targets), N, classes);
}

void margin_loss_forward(real* loss, const real* norms, const std::int64_t* labels, real m_plus,
                         real m_minus, real lambda, std::int64_t N, std::int64_t classes) {
  const OnDevice<std::int64_t> uploaded(labels, N);
  SERENADE_LAUNCH(margin_loss, dim3(1), dim3(kLoopThreads), 0, current_stream(), loss, norms,
                  uploaded.data(), (Margins{m_plus, m_minus, lambda}), N, classes);
}

void margin_loss_backward(real* dnorms, const real* dloss, const real* norms,
                          const std::int64_t* labels, real m_plus, real m_minus, real lambda,
                          std::int64_t N, std::int64_t classes) {
  if (N * classes == 0) return;
  const OnDevice<std::int64_t> uploaded(labels, N);
  SERENADE_LAUNCH(margin_loss_gradient, loop_grid(N * classes), dim3(kLoopThreads), 0,
                  current_stream(), dnorms, dloss, norms, uploaded.data(),
                  (Margins{m_plus, m_minus, lambda}), N, classes);
}

}  // namespace serenade::cuda
