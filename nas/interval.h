#pragma once
// An estimate with the range that resamples of the data gave it (the bootstrap; Efron, Annals of
// Statistics 7, 1979).

#include <vector>

namespace serenade {

/// The range covers the truth with the level that was asked for.
struct Interval {
  double estimate = 0;
  double low = 0;
  double high = 0;
};

/// The percentiles (1 - level) / 2 and (1 + level) / 2 of what the resamples gave, between
/// neighbours by linear interpolation. resampled must not be empty.
Interval percentile_interval(double estimate, std::vector<double> resampled, double level);

}  // namespace serenade
