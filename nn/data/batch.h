#pragma once
// Samples together: what a step of training sees.

#include <cstdint>
#include <functional>
#include <vector>

#include "nn/data/dataset.h"
#include "tensor/random.h"

namespace serenade {

struct Batch {
  Tensor input = {};                       ///< [N, ..], in host memory
  std::vector<std::int64_t> labels = {};   ///< [N]; empty where the samples have none
  Tensor target = {};                      ///< [N, ..]: shares of classes, numbers; or undefined
  std::vector<std::int64_t> lengths = {};  ///< [N] where samples were padded, else empty
  std::vector<std::int64_t> indices = {};  ///< [N]: which samples of the set these are

  std::int64_t size() const { return input.size(0); }
};

/// Makes one batch of at least one sample; throws std::invalid_argument where they do not go
/// together. A loader fills in the indices.
using Collate = std::function<Batch(std::vector<Sample>)>;

/// Samples of one shape on top of each other. Either all have labels or none, and so with targets.
Batch stack_samples(std::vector<Sample> samples);

/// Samples of different lengths along `axis` of a sample (0: [T, ..], time first): each is filled
/// up at its end with `value` to the longest of the batch, and `lengths` says how long it was. All
/// other sizes are equal. Targets are stacked.
struct PaddingOptions {
  real value = 0;
  std::int64_t axis = 0;
};
Collate pad_samples(PaddingOptions options = {});

/// What happens to a whole batch, with a key made of the loader's seed, the epoch and the number of
/// the batch.
using BatchTransform = std::function<Batch(Batch, const RandomKey&)>;

/// Mixup (Zhang et al., ICLR 2018): sample i becomes w x_i + (1 - w) x_j, where j is the partner of
/// i in a random order and w, one for the batch, is drawn from Beta(alpha, alpha). The target
/// becomes the shares of the classes, [N, num_classes], for cross_entropy(logits, target); where
/// the samples have a target already, that is mixed instead. The labels stay those of i.
struct MixupOptions {
  double alpha = 0.2;  ///< above 0
  std::int64_t num_classes = 0;
};
BatchTransform mixup(MixupOptions options);

/// A draw from Beta(alpha, alpha), alpha above 0: in [0, 1].
double symmetric_beta(const RandomKey& key, double alpha);

}  // namespace serenade
