// Per-channel energy normalisation against its formula.

#include "apps/ser/features/pcen.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "apps/ser/features/features.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

TEST_CASE("pcen: the formula, row by row") {
  const std::vector<float> energies = {4, 4, 0, 100, 1e-3f, 1e-3f, 1e-3f, 2};
  std::vector<float> values = energies;
  pcen(values.data(), 2, 4);
  for (int row = 0; row < 2; ++row) {
    double smooth = energies[4 * row];
    for (int t = 0; t < 4; ++t) {
      const double energy = energies[4 * row + t];
      if (t > 0) smooth = (1 - 0.025) * smooth + 0.025 * energy;
      const double expected =
          std::sqrt(energy / std::pow(1e-6 + smooth, 0.98) + 2) - std::sqrt(2.0);
      CHECK(values[4 * row + t] == doctest::Approx(expected).epsilon(1e-6));
    }
  }
}

TEST_CASE("pcen: a steady level falls out, but for what its power leaves of it") {
  std::vector<float> soft(300, 0.1f), loud(300, 1000.0f), silent(300, 0.0f);
  for (std::vector<float>* values : {&soft, &loud, &silent}) pcen(values->data(), 1, 300);
  const double left = std::pow(1e4, 0.02);  // g^(1 - alpha)
  const auto ratio = [](float value) { return std::pow(value + std::sqrt(2.0), 2) - 2; };
  CHECK(ratio(loud[299]) / ratio(soft[299]) == doctest::Approx(left).epsilon(1e-4));
  for (const float value : silent) REQUIRE(value == 0);
}

TEST_CASE("pcen: the front end smooths the bands of mel along time, for any number of threads") {
  const std::vector<float> wave = noise(20000);
  FeatureSettings settings = feature_preset("mel");
  const std::vector<real> logarithms = spectrogram(wave, settings).to_vector();
  settings.kind = FeatureKind::pcen;
  CHECK(settings.rows() == 64);
  const std::int64_t frames = frame_count(20000, settings);
  std::vector<float> expected;
  for (const real value : logarithms) expected.push_back(std::exp(value) - 1e-6f);
  pcen(expected.data(), 64, frames);
  const std::vector<real> once = spectrogram(wave, settings).to_vector();
  REQUIRE(once.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    REQUIRE(once[i] == doctest::Approx(expected[i]).epsilon(1e-3));
  }
  FrontEnd front_end(settings, 3);
  std::vector<float> again(expected.size());
  front_end.run(wave.data(), 20000, again.data());
  CHECK(std::vector<real>(again.begin(), again.end()) == once);
}

}  // namespace serenade::ser
