#pragma once
// Losses with their settings kept; the formulas stand at the functions of the same name in
// autograd/functions.h. A loss has no parameters and is no Module.

#include <utility>
#include <vector>

#include "autograd/functions.h"

namespace serenade {

/// Mean cross-entropy of logits [N, classes] and N labels 0 .. classes-1: a scalar. With
/// class_weights (one per class) the weighted mean, so that a rare class is heard.
class CrossEntropyLoss {
 public:
  struct Options {
    std::vector<real> class_weights = {};
  };

  CrossEntropyLoss() : options{} {}
  explicit CrossEntropyLoss(Options chosen) : options(std::move(chosen)) {}
  Variable forward(const Variable& logits, const Indices& labels) const {
    return cross_entropy(logits, labels, options.class_weights);
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
