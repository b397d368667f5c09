#pragma once
// Losses with their settings kept; the formulas stand at the functions of the same name in
// autograd/functions.h. A loss has no parameters and is no Module.

#include <utility>
#include <vector>

#include "autograd/functions.h"

namespace serenade {

/// Cross-entropy of logits [N, classes, ..] and labels 0 .. classes-1: the mean, unless the options
/// say otherwise. With class_weights (one per class) the weighted mean, so that a rare class is
/// heard. Also of shares of the classes, a tensor of the shape of the logits.
class CrossEntropyLoss {
 public:
  using Options = CrossEntropyOptions;

  CrossEntropyLoss() : options{} {}
  explicit CrossEntropyLoss(Options chosen) : options(std::move(chosen)) {}
  Variable forward(const Variable& logits, const Indices& labels) const {
    return cross_entropy(logits, labels, options);
  }
  Variable forward(const Variable& logits, const Variable& target) const {
    return cross_entropy(logits, target, options);
  }

  const Options options;
};

/// Loss of log probabilities [N, classes, ..] and labels: what CrossEntropyLoss gives after
/// log_softmax.
class NLLLoss {
 public:
  using Options = NllOptions;

  NLLLoss() : options{} {}
  explicit NLLLoss(Options chosen) : options(std::move(chosen)) {}
  Variable forward(const Variable& log_probabilities, const Indices& labels) const {
    return nll_loss(log_probabilities, labels, options);
  }

  const Options options;
};

/// Cross-entropy of yes and no, for each element by itself; targets in [0, 1].
class BCEWithLogitsLoss {
 public:
  using Options = BinaryCrossEntropyOptions;

  BCEWithLogitsLoss() : options{} {}
  explicit BCEWithLogitsLoss(Options chosen) : options(std::move(chosen)) {}
  Variable forward(const Variable& logits, const Variable& target) const {
    return binary_cross_entropy_with_logits(logits, target, options);
  }

  const Options options;
};

/// Kullback-Leibler divergence of log_q from the target.
class KLDivLoss {
 public:
  using Options = KlDivOptions;

  KLDivLoss() : options{} {}
  explicit KLDivLoss(const Options& chosen) : options(chosen) {}
  Variable forward(const Variable& log_q, const Variable& target) const {
    return kl_div(log_q, target, options);
  }

  const Options options;
};

/// Mean squared error.
class MSELoss {
 public:
  struct Options {
    Reduction reduction = Reduction::mean;
  };

  MSELoss() : options{} {}
  explicit MSELoss(const Options& chosen) : options(chosen) {}
  Variable forward(const Variable& x, const Variable& target) const {
    return mse_loss(x, target, options.reduction);
  }

  const Options options;
};

/// Mean absolute error.
class L1Loss {
 public:
  struct Options {
    Reduction reduction = Reduction::mean;
  };

  L1Loss() : options{} {}
  explicit L1Loss(const Options& chosen) : options(chosen) {}
  Variable forward(const Variable& x, const Variable& target) const {
    return l1_loss(x, target, options.reduction);
  }

  const Options options;
};

/// Squared near the target, absolute from beta on.
class SmoothL1Loss {
 public:
  struct Options {
    real beta = 1;
    Reduction reduction = Reduction::mean;
  };

  SmoothL1Loss() : options{} {}
  explicit SmoothL1Loss(const Options& chosen) : options(chosen) {}
  Variable forward(const Variable& x, const Variable& target) const {
    return smooth_l1_loss(x, target, options.beta, options.reduction);
  }

  const Options options;
};

/// The same, times delta.
class HuberLoss {
 public:
  struct Options {
    real delta = 1;
    Reduction reduction = Reduction::mean;
  };

  HuberLoss() : options{} {}
  explicit HuberLoss(const Options& chosen) : options(chosen) {}
  Variable forward(const Variable& x, const Variable& target) const {
    return huber_loss(x, target, options.delta, options.reduction);
  }

  const Options options;
};

/// Margin loss of capsule lengths [N, classes] and N labels: a scalar (Sabour et al. 2017, Eq. 4).
class MarginLoss {
 public:
  using Options = MarginLossOptions;

  explicit MarginLoss(const Options& chosen = {}) : options(chosen) {}
  Variable forward(const Variable& lengths, const Indices& labels) const {
    return margin_loss(lengths, labels, options);
  }

  const Options options;
};

}  // namespace serenade
