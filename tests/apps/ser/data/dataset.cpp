// Normalisation, segments, batches, and the grouping of whole recordings.

#include "apps/ser/data/dataset.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/ser/common/error.h"
#include "tensor/random.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Features from values made up by f(bin, frame).
template <class F>
Features make_features(std::int64_t bins, std::int64_t frames, F&& f) {
  auto values = std::make_shared<std::vector<float>>();
  for (std::int64_t b = 0; b < bins; ++b) {
    for (std::int64_t t = 0; t < frames; ++t) values->push_back(static_cast<float>(f(b, t)));
  }
  return {bins, frames, values->data(), values};
}

// Recordings of the given lengths: 3 bins, random values around 10 * bin; bin 2 is constant.
std::vector<Features> random_features(const std::vector<std::int64_t>& lengths) {
  std::vector<Features> features;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    features.push_back(make_features(3, lengths[r], [&](std::int64_t b, std::int64_t t) {
      const double x = normal({r, Purpose::test, 3}, b * 10000 + t);
      return b == 2 ? -9.21 : 10.0 * b + (b + 1) * x;
    }));
  }
  return features;
}

Dataset make_dataset(const std::vector<std::int64_t>& lengths,
                     NormalisationKind kind = NormalisationKind::per_bin) {
  const std::vector<Features> features = random_features(lengths);
  std::vector<std::int64_t> all;
  std::vector<int> labels;
  for (std::size_t r = 0; r < lengths.size(); ++r) {
    all.push_back(static_cast<std::int64_t>(r));
    labels.push_back(static_cast<int>(r % 4));
  }
  return Dataset(features, labels, all, fit_normalisation(features, all, kind));
}

}  // namespace

TEST_CASE("dataset: statistics per bin are those of all frames together") {
  const std::vector<Features> features = random_features({7, 200, 33, 1});
  const Normalisation got = fit_normalisation(features, {0, 1, 3});
  REQUIRE(got.mean.size() == 3);
  for (int b = 0; b < 3; ++b) {
    double count = 0, sum = 0, squares = 0;
    for (const int r : {0, 1, 3}) {
      for (std::int64_t t = 0; t < features[r].frames; ++t) {
        count += 1;
        sum += features[r].values[b * features[r].frames + t];
      }
    }
    for (const int r : {0, 1, 3}) {
      for (std::int64_t t = 0; t < features[r].frames; ++t) {
        squares += std::pow(features[r].values[b * features[r].frames + t] - sum / count, 2);
      }
    }
    CHECK(got.mean[b] == doctest::Approx(sum / count).epsilon(1e-6));
    if (b < 2) CHECK(got.stddev[b] == doctest::Approx(std::sqrt(squares / count)).epsilon(1e-6));
  }
  CHECK(got.stddev[2] == 1.0f);  // a bin that never changes
  // Recording 2 took no part: changing it changes nothing.
  std::vector<Features> other = features;
  other[2] = make_features(3, 9, [](auto, auto) { return 1e6; });
  CHECK(fit_normalisation(other, {0, 1, 3}).mean == got.mean);
}

TEST_CASE("dataset: the three scopes of normalisation") {
  const Dataset per_bin = make_dataset({120, 80});
  const Dataset own = make_dataset({120, 80}, NormalisationKind::per_utterance);
  const auto moments = [](const Dataset& set, int bin) {
    double sum = 0, squares = 0, count = 0;
    for (const std::int64_t r : set.recordings()) {
      const std::int64_t frames = set.frames(r);
      const std::vector<real> values = set.utterance(r).input.to_vector();
      for (std::int64_t t = 0; t < frames; ++t) {
        const double x = values[bin * frames + t];
        sum += x, squares += x * x, count += 1;
      }
    }
    return std::pair(sum / count, squares / count);
  };
  for (const int bin : {0, 1}) {
    for (const Dataset* set : {&per_bin, &own}) {
      CHECK(std::abs(moments(*set, bin).first) < 1e-5);
      CHECK(moments(*set, bin).second == doctest::Approx(1).epsilon(1e-4));
    }
  }
  CHECK(std::abs(moments(per_bin, 2).first) < 1e-5);
  CHECK(moments(per_bin, 2).second < 1e-9);
  const std::vector<Features> features = random_features({120, 80});
  const Normalisation global = fit_normalisation(features, {0, 1}, NormalisationKind::global);
  CHECK(global.mean == std::vector<float>(3, global.mean[0]));
  CHECK(global.mean[0] == doctest::Approx((0 + 10 - 9.21) / 3).epsilon(0.3));
  CHECK(fit_normalisation(features, {0}, NormalisationKind::per_utterance).mean.empty());
  // The mean of each recording, and what is left of the variance over all of them.
  const Dataset own_mean = make_dataset({120, 80}, NormalisationKind::utterance_mean);
  for (const int bin : {0, 1}) {
    CHECK(moments(own_mean, bin).second == doctest::Approx(1).epsilon(1e-4));
    for (const std::int64_t r : own_mean.recordings()) {
      const Tensor values = own_mean.utterance(r).input.slice(2, bin, 1).contiguous();
      double sum = 0;
      for (const real x : values.to_vector()) sum += x;
      CHECK(std::abs(sum / static_cast<double>(values.numel())) < 1e-5);
    }
  }
  const Normalisation within =
      fit_normalisation(features, {0, 1}, NormalisationKind::utterance_mean);
  CHECK(within.mean == std::vector<float>(3, 0.0f));
  CHECK(within.stddev[0] < fit_normalisation(features, {0, 1}).stddev[0]);
  CHECK(within.stddev[2] == 1.0f);
  CHECK(parse_setting<NormalisationKind>("normalisation", "global") == NormalisationKind::global);
  CHECK_THROWS_AS(parse_setting<NormalisationKind>("normalisation", "none"), InputError);
}

TEST_CASE("dataset: segments do not overlap, long tails stay, short recordings stay") {
  const auto cut = [](std::int64_t frames) {
    std::vector<std::pair<std::int64_t, std::int64_t>> list;
    for (const Segment& segment : cut_segments(5, frames)) {
      CHECK(segment.recording == 5);
      list.emplace_back(segment.start, segment.frames);
    }
    return list;
  };
  using List = std::vector<std::pair<std::int64_t, std::int64_t>>;
  CHECK(cut(1) == List{{0, 1}});
  CHECK(cut(49) == List{{0, 49}});
  CHECK(cut(197) == List{{0, 197}});
  CHECK(cut(200) == List{{0, 200}});
  CHECK(cut(249) == List{{0, 200}});
  CHECK(cut(250) == List{{0, 200}, {200, 50}});
  CHECK(cut(400) == List{{0, 200}, {200, 200}});
  CHECK(cut(2909).size() == 15);  // IEMOCAP's longest: the tail of 109 frames stays
  CHECK_THROWS_AS(cut_segments(0, 10, {0, 1}), std::invalid_argument);
}

TEST_CASE("dataset: batches hold normalised frames, then zeros") {
  const Dataset set = make_dataset({197, 460});
  REQUIRE(set.segment_count() == 4);  // 1 + 3
  const Batch batch = set.make_batch({3, 0});
  CHECK(batch.input.shape() == Shape{2, 1, 3, 200});
  CHECK(batch.labels == std::vector<std::int64_t>{1, 0});
  const Tensor longer = set.utterance(1).input, shorter = set.utterance(0).input;
  CHECK(longer.shape() == Shape{1, 1, 3, 460});
  for (std::int64_t b = 0; b < 3; ++b) {
    for (std::int64_t t = 0; t < 200; ++t) {
      const real tail = t < 60 ? longer.at({0, 0, b, 400 + t}) : 0;
      const real whole = t < 197 ? shorter.at({0, 0, b, t}) : 0;
      REQUIRE(batch.input.at({0, 0, b, t}) == tail);
      REQUIRE(batch.input.at({1, 0, b, t}) == whole);
    }
  }
}

TEST_CASE("dataset: the order of an epoch is a permutation that seed and epoch decide") {
  const Dataset set = make_dataset({2000, 2000, 2000, 300});
  const std::vector<std::int64_t> order = set.epoch_order(1, 0);
  std::vector<std::int64_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < set.segment_count(); ++i) CHECK(sorted[i] == i);
  CHECK(set.epoch_order(1, 0) == order);
  CHECK(set.epoch_order(1, 1) != order);
  CHECK(set.epoch_order(2, 0) != order);
}

TEST_CASE("dataset: a subset keeps the indices of the corpus") {
  const std::vector<Features> features = random_features({210, 220, 230});
  const Normalisation normalisation = fit_normalisation(features, {0});
  const Dataset set(features, {0, 1, 2}, {2, 1}, normalisation);
  CHECK(set.recordings() == std::vector<std::int64_t>{2, 1});
  CHECK(set.segment_count() == 2);
  CHECK(set.make_batch({0}).labels == std::vector<std::int64_t>{2});
  CHECK(set.utterance(1).input.size(3) == 220);
  CHECK_THROWS_AS(Dataset(features, {0, 1}, {0}, normalisation), std::invalid_argument);
  CHECK_THROWS_AS(Dataset(features, {0, 1, 2}, {}, normalisation), std::invalid_argument);
  CHECK_THROWS_AS(Dataset(features, {0, 1, 2}, {0}, Normalisation{}), std::invalid_argument);
}

TEST_CASE("dataset: gains are drawn per recording and epoch, and are those of scaled samples") {
  const FeatureSettings settings = feature_preset("mel");
  std::vector<std::vector<float>> waves;
  for (const int seconds : {5, 1, 2}) {
    waves.push_back(noise(seconds * kSampleRate, static_cast<std::uint64_t>(seconds)));
  }
  const auto features_at = [&](const std::vector<float>& gains) {
    std::vector<Features> features;
    for (std::size_t r = 0; r < waves.size(); ++r) {
      std::vector<float> wave = waves[r];
      for (float& sample : wave) sample *= gains[r];
      features.push_back(features_of(wave, settings, "noise"));
    }
    return features;
  };
  const std::vector<Features> features = features_at({1, 1, 1});
  const Normalisation normalisation = fit_normalisation(features, {0, 1, 2});
  Dataset data(features, {0, 1, 2}, {0, 1, 2}, normalisation);
  const std::vector<std::int64_t> segments = {3, 0, 2, 1};  // of recordings 1, 0, 0, 0
  CHECK(data.plan_training(segments, 1, 1).gains.empty());
  data.augment_gain(12, settings);
  const BatchPlan plan = data.plan_training(segments, 1, 1);
  REQUIRE(plan.gains.size() == 4);
  CHECK(plan.gains[1] == plan.gains[2]);
  CHECK(plan.gains[1] == plan.gains[3]);
  CHECK(plan.gains[0] != plan.gains[1]);
  CHECK(data.plan_training(segments, 1, 1).gains == plan.gains);
  CHECK(data.plan_training(segments, 1, 2).gains != plan.gains);
  CHECK(data.plan_training(segments, 2, 1).gains != plan.gains);
  CHECK(data.plan_segments(segments).gains.empty());
  CHECK(data.plan_utterances({1}).gains.empty());

  const std::vector<Features> scaled = features_at({plan.gains[1], plan.gains[0], 1});
  const Dataset expected(scaled, {0, 1, 2}, {0, 1, 2}, normalisation);
  const std::vector<real> a = data.gather(plan).input.to_vector();
  const std::vector<real> e = expected.make_batch(segments).input.to_vector();
  REQUIRE(a.size() == e.size());
  double worst = 0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max<double>(worst, std::abs(a[i] - e[i]));
  CHECK(worst < 1e-3);
  CHECK(data.gather(plan).input.to_vector() != data.make_batch(segments).input.to_vector());

  // Uniform in decibels: both ends are reached, and the mean is near 0.
  double lowest = 0, highest = 0, sum = 0;
  for (std::uint64_t epoch = 0; epoch < 200; ++epoch) {
    const double decibels = 20 * std::log10(data.plan_training({0}, 3, epoch).gains[0]);
    lowest = std::min(lowest, decibels);
    highest = std::max(highest, decibels);
    sum += decibels;
  }
  CHECK(lowest >= -12);
  CHECK(lowest < -11);
  CHECK(highest <= 12);
  CHECK(highest > 11);
  CHECK(std::abs(sum / 200) < 1.5);

  FeatureSettings smoothed = settings;
  smoothed.kind = FeatureKind::pcen;
  CHECK_THROWS_AS(data.augment_gain(12, smoothed), std::invalid_argument);
  CHECK_THROWS_AS(data.augment_gain(-1, settings), std::invalid_argument);
}

TEST_CASE("dataset: whole recordings of one length are evaluated together, every one once") {
  const Dataset set = make_dataset({197, 60, 197, 197, 5000, 60, 197, 4000});
  const auto groups = set.equal_length_groups(3, 400);
  std::multiset<std::int64_t> seen;
  for (const auto& group : groups) {
    REQUIRE_FALSE(group.empty());
    const Batch batch = set.utterances(group);
    CHECK(batch.input.size(0) == static_cast<std::int64_t>(group.size()));
    CHECK(group.size() <= 3);
    CHECK((group.size() == 1 || batch.input.size(0) * batch.input.size(3) <= 400));
    for (std::size_t i = 0; i < group.size(); ++i) {
      seen.insert(group[i]);
      const auto row = static_cast<std::int64_t>(i);
      CHECK(batch.input.slice(0, row, 1).to_vector() == set.utterance(group[i]).input.to_vector());
    }
  }
  CHECK(seen == std::multiset<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(groups.size() == 5);  // two pairs of 197, one of 60, and the two long ones alone
  CHECK_THROWS_AS(set.utterances({0, 1}), std::invalid_argument);
}

}  // namespace serenade::ser
