#pragma once
// How sure one can be of a figure: spread over runs, intervals, and tests between two systems.
//
// Recordings of one speaker resemble each other, so the bootstrap draws whole speakers with
// replacement (cluster bootstrap; Field & Welsh, "Bootstrapping clustered data", JRSS B 2007) and
// takes percentiles of what the draws give. Few speakers make such an interval too narrow rather
// than too wide: with ten speakers, read it as a lower bound of the doubt.
// Draws come from Philox (Purpose::bootstrap): the same seed gives the same interval everywhere.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/evaluation/metrics.h"
#include "nas/interval.h"

namespace serenade::ser {

double mean(const std::vector<double>& values);  ///< NaN if there are none

/// What a standard deviation is divided by: n - 1 (estimate for more runs like these) or n (spread
/// of exactly these values, as some papers report).
enum class Deviation { sample, population };
/// NaN without values, and for one value with Deviation::sample.
double standard_deviation(const std::vector<double>& values, Deviation stddev = Deviation::sample);

/// With fewer speakers than this, drawing whole speakers says nothing: of two, half of all draws
/// hold one of them only. Single recordings are drawn then, which leaves out how speakers differ.
inline constexpr int kMinSpeakers = 5;

struct BootstrapOptions {
  int resamples = 2000;  ///< 100 .. 100,000; 1,000 .. 10,000 are usual
  std::uint64_t seed = 0;
  double level = 0.95;
};

struct AccuracyIntervals {
  Interval wa;
  Interval ua;
  int speakers = 0;  ///< how many there are; below kMinSpeakers, recordings were drawn instead
};

/// Intervals of WA and UA, clustered by speaker. `classes` is the number of classes.
/// Throws std::invalid_argument without predictions or with options out of range.
AccuracyIntervals bootstrap_intervals(const std::vector<Prediction>& predictions, int classes,
                                      const BootstrapOptions& options = {});

/// One sentence for the reader: what was drawn, and what that leaves out.
std::string interval_note(const AccuracyIntervals& intervals);

/// McNemar's exact test (1947; binomial form): of two systems on the same recordings, do the
/// recordings that only one of them got right fall evenly on both?
struct McNemar {
  std::int64_t only_first = 0;   ///< recordings that only the first system got right
  std::int64_t only_second = 0;  ///< and only the second
  double p_value = 1;            ///< two-sided
};
McNemar mcnemar_exact(std::int64_t only_first, std::int64_t only_second);

/// The second system against the first on the same recordings.
struct PairedComparison {
  std::string first;  ///< names, for the views
  std::string second;
  std::int64_t pairs = 0;
  Interval wa_difference;  ///< WA of the second minus WA of the first
  Interval ua_difference;
  double wa_p_value = 1;  ///< two-sided bootstrap p: 2 min(P(difference <= 0), P(>= 0))
  double ua_p_value = 1;
  McNemar mcnemar;  ///< takes recordings as independent, so it is the bolder of the two tests
};

/// Pairs predictions by (id, fold, seed) and draws speakers for both systems at once.
/// Throws std::invalid_argument where the two do not hold the same recordings with the same labels.
PairedComparison compare_paired(const std::string& first_name, const std::vector<Prediction>& first,
                                const std::string& second_name,
                                const std::vector<Prediction>& second, int classes,
                                const BootstrapOptions& options = {});

}  // namespace serenade::ser
