// A spectrogram at another level is that of the scaled samples.

#include "apps/ser/features/level_change.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("level change: a spectrogram becomes that of scaled samples, its floor included") {
  std::vector<float> wave = noise(3000);
  for (std::size_t i = 1000; i < 2000; ++i) wave[i] *= 3e-5f;  // as soft as the floor
  for (std::size_t i = 2000; i < 3000; ++i) wave[i] = 0;
  for (const FeatureKind kind : {FeatureKind::log, FeatureKind::magnitude, FeatureKind::power,
                                 FeatureKind::mulaw, FeatureKind::mel}) {
    FeatureSettings settings = feature_preset(kind == FeatureKind::mel ? "mel" : "small");
    settings.kind = kind;
    REQUIRE(can_change_level(settings));
    for (const double decibels : {-20.0, -6.0, 0.0, 6.0, 20.0}) {
      CAPTURE(to_string(kind));
      CAPTURE(decibels);
      const float gain = static_cast<float>(std::pow(10, decibels / 20));
      std::vector<float> scaled = wave;
      for (float& sample : scaled) sample *= gain;
      const std::vector<real> expected = spectrogram(scaled, settings).to_vector();
      const std::vector<real> before = spectrogram(wave, settings).to_vector();
      std::vector<float> changed(before.begin(), before.end());
      change_level(changed.data(), std::ssize(changed), settings, gain);
      double worst = 0, lifted = 0;
      for (std::size_t i = 0; i < changed.size(); ++i) {
        worst = std::max<double>(
            worst, std::abs(changed[i] - expected[i]) / (1e-3 + std::abs(expected[i])));
        lifted = std::max<double>(lifted, std::abs(before[i] + std::log(gain) - expected[i]));
      }
      CHECK(worst < 1e-3);
      // What is not exact: a constant added to the logarithm, which lifts the floor too.
      if (kind == FeatureKind::log && decibels != 0) CHECK(lifted > 0.5);
    }
  }
}

TEST_CASE("level change: pcen does not tell, and a gain is above 0") {
  FeatureSettings settings = feature_preset("mel");
  float value = 0;
  CHECK_THROWS_AS(change_level(&value, 1, settings, 0), std::invalid_argument);
  settings.kind = FeatureKind::pcen;
  CHECK_FALSE(can_change_level(settings));
  CHECK_THROWS_AS(change_level(&value, 1, settings, 2), std::invalid_argument);
}

}  // namespace serenade::ser
