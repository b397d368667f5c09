#pragma once
// Softmax and losses. Conventions: autograd/functions.h.

#include <cstdint>
#include <vector>

#include "autograd/functions/indices.h"
#include "autograd/variable.h"
#include "tensor/enum_names.h"

namespace serenade {

Variable softmax(const Variable& x, std::int64_t axis);
Variable log_softmax(const Variable& x, std::int64_t axis);

/// What a loss makes of the losses of the single elements or samples: their mean, their sum, or
/// nothing: all are returned.
enum class Reduction { mean, sum, none };
inline EnumNames<Reduction> enum_names(Reduction) {
  return {{Reduction::mean, "mean"}, {Reduction::sum, "sum"}, {Reduction::none, "none"}};
}

// Losses of numbers. x and target have one shape (a column beside a row would broadcast to a
// matrix), and gradients flow to both.

/// (x - target)^2.
Variable mse_loss(const Variable& x, const Variable& target, Reduction reduction = Reduction::mean);
/// |x - target|.
Variable l1_loss(const Variable& x, const Variable& target, Reduction reduction = Reduction::mean);
/// d^2 / (2 beta) where d = |x - target| < beta, else d - beta / 2 (Girshick 2015).
Variable smooth_l1_loss(const Variable& x, const Variable& target, real beta = 1,
                        Reduction reduction = Reduction::mean);
/// d^2 / 2 where d = |x - target| < delta, else delta (d - delta / 2) (Huber 1964).
Variable huber_loss(const Variable& x, const Variable& target, real delta = 1,
                    Reduction reduction = Reduction::mean);

struct BinaryCrossEntropyOptions {
  Tensor weight = {};      ///< of each element, or undefined: 1; broadcasts
  Tensor pos_weight = {};  ///< of the part -t ln p, or undefined: 1; broadcasts
  Reduction reduction = Reduction::mean;
};
/// -t ln p - (1 - t) ln(1 - p) with p = sigmoid(logits), without overflow; targets t in [0, 1].
Variable binary_cross_entropy_with_logits(const Variable& logits, const Variable& target,
                                          const BinaryCrossEntropyOptions& options = {});

struct KlDivOptions {
  bool log_target = false;  ///< the target is ln p
  /// mean: over all elements. The divergence itself is the sum over the classes, so that a batch
  /// of N has sum / N ("batchmean" elsewhere).
  Reduction reduction = Reduction::mean;
};
/// Kullback-Leibler divergence of q from the target p: p (ln p - ln q), 0 where p = 0, where the
/// gradient by p is infinite. The first input is ln q.
Variable kl_div(const Variable& log_q, const Variable& target, const KlDivOptions& options = {});

// Losses of classes: scores [N, classes], or [N, classes, d, ..] with one label 0 .. classes-1 for
// each place of [N, d, ..], row-major.

struct NllOptions {
  std::vector<real> class_weights = {};  ///< one per class, or none: all 1. mean: the weighted mean
  std::int64_t ignore_index = -100;      ///< places with this label take no part
  Reduction reduction = Reduction::mean;
};
/// -weight log_probabilities[label].
Variable nll_loss(const Variable& log_probabilities, const Indices& labels,
                  const NllOptions& options = {});

struct CrossEntropyOptions {
  std::vector<real> class_weights = {};  ///< as in NllOptions
  std::int64_t ignore_index = -100;
  /// That much of a label is shared out among all classes (Szegedy et al. 2016).
  real label_smoothing = 0;
  Reduction reduction = Reduction::mean;
};
/// nll_loss of log_softmax(logits, 1).
Variable cross_entropy(const Variable& logits, const Indices& labels,
                       const CrossEntropyOptions& options = {});
/// The same where each place has a share of every class (two mixed samples): -sum_k w_k t_k ln p_k.
/// target: the shape of logits. The mean is over the places, and no place is ignored.
Variable cross_entropy(const Variable& logits, const Variable& target,
                       const CrossEntropyOptions& options = {});
/// Capsule margin loss, mean over the batch (Sabour et al. 2017, Eq. 4):
/// sum_k T_k max(0, m+ - |v_k|)^2 + lambda (1 - T_k) max(0, |v_k| - m-)^2. norms |v_k|: [N,
/// classes].
struct MarginLossOptions {
  real m_plus = real(0.9);
  real m_minus = real(0.1);
  real lambda = real(0.5);
};
Variable margin_loss(const Variable& norms, const Indices& labels, MarginLossOptions options = {});

}  // namespace serenade
