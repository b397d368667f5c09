// What the network is given of a recording and of the same at another level: the same, with front
// ends that do not depend on it, and not the same with the others.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "apps/ser/data/dataset.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Three seconds that rise and fall four times a second over a soft background, as speech does.
std::vector<float> babble(std::uint64_t seed) {
  std::vector<float> wave = noise(48000, seed);
  double before = 0;
  for (std::size_t n = 0; n < wave.size(); ++n) {
    const double t = static_cast<double>(n) / kSampleRate;
    const double envelope =
        0.02 + std::pow(std::sin(4 * std::numbers::pi * t + static_cast<double>(seed)), 4);
    before = 0.7 * before + wave[n] * envelope;  // more power below than above
    wave[n] = static_cast<float>(before);
  }
  return wave;
}

std::vector<float> with_silent_edges(std::vector<float> wave) {
  std::vector<float> edge(16000);
  wave.insert(wave.begin(), edge.begin(), edge.end());
  wave.insert(wave.end(), edge.begin(), edge.end());
  return wave;
}

struct FrontEndCase {
  NormalisationKind normalisation = NormalisationKind::per_bin;
  FeatureSettings features = feature_preset("mel");
};

// The largest difference of what a network is given, in standard deviations: of a recording so many
// decibels louder and as it is, both as a model that was trained on it and two others sees them.
double difference(const FrontEndCase& front_end, double decibels, bool silent_edges = false) {
  const auto recording = [&](std::uint64_t seed, double gain) {
    std::vector<float> wave = silent_edges ? with_silent_edges(babble(seed)) : babble(seed);
    for (float& sample : wave) sample = static_cast<float>(sample * gain);
    return features_of(wave, front_end.features, "babble");
  };
  const std::vector<Features> features = {recording(1, 1), recording(2, 1), recording(3, 1),
                                          recording(1, std::pow(10, decibels / 20))};
  const Normalisation normalisation =
      fit_normalisation(features, {0, 1, 2}, front_end.normalisation);
  const Dataset data(features, {0, 1, 2, 3}, {0, 3}, normalisation);
  const std::vector<real> as_is = data.utterance(0).input.to_vector();
  const std::vector<real> louder = data.utterance(3).input.to_vector();
  REQUIRE(as_is.size() == louder.size());
  double worst = 0;
  for (std::size_t i = 0; i < as_is.size(); ++i) {
    worst = std::max<double>(worst, std::abs(as_is[i] - louder[i]));
  }
  return worst;
}

}  // namespace

// In standard deviations of what the network is given.
TEST_CASE("levels: what depends on the level, what does not, and what nearly does not") {
  FrontEndCase plain, global, own_mean, own, loudness, smoothed;
  global.normalisation = NormalisationKind::global;
  own_mean.normalisation = NormalisationKind::utterance_mean;
  own.normalisation = NormalisationKind::per_utterance;
  loudness.features.level = RecordingLevel::loudness;
  smoothed.features.kind = FeatureKind::pcen;
  for (const double decibels : {-20.0, -6.0, 6.0}) {
    CAPTURE(decibels);
    const double far = std::abs(decibels) / 20;
    CHECK(difference(plain, decibels) > 1.5 * far);
    CHECK(difference(global, decibels) > far);
    CHECK(difference(own_mean, decibels) < 0.05);  // the floor of the logarithm is heard at -20
    CHECK(difference(own, decibels) < 0.05);
    CHECK(difference(loudness, decibels) < 1e-5);
    CHECK(difference(smoothed, decibels) < 0.35 * far);
  }
}

TEST_CASE("levels: zeros at the edges undo a recording's own mean, unless they are cut off") {
  FrontEndCase own_mean, own, loudness;
  own_mean.normalisation = NormalisationKind::utterance_mean;
  own.normalisation = NormalisationKind::per_utterance;
  loudness.features.level = RecordingLevel::loudness;
  for (const double decibels : {-20.0, -6.0}) {
    CAPTURE(decibels);
    CHECK(difference(loudness, decibels, true) < 1e-5);
    for (FrontEndCase front_end : {own_mean, own}) {
      CHECK(difference(front_end, decibels, true) > 0.1);
      front_end.features.trim = 40;
      CHECK(difference(front_end, decibels, true) < 0.05);
    }
  }
}

}  // namespace serenade::ser
