// Intervals and tests: against known values, against made data whose truth is known, and the same
// for the same seed.

#include "apps/ser/evaluation/statistics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "tensor/random.h"

using namespace serenade::ser;
using doctest::Approx;
using serenade::Interval;

namespace {

constexpr int kSpeakers = 30, kPerSpeaker = 20;
constexpr double kTrueAccuracy = 0.7;

// Speakers differ: each has its own chance of being recognised, uniform around the true accuracy.
std::vector<Prediction> made_predictions(std::uint64_t world, double accuracy = kTrueAccuracy,
                                         std::uint64_t system = 0) {
  std::vector<Prediction> predictions;
  const serenade::RandomKey of_speaker{world, serenade::Purpose::test, 0};
  const serenade::RandomKey of_recording{world, serenade::Purpose::test, 1 + system};
  for (int s = 0; s < kSpeakers; ++s) {
    const double chance = accuracy + 0.4 * (serenade::uniform(of_speaker, s) - 0.5);
    for (int i = 0; i < kPerSpeaker; ++i) {
      const int index = s * kPerSpeaker + i, label = i % 2;
      const bool right = serenade::uniform(of_recording, index) < chance;
      predictions.push_back({.id = std::to_string(index),
                             .speaker = "s" + std::to_string(s),
                             .label = label,
                             .predicted = right ? label : 1 - label});
    }
  }
  return predictions;
}

double share_correct(const std::vector<Prediction>& predictions) {
  double correct = 0;
  for (const Prediction& p : predictions) correct += p.label == p.predicted;
  return correct / static_cast<double>(predictions.size());
}

bool same(const Interval& a, const Interval& b) {
  return a.estimate == b.estimate && a.low == b.low && a.high == b.high;
}

}  // namespace

TEST_CASE("mean and both standard deviations") {
  const std::vector<double> values = {2, 4, 4, 4, 5, 5, 7, 9};
  CHECK(mean(values) == Approx(5));
  CHECK(standard_deviation(values, Deviation::population) == Approx(2));
  CHECK(standard_deviation(values) == Approx(std::sqrt(32.0 / 7)));
  CHECK(std::isnan(mean({})));
  CHECK(std::isnan(standard_deviation({1.0})));
  CHECK(standard_deviation({1.0}, Deviation::population) == 0);
}

TEST_CASE("McNemar's exact test gives the binomial tails") {
  // 2 (1 + 10 + 45) / 2^10 and 2 / 2^5.
  CHECK(mcnemar_exact(2, 8).p_value == Approx(112.0 / 1024));
  CHECK(mcnemar_exact(8, 2).p_value == Approx(112.0 / 1024));
  CHECK(mcnemar_exact(0, 5).p_value == Approx(0.0625));
  CHECK(mcnemar_exact(0, 0).p_value == 1);
  CHECK(mcnemar_exact(7, 7).p_value == 1);
  // Large counts: close to the normal approximation with continuity correction, z = 39 / sqrt(400).
  const double z = 39 / std::sqrt(400.0);
  CHECK(mcnemar_exact(180, 220).p_value == Approx(std::erfc(z / std::sqrt(2.0))).epsilon(0.01));
  CHECK_THROWS_AS(mcnemar_exact(-1, 0), std::invalid_argument);
}

TEST_CASE("the interval holds the estimate, repeats for a seed and moves with it") {
  const std::vector<Prediction> predictions = made_predictions(1);
  const AccuracyIntervals first = bootstrap_intervals(predictions, 2, {.seed = 5});
  const AccuracyIntervals again = bootstrap_intervals(predictions, 2, {.seed = 5});
  const AccuracyIntervals other = bootstrap_intervals(predictions, 2, {.seed = 6});
  CHECK(same(first.wa, again.wa));
  CHECK(same(first.ua, again.ua));
  CHECK_FALSE(same(first.wa, other.wa));
  CHECK(first.speakers == kSpeakers);
  CHECK(first.wa.estimate == Approx(share_correct(predictions)));
  CHECK(first.wa.low < first.wa.estimate);
  CHECK(first.wa.estimate < first.wa.high);
  CHECK(first.wa.low == Approx(other.wa.low).epsilon(0.02));
  const AccuracyIntervals narrow = bootstrap_intervals(predictions, 2, {.seed = 5, .level = 0.5});
  CHECK(narrow.wa.high - narrow.wa.low < 0.6 * (first.wa.high - first.wa.low));
}

TEST_CASE("a 95% interval covers the true accuracy in about 95% of made worlds") {
  constexpr int kWorlds = 200;
  int covered = 0;
  for (int world = 0; world < kWorlds; ++world) {
    const Interval wa =
        bootstrap_intervals(made_predictions(100 + world), 2, {.resamples = 400}).wa;
    covered += wa.low <= kTrueAccuracy && kTrueAccuracy <= wa.high;
  }
  // Thirty clusters cover a little less than the level; four standard errors are 6 points.
  CHECK(covered >= 0.88 * kWorlds);
  CHECK(covered <= 0.995 * kWorlds);
}

TEST_CASE("speakers are drawn whole: alike recordings widen the interval") {
  // Ten speakers, five always right and five always wrong: ten observations, not 200.
  std::vector<Prediction> clustered;
  for (int s = 0; s < 10; ++s) {
    for (int i = 0; i < 20; ++i) {
      clustered.push_back({.id = std::to_string(20 * s + i),
                           .speaker = "s" + std::to_string(s),
                           .label = 0,
                           .predicted = s % 2});
    }
  }
  std::vector<Prediction> alone = clustered;
  for (Prediction& p : alone) p.speaker = "only";
  const AccuracyIntervals wide = bootstrap_intervals(clustered, 2);
  const AccuracyIntervals narrow = bootstrap_intervals(alone, 2);
  CHECK(wide.wa.high - wide.wa.low > 0.5);  // 2 * 1.96 * sqrt(0.25 / 10) = 0.62
  CHECK(narrow.wa.high - narrow.wa.low == Approx(2 * 1.96 * std::sqrt(0.25 / 200)).epsilon(0.1));
  CHECK(narrow.speakers == 1);
}

TEST_CASE("two speakers are too few to be drawn whole") {
  std::vector<Prediction> predictions;
  for (int i = 0; i < 100; ++i) {
    predictions.push_back({.id = std::to_string(i),
                           .speaker = i % 2 == 0 ? "x" : "y",
                           .label = 0,
                           .predicted = i < 50 ? 0 : 1});
  }
  // Both speakers are right half of the time: draws of whole speakers would all give 0.5.
  const AccuracyIntervals intervals = bootstrap_intervals(predictions, 2);
  CHECK(intervals.speakers == 2);
  CHECK(intervals.wa.high - intervals.wa.low ==
        Approx(2 * 1.96 * std::sqrt(0.25 / 100)).epsilon(0.15));
  CHECK(interval_note(intervals).find("2 speakers") != std::string::npos);
}

TEST_CASE("UA of a draw counts the classes that it holds") {
  // Speaker x has class 0 only, always right; speaker y class 1 only, never right. A draw holds x
  // twice (UA 1), y twice (UA 0) or both (UA 1/2).
  const std::vector<Prediction> predictions = {
      {.id = "1", .speaker = "x", .label = 0, .predicted = 0},
      {.id = "2", .speaker = "y", .label = 1, .predicted = 0}};
  const AccuracyIntervals intervals = bootstrap_intervals(predictions, 2);
  CHECK(intervals.ua.estimate == Approx(0.5));
  CHECK(intervals.ua.low == 0);
  CHECK(intervals.ua.high == 1);
}

TEST_CASE("a paired comparison finds a difference that is there, and none where there is none") {
  const std::vector<Prediction> weak = made_predictions(3, 0.6, 1);
  const std::vector<Prediction> strong = made_predictions(3, 0.8, 2);
  const PairedComparison found = compare_paired("weak", weak, "strong", strong, 2);
  CHECK(found.pairs == kSpeakers * kPerSpeaker);
  CHECK(found.wa_difference.estimate == Approx(share_correct(strong) - share_correct(weak)));
  CHECK(found.wa_difference.low > 0.1);
  CHECK(found.wa_p_value < 0.01);
  CHECK(found.ua_p_value < 0.01);
  CHECK(found.mcnemar.p_value < 1e-6);
  CHECK(found.mcnemar.only_second > found.mcnemar.only_first);

  const PairedComparison itself = compare_paired("weak", weak, "weak", weak, 2);
  CHECK(itself.wa_difference.estimate == 0);
  CHECK(itself.wa_difference.low == 0);
  CHECK(itself.wa_p_value == 1);
  CHECK(itself.mcnemar.p_value == 1);

  const PairedComparison turned = compare_paired("strong", strong, "weak", weak, 2);
  CHECK(turned.wa_difference.low == Approx(-found.wa_difference.high));
}

TEST_CASE("pairs are found by recording, fold and seed, in any order") {
  const std::vector<Prediction> first = made_predictions(4, 0.6, 1);
  const std::vector<Prediction> second = made_predictions(4, 0.7, 2);
  std::vector<Prediction> turned(second.rbegin(), second.rend());
  const PairedComparison a = compare_paired("1", first, "2", second, 2);
  const PairedComparison b = compare_paired("1", first, "2", turned, 2);
  CHECK(same(a.wa_difference, b.wa_difference));
  CHECK(a.mcnemar.only_first == b.mcnemar.only_first);

  std::vector<Prediction> broken = second;
  broken[0].seed = 9;
  CHECK_THROWS_AS(compare_paired("1", first, "2", broken, 2), std::invalid_argument);
  broken = second;
  broken[0].label = 1 - broken[0].label;
  CHECK_THROWS_AS(compare_paired("1", first, "2", broken, 2), std::invalid_argument);
  broken = second;
  broken[0].id = broken[1].id;
  CHECK_THROWS_AS(compare_paired("1", first, "2", broken, 2), std::invalid_argument);
  broken.pop_back();
  CHECK_THROWS_AS(compare_paired("1", first, "2", broken, 2), std::invalid_argument);
}

TEST_CASE("statistics refuse what they cannot answer") {
  const std::vector<Prediction> predictions = made_predictions(1);
  CHECK_THROWS_AS(bootstrap_intervals({}, 2), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_intervals(predictions, 1), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_intervals(predictions, 2, {.resamples = 10}), std::invalid_argument);
  CHECK_THROWS_AS(bootstrap_intervals(predictions, 2, {.level = 1}), std::invalid_argument);
}
