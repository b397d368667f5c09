// The front end against its golden file and its definition.

#include "apps/ser/features/features.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <functional>
#include <set>

#include "apps/ser/common/error.h"
#include "tensor/random.h"
#include "tests/apps/ser/common/files.h"
#include "tests/golden.h"

namespace serenade::ser {

namespace {

// |X_t[f]|^2 straight from the definition, in double.
double power_by_definition(const std::vector<float>& wave, const FeatureSettings& settings,
                           std::int64_t t, int bin) {
  const double pi = 3.14159265358979323846;
  std::complex<double> sum = 0;
  for (int n = 0; n < settings.window; ++n) {
    const std::size_t index = t * settings.hop_length + n;
    const double sample = index < wave.size() ? wave[index] : 0.0;
    const double hann = 0.5 - 0.5 * std::cos(2 * pi * n / settings.window);
    sum += sample * hann * std::polar(1.0, -2 * pi * bin * n / settings.n_fft);
  }
  return std::norm(sum);
}

// Log values within 1e-5 of the largest one, plus what the logarithm makes of rounding the
// magnitude: a float transform errs everywhere by up to half a unit in the last place of the
// LARGEST magnitude, and between two lines of a spectrum that is much of a small one.
void check_logarithms(const Tensor& actual, const Tensor& expected, const Tensor& magnitudes,
                      double offset) {
  REQUIRE(actual.shape() == expected.shape());
  const std::vector<real> a = actual.to_vector(), e = expected.to_vector();
  const std::vector<real> m = magnitudes.to_vector();
  double largest = 0, loudest = 0;
  for (std::size_t i = 0; i < e.size(); ++i) {
    largest = std::max<double>(largest, std::abs(e[i]));
    loudest = std::max<double>(loudest, m[i]);
  }
  int wrong = 0;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const double rounding = std::ldexp(loudest, -24) / (m[i] + offset);
    if (!(std::abs(a[i] - e[i]) <= 1e-5 * largest + rounding)) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("features: the golden spectrogram") {
  if (!has_golden("spectrogram")) {
    MESSAGE("skipped: no golden file `spectrogram` here");
    return;
  }
  const Golden file = golden("spectrogram");
  const std::vector<real> wave = file.tensor("wave").to_vector();
  const std::vector<float> samples(wave.begin(), wave.end());
  for (const int n_fft : {800, 16384}) {
    CAPTURE(n_fft);
    FeatureSettings settings;
    settings.n_fft = n_fft;
    settings.bins = n_fft / 4;
    settings.offset = 1e-6;
    const Tensor magnitudes = file.tensor("magnitude_" + std::to_string(n_fft));
    const std::int64_t frames = magnitudes.size(1);  // the long transform stores only two
    settings.kind = FeatureKind::magnitude;
    const Tensor magnitude = spectrogram(samples, settings);
    CHECK(magnitude.shape() == Shape{settings.bins, frame_count(4000, settings)});
    check_close(magnitude.slice(1, 0, frames).contiguous(), magnitudes, "magnitude");
    settings.kind = FeatureKind::log;
    check_logarithms(spectrogram(samples, settings).slice(1, 0, frames).contiguous(),
                     file.tensor("log_" + std::to_string(n_fft)), magnitudes, settings.offset);
  }
}

TEST_CASE("features: every kind follows its formula") {
  const std::vector<float> wave = noise(1200);
  FeatureSettings settings;
  settings.n_fft = 700;
  settings.bins = 351;
  for (const FeatureKind kind :
       {FeatureKind::magnitude, FeatureKind::power, FeatureKind::log, FeatureKind::mulaw}) {
    CAPTURE(to_string(kind));
    settings.kind = kind;
    const Tensor values = spectrogram(wave, settings);
    CHECK(values.shape() == Shape{351, 4});
    for (const int bin : {0, 1, 77, 349, 350}) {
      for (const std::int64_t t : {0, 3}) {
        const double power = power_by_definition(wave, settings, t, bin);
        double expected = power;
        if (kind == FeatureKind::magnitude) expected = std::sqrt(power);
        if (kind == FeatureKind::log) expected = std::log(std::sqrt(power) + 1e-4);
        if (kind == FeatureKind::mulaw) {
          expected = std::log(1 + 255 * std::sqrt(power) / 320) / std::log(256.0);
        }
        CHECK(values.at({bin, t}) == doctest::Approx(expected).epsilon(1e-4));
      }
    }
  }
}

TEST_CASE("features: mel bands sum the power under triangles") {
  const std::vector<float> wave = noise(640);
  FeatureSettings settings = feature_preset("mel");
  const Tensor values = spectrogram(wave, settings);
  CHECK(values.shape() == Shape{64, 1});
  const auto mel = [](double f) { return 2595 * std::log10(1 + f / 700); };
  const double step = (mel(8000) - mel(20)) / 65;
  for (const int band : {20, 45, 63}) {
    double energy = 0;
    for (int bin = 0; bin <= 512; ++bin) {
      const auto edge = [&](int i) {
        return 700 * (std::pow(10, (mel(20) + step * i) / 2595) - 1) * 1024 / 16000;
      };
      const double left = edge(band), centre = edge(band + 1), right = edge(band + 2);
      const double weight =
          std::max(0.0, std::min((bin - left) / (centre - left), (right - bin) / (right - centre)));
      energy += weight * power_by_definition(wave, settings, 0, bin);
    }
    CHECK(values.at({band, 0}) == doctest::Approx(std::log(energy + 1e-6)).epsilon(1e-4));
  }
}

TEST_CASE("features: no mel band is deaf, whatever their number") {
  const std::vector<float> wave = noise(640);
  FeatureSettings settings = feature_preset("mel");
  for (const int bands : {1, 64, 128, 512}) {
    settings.n_mels = bands;
    for (const float value : spectrogram(wave, settings).to_vector()) {
      CHECK(value > std::log(settings.offset) + 1);
    }
  }
}

TEST_CASE("features: frames lie fully inside, short signals give one") {
  const FeatureSettings settings = feature_preset("small");
  CHECK(frame_count(0, settings) == 1);
  CHECK(frame_count(639, settings) == 1);
  CHECK(frame_count(640, settings) == 1);
  CHECK(frame_count(799, settings) == 1);
  CHECK(frame_count(800, settings) == 2);
  CHECK(frame_count(32000, settings) == 197);
  std::vector<float> shorter = noise(100), padded = shorter;
  padded.resize(640);
  CHECK(spectrogram(shorter, settings).to_vector() == spectrogram(padded, settings).to_vector());
  for (const float value : spectrogram({}, settings).to_vector()) {
    CHECK(value == doctest::Approx(std::log(1e-4)));
  }
  // Two frames of one plan must not see each other: a short signal after a long one.
  FrontEnd front_end(settings);
  std::vector<float> first(200), second(200);
  front_end.run(shorter.data(), 100, first.data());
  const std::vector<float> loud = noise(640, 1);
  front_end.run(loud.data(), 640, second.data());
  front_end.run(shorter.data(), 100, second.data());
  CHECK(first == second);
}

TEST_CASE("features: presets, and settings that cannot be") {
  CHECK(feature_preset("paper").n_fft == 16384);
  CHECK(feature_preset("paper").rows() == 4096);
  CHECK(feature_preset("small").rows() == 200);
  CHECK(feature_preset("mel").rows() == 64);
  CHECK_THROWS_AS(feature_preset("huge"), InputError);
  CHECK_THROWS_AS(parse_setting<FeatureKind>("feature", "loud"), InputError);
  const auto refused = [](const std::function<void(FeatureSettings&)>& change) {
    FeatureSettings settings = feature_preset("mel");
    change(settings);
    return !message_of<InputError>([&] { FrontEnd front_end(settings); }).empty();
  };
  CHECK(refused([](FeatureSettings& s) { s.n_fft = 600; }));
  CHECK(refused([](FeatureSettings& s) { s.n_fft = 1025; }));
  CHECK(refused([](FeatureSettings& s) { s.bins = 514; }));
  CHECK(refused([](FeatureSettings& s) { s.bins = 0; }));
  CHECK(refused([](FeatureSettings& s) { s.hop_length = 0; }));
  CHECK(refused([](FeatureSettings& s) { s.offset = 0; }));
  CHECK(refused([](FeatureSettings& s) { s.mel_high = 9000; }));
  CHECK(refused([](FeatureSettings& s) { s.mel_low = 8000; }));
  CHECK(refused([](FeatureSettings& s) { s.trim = -1; }));
  CHECK(refused([](FeatureSettings& s) { s.kind = FeatureKind::pcen, s.n_mels = 0; }));
  CHECK_FALSE(refused([](FeatureSettings&) {}));
}

TEST_CASE("features: silent edges are cut off, by whole frames, and something always stays") {
  FeatureSettings settings = feature_preset("mel");
  std::vector<float> wave = noise(16000);
  std::fill(wave.begin(), wave.begin() + 3280, 0.0f);  // 20.5 frames
  for (std::size_t i = 8000; i < 9600; ++i) wave[i] *= 1e-4f;
  for (std::size_t i = 12640; i < 16000; ++i) wave[i] *= 1e-3f;
  CHECK(prepared(wave, settings) == wave);
  settings.trim = 40;
  const std::vector<float> cut = prepared(wave, settings);
  CHECK(cut == std::vector<float>(wave.begin() + 3200, wave.begin() + 12640));
  CHECK(spectrogram(wave, settings).size(1) == frame_count(12640 - 3200, settings));
  settings.trim = 100;
  CHECK(prepared(wave, settings) == std::vector<float>(wave.begin() + 3200, wave.end()));
  settings.trim = 40;
  for (const std::vector<float>& all : {std::vector<float>(5000, 0.0f), std::vector<float>{0.5f},
                                        std::vector<float>{}, noise(333)}) {
    CHECK(prepared(all, settings) == all);
  }
}

TEST_CASE("features: whatever the front end, silence and clipping give finite values") {
  std::vector<float> clipped = noise(9000);
  for (float& sample : clipped) sample = std::clamp(100 * sample, -1.0f, 1.0f);
  std::vector<float> click(9000);
  click[5000] = 1;
  for (const FeatureKind kind :
       {FeatureKind::log, FeatureKind::power, FeatureKind::mel, FeatureKind::pcen}) {
    for (const RecordingLevel level : {RecordingLevel::recorded, RecordingLevel::loudness}) {
      for (const double trim : {0.0, 30.0}) {
        FeatureSettings settings = feature_preset("mel");
        settings.kind = kind;
        settings.level = level;
        settings.trim = trim;
        for (const std::vector<float>& wave :
             {std::vector<float>{}, std::vector<float>{0}, std::vector<float>{1},
              std::vector<float>(9000, 0.0f), std::vector<float>(9000, 1e-40f), clipped, click}) {
          const std::vector<real> values = spectrogram(wave, settings).to_vector();
          CHECK(values.size() % settings.rows() == 0);
          for (const real value : values) REQUIRE(std::isfinite(value));
        }
      }
    }
  }
}

TEST_CASE("features: the key changes with every setting") {
  std::set<std::string> keys;
  const auto note = [&](const std::function<void(FeatureSettings&)>& change) {
    FeatureSettings settings;
    change(settings);
    CHECK(settings_key(settings).size() == 16);
    keys.insert(settings_key(settings));
  };
  note([](FeatureSettings&) {});
  note([](FeatureSettings& s) { s.n_fft = 1024; });
  note([](FeatureSettings& s) { s.bins = 199; });
  note([](FeatureSettings& s) { s.window = 400; });
  note([](FeatureSettings& s) { s.hop_length = 80; });
  note([](FeatureSettings& s) { s.kind = FeatureKind::power; });
  note([](FeatureSettings& s) { s.offset = 1e-6; });
  note([](FeatureSettings& s) { s.n_mels = 40; });
  note([](FeatureSettings& s) { s.mel_low = 0; });
  note([](FeatureSettings& s) { s.mel_high = 7000; });
  note([](FeatureSettings& s) { s.kind = FeatureKind::pcen; });
  note([](FeatureSettings& s) { s.level = RecordingLevel::loudness; });
  note([](FeatureSettings& s) { s.trim = 40; });
  note([](FeatureSettings& s) { s.trim = 40.5; });
  CHECK(keys.size() == 14);
  CHECK(settings_key(FeatureSettings{}) == "ed9ac02c51bf537c");  // of caches that there are
}

}  // namespace serenade::ser
