#pragma once
// What strategies with Gumbel noise share: the noise of a step, and a temperature that falls.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nas/one_shot.h"

namespace serenade {

/// n numbers of the standard Gumbel distribution, -ln(-ln u) of uniform u. Added to alpha they make
/// candidate i the largest with probability softmax(alpha)_i. `choice`: as for draw_subset.
std::vector<double> gumbel_noise(std::int64_t n, const RandomKey& key, std::uint64_t choice);

class GumbelSearch : public OneShot {
 public:
  GumbelSearch(const SearchSpace& space, const StrategyOptions& options);
  /// The temperature, for the history.
  std::map<std::string, double> end_epoch(const EpochEnd& end) const override;
  std::string fingerprint() const override;

 protected:
  /// Of a step, other noise in either phase.
  static std::vector<double> noise(const Draw& draw);
  /// softmax((alpha + noise) / temperature), [n].
  std::function<Variable(const Variable& alpha)> relaxation(const Draw& draw) const;

 private:
  double temperature(std::int64_t epoch, std::int64_t epochs) const;
};

}  // namespace serenade
