#pragma once
// Children of a supernet, looked at when an epoch has ended: architectures with the weights that
// they share, compared by their loss on the validation data.

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "nas/one_shot.h"
#include "tensor/repeated_draws.h"

namespace serenade {

/// A candidate per choice, in the order of the space.
using Child = ChoiceIndices;

/// Inside OneShot::end_epoch(). All are compared on the same batches, a pass over the validation
/// data, with the same elements dropped. The losses are those of training mode: batch normalisation
/// uses a batch's own statistics, as the running ones belong to no path.
class Children {
 public:
  explicit Children(const EpochEnd& end);

  /// The sum over the batches; the largest number there is where that is not finite.
  double loss(const Child& child);
  /// Writes the answer into the alphas: 1 for each candidate of the child, 0 for the others. So
  /// whoever reads alphas reads the answer.
  void decide(const Child& child);
  /// For the history: how many were looked at, and the lowest loss, a mean over the batches.
  std::map<std::string, double> measured() const;

 private:
  const std::vector<std::shared_ptr<SupernetChoice>>& choices_;
  std::vector<LossFunction> losses_;
  RepeatedDraws draws_;
  std::int64_t compared_ = 0;
  double lowest_ = std::numeric_limits<double>::max();
};

}  // namespace serenade
