// Loudness against the values that the standards state.

#include "apps/ser/features/loudness.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

constexpr int kTableRate = 48000;  // of the standard's coefficients

// A sine whose peaks lie at so many decibels of full scale.
std::vector<float> sine(double hertz, double decibels, double seconds, int rate) {
  std::vector<float> wave = tone(hertz, static_cast<std::int64_t>(seconds * rate), rate);
  for (float& sample : wave) {
    sample = static_cast<float>(sample * 2 * std::pow(10, decibels / 20));
  }
  return wave;
}

void append(std::vector<float>& wave, const std::vector<float>& more) {
  wave.insert(wave.end(), more.begin(), more.end());
}

double peak_of(const std::vector<float>& wave) {
  double peak = 0;
  for (const float sample : wave) peak = std::max<double>(peak, std::abs(sample));
  return peak;
}

}  // namespace

TEST_CASE("loudness: at 48 kHz the filters are the standard's") {
  const auto [shelf, high_pass] = k_weighting(kTableRate);
  CHECK(shelf.b0 == doctest::Approx(1.53512485958697).epsilon(1e-12));
  CHECK(shelf.b1 == doctest::Approx(-2.69169618940638).epsilon(1e-12));
  CHECK(shelf.b2 == doctest::Approx(1.19839281085285).epsilon(1e-12));
  CHECK(shelf.a1 == doctest::Approx(-1.69065929318241).epsilon(1e-12));
  CHECK(shelf.a2 == doctest::Approx(0.73248077421585).epsilon(1e-12));
  CHECK(high_pass.b1 == doctest::Approx(-2).epsilon(1e-9));
  CHECK(high_pass.a1 == doctest::Approx(-1.99004745483398).epsilon(1e-12));
  CHECK(high_pass.a2 == doctest::Approx(0.99007225036621).epsilon(1e-12));
}

// BS.1770-4: a sine of 997 Hz at 0 dB of full scale in one channel reads -3.01; EBU Tech 3341 asks
// for its test signals to within 0.1 LU.
TEST_CASE("loudness: a sine of 997 Hz reads -3.01 at full scale, and falls with its level") {
  for (const double decibels : {0.0, -20.0}) {
    CAPTURE(decibels);
    CHECK(std::abs(loudness(sine(997, decibels, 3, kTableRate), kTableRate) - (decibels - 3.01)) <
          0.01);
    CHECK(std::abs(loudness(sine(997, decibels, 3, kSampleRate)) - (decibels - 3.01)) < 0.06);
  }
}

TEST_CASE("loudness: sampling rates agree on what both can hold") {
  for (const double hertz : {50.0, 200.0, 1000.0, 2500.0, 4000.0, 6000.0}) {
    CAPTURE(hertz);
    CHECK(std::abs(loudness(sine(hertz, -10, 2, kTableRate), kTableRate) -
                   loudness(sine(hertz, -10, 2, kSampleRate))) < 0.1);
  }
}

// Cases 3 and 4 of EBU Tech 3341, in one channel, 3.01 LU below two; edges at -72 dB are for the
// gate at -70.
TEST_CASE("loudness: what is soft between loud parts, and silence, do not count") {
  const int rate = kTableRate;
  std::vector<float> wave = sine(1000, -36, 10, rate);
  append(wave, sine(1000, -23, 60, rate));
  append(wave, sine(1000, -36, 10, rate));
  CHECK(std::abs(loudness(wave, rate) + 26.01) < 0.1);
  std::vector<float> outer = sine(1000, -72, 10, rate);
  append(outer, wave);
  append(outer, sine(1000, -72, 10, rate));
  CHECK(std::abs(loudness(outer, rate) + 26.01) < 0.1);
  // Without the gates: 6 dB less for three quarters of silence.
  std::vector<float> rare = sine(1000, -23, 10, rate);
  append(rare, std::vector<float>(static_cast<std::size_t>(30 * rate), 0.0f));
  CHECK(std::abs(loudness(rare, rate) + 26.01) < 0.2);
}

TEST_CASE("loudness: silence has none, and less than a block is one") {
  CHECK(loudness({}) == -INFINITY);
  CHECK(loudness(std::vector<float>(16000, 0.0f)) == -INFINITY);
  CHECK(loudness(std::vector<float>(16000, 1e-5f)) == -INFINITY);  // below the gate
  CHECK(std::abs(loudness(sine(997, -20, 0.3, kSampleRate)) + 23.01) < 0.3);
  CHECK(std::isfinite(loudness({1.0f})));
}

TEST_CASE("loudness: recordings of every level come to the same samples") {
  std::vector<float> wave = noise(40000);
  for (std::size_t i = 0; i < 8000; ++i) wave[i] *= 1e-3f;  // a pause
  std::vector<float> at_target = wave;
  bring_to_target_loudness(at_target);
  CHECK(std::abs(loudness(at_target) - kTargetLoudness) < 1e-4);
  for (const double decibels : {-60.0, -20.0, -6.0, 6.0}) {
    CAPTURE(decibels);
    std::vector<float> other = wave;
    for (float& sample : other) sample *= static_cast<float>(std::pow(10, decibels / 20));
    bring_to_target_loudness(other);
    double worst = 0;
    for (std::size_t i = 0; i < wave.size(); ++i) {
      worst = std::max<double>(worst, std::abs(other[i] - at_target[i]));
    }
    CHECK(worst < 1e-6 * peak_of(at_target));
  }
}

TEST_CASE("loudness: no signal becomes infinite, and silence stays") {
  for (const std::vector<float>& wave :
       {std::vector<float>{}, std::vector<float>{1}, std::vector<float>{1e-45f},
        std::vector<float>(20000, 0.0f), std::vector<float>(20000, 1.0f),
        std::vector<float>(20000, 1e-40f), tone(8000, 20000)}) {
    std::vector<float> scaled = wave;
    bring_to_target_loudness(scaled);
    for (const float sample : scaled) REQUIRE(std::isfinite(sample));
    CHECK(peak_of(scaled) < 1e4);
    if (peak_of(wave) == 0) CHECK(scaled == wave);
  }
}

}  // namespace serenade::ser
