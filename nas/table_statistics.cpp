#include "nas/table_statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "nas/additive_fit.h"
#include "tensor/check.h"

namespace serenade {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double square_around(const std::vector<double>& values, double center) {
  double sum = 0;
  for (const double value : values) sum += (value - center) * (value - center);
  return sum;
}

// Of a copy, which it reorders. The mean of the two in the middle of an even number.
double median(std::vector<double> values) {
  const auto half = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), half, values.end());
  const double upper = *half;
  return values.size() % 2 == 1 ? upper : (*std::max_element(values.begin(), half) + upper) / 2;
}

}  // namespace

// Agreement of rankings ---------------------------------------------------------------------------

double kendall_tau_b(const std::vector<double>& x, const std::vector<double>& y) {
  check(x.size() == y.size(), "kendall_tau_b", "needs as many x as y; got ", x.size(), " and ",
        y.size());
  double agreeing = 0, untied_x = 0, untied_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const int in_x = (x[i] > x[j]) - (x[i] < x[j]), in_y = (y[i] > y[j]) - (y[i] < y[j]);
      agreeing += in_x * in_y;
      untied_x += in_x != 0;
      untied_y += in_y != 0;
    }
  }
  return untied_x > 0 && untied_y > 0 ? agreeing / std::sqrt(untied_x * untied_y) : kNan;
}

double kendall_by_chance(std::size_t n) {
  const auto count = static_cast<double>(n);
  return 2 * std::sqrt(2 * (2 * count + 5) / (9 * count * (count - 1)));
}

namespace {

double mean_tau(const TableScores& a, const TableScores& b, bool same_seed) {
  check(a.architectures == b.architectures && a.seeds == b.seeds, "tau",
        "needs the same trainings after both epochs");
  double sum = 0;
  int count = 0;
  for (std::size_t s = 0; s < a.seeds.size(); ++s) {
    const std::vector<double> x = a.scores(s, a.all_parts());
    for (std::size_t t = 0; t < b.seeds.size(); ++t) {
      if ((s == t) != same_seed) continue;
      const double tau = kendall_tau_b(x, b.scores(t, b.all_parts()));
      if (std::isnan(tau)) continue;
      sum += tau;
      ++count;
    }
  }
  return count > 0 ? sum / count : kNan;
}

}  // namespace

double tau_between_seeds(const TableScores& a, const TableScores& b) {
  return mean_tau(a, b, false);
}

double tau_within_seeds(const TableScores& a, const TableScores& b) { return mean_tau(a, b, true); }

// Analysis of variance ----------------------------------------------------------------------------

namespace {

// The continued fraction of the incomplete beta function, by Lentz's method (NIST Digital Library
// of Mathematical Functions, 8.17.22). Converges fast for x < (a + 1) / (a + b + 2).
double beta_fraction(double a, double b, double x) {
  constexpr double kTiny = 1e-300, kClose = 1e-15;
  constexpr int kMostTerms = 10000;
  double fraction = 1, c = 1, d = 0;
  for (int i = 0; i < kMostTerms; ++i) {
    const int m = i / 2;
    const double term = i == 0       ? 1
                        : i % 2 == 0 ? m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
                                     : -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + term * d;
    if (std::abs(d) < kTiny) d = kTiny;
    d = 1 / d;
    c = 1 + term / c;
    if (std::abs(c) < kTiny) c = kTiny;
    fraction *= c * d;
    if (std::abs(1 - c * d) < kClose) break;
  }
  return fraction - 1;
}

// I_x(a, b)
double regularised_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - regularised_beta(b, a, 1 - x);
  const double front =
      std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * std::log(x) + b * std::log(1 - x);
  return std::exp(front) / a * beta_fraction(a, b, x);
}

}  // namespace

double f_tail(double f, double numerator, double denominator) {
  if (!(f > 0)) return 1;
  return regularised_beta(denominator / 2, numerator / 2,
                          denominator / (denominator + numerator * f));
}

ChoiceAnova choice_anova(const SearchSpace& space, const std::vector<ChoiceIndices>& architectures,
                         const std::vector<double>& scores) {
  const AdditiveFit full(space, architectures, std::vector<double>(space.choices.size(), 0));
  ChoiceAnova result;
  result.degrees = std::llround(full.parameters()) - 1;
  result.residual_degrees = std::ssize(architectures) - 1 - result.degrees;
  check(result.residual_degrees > 0, "choice_anova", "there must be more than ", result.degrees + 1,
        " architectures; got ", architectures.size());
  const double residual = full.residual_square(scores);
  result.residual_variance = residual / static_cast<double>(result.residual_degrees);
  result.total_square = square_around(scores, mean(scores));
  check(result.total_square > 0, "choice_anova", "the scores must not all be the same");
  const double total_degrees = static_cast<double>(std::ssize(architectures) - 1);
  result.share = 1 - residual / result.total_square;
  result.beyond_chance = 1 - result.residual_variance * total_degrees / result.total_square;
  result.f = (result.total_square - residual) / static_cast<double>(result.degrees) /
             result.residual_variance;
  result.p_value = f_tail(result.f, static_cast<double>(result.degrees),
                          static_cast<double>(result.residual_degrees));
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    std::vector<double> ridge(space.choices.size(), 0);
    ridge[l] = kNoEffect;
    const AdditiveFit others(space, architectures, ridge);
    ChoiceVariance one{.choice = space.choices[l].name};
    one.degrees = result.degrees + 1 - std::llround(others.parameters());
    if (one.degrees == 0) continue;
    const double square = others.residual_square(scores) - residual;
    const auto degrees = static_cast<double>(one.degrees);
    one.share = square / result.total_square;
    one.beyond_chance = (square - degrees * result.residual_variance) /
                        (result.total_square + result.residual_variance);
    one.f = square / degrees / result.residual_variance;
    one.p_value = f_tail(one.f, degrees, static_cast<double>(result.residual_degrees));
    result.choices.push_back(std::move(one));
  }
  return result;
}

SeedNoise seed_noise(const TableScores& scores) {
  const std::size_t n = scores.architectures.size(), k = scores.seeds.size();
  check(n > 1 && k > 1, "seed_noise", "needs two architectures and two seeds; got ", n, " and ", k);
  const std::vector<double> weight = scores.all_parts();
  const auto seeds = static_cast<double>(k);
  double within = 0;
  for (std::size_t a = 0; a < n; ++a) {
    std::vector<double> trainings;
    for (std::size_t s = 0; s < k; ++s) trainings.push_back(scores.score(a, s, weight));
    within += square_around(trainings, mean(trainings));
  }
  const std::vector<double> means = scores.mean_scores(weight);
  const double between = seeds * square_around(means, mean(means));
  check(between + within > 0, "seed_noise", "the scores must not all be the same");
  SeedNoise result{.degrees = std::ssize(means) - 1,
                   .residual_degrees = std::ssize(means) * (static_cast<std::int64_t>(k) - 1)};
  const double between_mean = between / static_cast<double>(result.degrees);
  const double within_mean = within / static_cast<double>(result.residual_degrees);
  result.noise_deviation = std::sqrt(within_mean);
  result.architecture_deviation = std::sqrt(std::max(0.0, (between_mean - within_mean) / seeds));
  result.one_training = (between_mean - within_mean) / (between_mean + (seeds - 1) * within_mean);
  result.mean_of_seeds = between_mean > 0 ? (between_mean - within_mean) / between_mean
                                          : -std::numeric_limits<double>::infinity();
  result.f = between_mean / within_mean;
  result.p_value = f_tail(result.f, static_cast<double>(result.degrees),
                          static_cast<double>(result.residual_degrees));
  return result;
}

// What the best is worth --------------------------------------------------------------------------

namespace {

struct Gains {
  double other_seeds = 0, same_seed = 0;
};

// Of equally good ones all are measured: the first would be as good, but depends on the order.
double mean_at_best(const std::vector<double>& chosen_by, const std::vector<double>& measured) {
  const double best = *std::max_element(chosen_by.begin(), chosen_by.end());
  double sum = 0;
  int count = 0;
  for (std::size_t i = 0; i < chosen_by.size(); ++i) {
    if (chosen_by[i] < best) continue;
    sum += measured[i];
    ++count;
  }
  return sum / count;
}

Gains gains(const TableScores& scores, const std::vector<double>& weight) {
  std::vector<std::vector<double>> of_seed;
  for (std::size_t s = 0; s < scores.seeds.size(); ++s) {
    of_seed.push_back(scores.scores(s, weight));
  }
  const auto seeds = static_cast<double>(of_seed.size());
  Gains found;
  for (std::size_t t = 0; t < of_seed.size(); ++t) {
    const double middle = median(of_seed[t]);
    for (std::size_t s = 0; s < of_seed.size(); ++s) {
      const double gain = mean_at_best(of_seed[s], of_seed[t]) - middle;
      if (s == t) {
        found.same_seed += gain / seeds;
      } else {
        found.other_seeds += gain / (seeds * (seeds - 1));
      }
    }
  }
  return found;
}

}  // namespace

BestGain best_over_median(const TableScores& scores, std::int64_t resamples, std::uint64_t seed,
                          double level) {
  check(scores.architectures.size() > 1 && scores.seeds.size() > 1, "best_over_median",
        "needs two architectures and two seeds; got ", scores.architectures.size(), " and ",
        scores.seeds.size());
  check(resamples > 0 && 0 < level && level < 1, "best_over_median",
        "needs resamples and a level between 0 and 1; got ", resamples, " and ", level);
  std::vector<double> resampled;
  for (std::int64_t i = 0; i < resamples; ++i) {
    const std::vector<double> weight =
        resample_weights(scores.parts.size(), seed, static_cast<std::uint64_t>(i));
    resampled.push_back(gains(scores, weight).other_seeds);
  }
  const Gains measured = gains(scores, scores.all_parts());
  return {.gain = percentile_interval(measured.other_seeds, std::move(resampled), level),
          .same_seed = measured.same_seed};
}

}  // namespace serenade
