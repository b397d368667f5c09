#pragma once
// Dropout (Srivastava et al. 2014), scaled in training so that evaluation needs no change.

#include "nn/layer.h"

namespace serenade {

/// In training each element becomes 0 with probability p and x / (1 - p) otherwise; in evaluation
/// the layer is the identity. x and result: any shape.
///
/// Each call draws a fresh stream from the default generator. A run that must continue after a
/// resume exactly as it would have without one gives the key itself, by seed and step.
class Dropout : public Layer {
 public:
  struct Options {
    double p = 0.5;  ///< 0 <= p < 1
  };

  explicit Dropout(const Options& options);
  Variable forward(const Variable& x) override;
  Variable forward(const Variable& x, const RandomKey& key);

  const Options options;
};

/// Takes whole branches of a network away (Larsson et al. 2017), each for single samples, in
/// training: a sample of a branch becomes 0 with probability p and x / (1 - p) otherwise.
struct DropPath {
  double p = 0;  ///< 0 <= p < 1
  /// The same key takes away the same.
  RandomKey key = {};
  std::uint64_t drawn = 0;  ///< samples of branches so far

  /// x and result: [N, ..]. The next branch.
  Variable operator()(const Variable& x);
};

}  // namespace serenade
