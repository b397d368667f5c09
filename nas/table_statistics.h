#pragma once
// What can be seen in a table of results at all: how far two trainings of the same architecture
// agree, how much of the scores the choices explain, and what the best architecture is worth.
//
// Before strategies are compared on a table, these say whether there is something to be found. How
// well the ranking by one training tells that by another is the noise ceiling: no short training
// and no model of the scores can be expected to tell it better (how little can be left to find:
// Yang, Esperanca & Carlucci, "NAS evaluation is frustratingly hard", ICLR 2020).
//
// Traps. Choosing the best and quoting the score it was chosen by counts its luck as merit (the
// winner's curse): choose by one training, measure by another. The trainings of one architecture
// are no independent witnesses of what the choices do: the analysis of variance takes their mean.
// With many candidates chance explains a share as well: (candidates - choices) / (architectures -
// 1) of noise.

#include <cstdint>
#include <string>
#include <vector>

#include "nas/interval.h"
#include "nas/table_scores.h"

namespace serenade {

// Agreement of rankings ---------------------------------------------------------------------------

/// Kendall's tau-b (Biometrika 33, 1945): (concordant - discordant pairs) over the square root of
/// the pairs untied in x times those untied in y. NaN where all of x or all of y are the same. Time
/// grows as the square of the number. Throws std::invalid_argument where the numbers differ.
double kendall_tau_b(const std::vector<double>& x, const std::vector<double>& y);

/// Two standard deviations of tau between unrelated rankings of n without ties,
/// 2 sqrt(2 (2 n + 5) / (9 n (n - 1))) (Kendall, Biometrika 30, 1938). n at least 2.
double kendall_by_chance(std::size_t n);

/// The mean tau-b of scores after one epoch and after another, over all pairs of different seeds;
/// NaN with a single seed, or where no such pair has a tau.
double tau_between_seeds(const TableScores& a, const TableScores& b);
/// The same of each seed with itself: what a short training says of the same training's end.
double tau_within_seeds(const TableScores& a, const TableScores& b);

// Analysis of variance ----------------------------------------------------------------------------

/// P(F >= f) with these degrees of freedom (regularised incomplete beta function).
double f_tail(double f, double numerator, double denominator);

/// What one choice explains beyond all others (type II sums of squares).
struct ChoiceVariance {
  std::string choice;
  std::int64_t degrees = 0;  ///< of freedom: candidates that occur, less one
  double share = 0;          ///< of the sum of squares of all scores; shares need not add up
  double beyond_chance = 0;  ///< omega squared: the share less what noise gives; may be negative
  double f = 0, p_value = 1;
};

struct ChoiceAnova {
  std::vector<ChoiceVariance> choices;  ///< in the order of the space; without those of 0 degrees
  double share = 0;                     ///< of all choices together (R squared)
  double beyond_chance = 0;             ///< the same, adjusted for the number of candidates
  double f = 0, p_value = 1;            ///< of all choices together
  std::int64_t degrees = 0, residual_degrees = 0;
  double residual_variance = 0;  ///< interactions of choices, and noise
  double total_square = 0;       ///< sum of squares around the mean
};
/// Throws std::invalid_argument where there are not more architectures than candidates, or they do
/// not tell the choices apart, or all scores are the same.
ChoiceAnova choice_anova(const SearchSpace& space, const std::vector<ChoiceIndices>& architectures,
                         const std::vector<double>& scores);

/// One-way analysis of variance with random effects: how much of one training's score is its
/// architecture's and how much the training's own chance (Shrout & Fleiss, Psychological Bulletin
/// 86, 1979, ICC(1,1) and ICC(1,k)).
struct SeedNoise {
  double architecture_deviation = 0;  ///< standard deviation of what architectures are worth; 0
                                      ///< where they differ less than noise says
  double noise_deviation = 0;         ///< of trainings of the same architecture
  double one_training = 0;            ///< intra-class correlation; may be negative
  double mean_of_seeds = 0;           ///< of the mean of all seeds
  double f = 0, p_value = 1;          ///< of "all architectures are worth the same"
  std::int64_t degrees = 0, residual_degrees = 0;
};
/// Throws std::invalid_argument with fewer than two architectures or seeds, or where nothing
/// varies.
SeedNoise seed_noise(const TableScores& scores);

// What the best is worth --------------------------------------------------------------------------

struct BestGain {
  Interval gain;         ///< of the best over the median architecture, chosen by one seed and
                         ///< measured by the others, on average over the choosing seeds
  double same_seed = 0;  ///< what measuring by the seed that chose would say: too much
};
/// The interval draws parts with replacement, chooses and measures anew on each resample; with few
/// parts it is too narrow rather than too wide. Throws std::invalid_argument with fewer than two
/// architectures or seeds.
BestGain best_over_median(const TableScores& scores, std::int64_t resamples = 2000,
                          std::uint64_t seed = 0, double level = 0.95);

}  // namespace serenade
