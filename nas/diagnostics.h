#pragma once
// Is the search healthy? Numbers and plain-language warnings about what its record shows.

#include <cstdint>
#include <string>
#include <vector>

#include "nas/history.h"

namespace serenade {

/// -sum p ln p in nats; 0 ln 0 = 0.
double entropy(const std::vector<double>& probabilities);

/// How evenly weight updates were spread over the candidates of a choice.
struct UpdateFairness {
  std::int64_t least = 0;  ///< updates of the candidate with the fewest
  std::int64_t most = 0;   ///< and with the most
  double ratio = 1;        ///< most / least; infinity where a candidate had none; 1 if none had any
  double chi_square = 0;   ///< against an even spread: sum (n_i - mean)^2 / mean
  double p_value = 1;      ///< P(chi-square at least that large | even), n - 1 degrees of freedom
};
UpdateFairness update_fairness(const std::vector<std::int64_t>& updates);

/// Upper tail of the chi-square distribution: P(X >= statistic) with that many degrees of freedom
/// (regularised incomplete gamma function Q(df / 2, statistic / 2)).
double chi_square_tail(double statistic, double degrees_of_freedom);

/// One sentence per problem, e.g. "candidate 4x4 of conv3 received 3.0 times the updates of 5x5".
/// Looks at the last record (uneven updates, candidates never trained, vanishing gradients, choices
/// that are nearly ties) and at the course (gradients that had vanished at the start, a choice
/// decided at once, or one that still changed in the last tenth of the epochs). Empty: nothing to
/// report.
std::vector<std::string> search_warnings(const std::vector<SearchRecord>& history);
/// Those of them that are about the weights, and not about alphas that are nearly ties, decided at
/// once or still changing.
std::vector<std::string> weight_warnings(const std::vector<SearchRecord>& history);

}  // namespace serenade
