#include "nas/interval.h"

#include <algorithm>
#include <cstddef>

namespace serenade {

namespace {

// The value below which a share of the sorted values lies.
double quantile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Interval percentile_interval(double estimate, std::vector<double> resampled, double level) {
  std::sort(resampled.begin(), resampled.end());
  const double tail = (1 - level) / 2;
  return {estimate, quantile(resampled, tail), quantile(resampled, 1 - tail)};
}

}  // namespace serenade
