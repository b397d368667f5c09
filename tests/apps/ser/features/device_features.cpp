// Spectrograms made by the kernels, here those of the CPU, beside those of the front end; and
// batches of half precision.

#include "apps/ser/features/device_features.h"

#include <doctest/doctest.h>

#include <cmath>

#include "apps/ser/common/error.h"
#include "apps/ser/data/dataset.h"
#include "tests/apps/ser/common/files.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

Corpus noise_corpus(const TemporaryFolder& folder, const std::vector<std::int64_t>& lengths) {
  Corpus corpus;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    Recording recording;
    recording.path = folder / (std::to_string(i) + ".wav");
    recording.seconds = static_cast<double>(lengths[i]) / kSampleRate;
    write_wav(recording.path, noise(lengths[i], i));
    corpus.recordings.push_back(recording);
  }
  return corpus;
}

FeatureSettings settings_of(FeatureKind kind) {
  FeatureSettings settings = feature_preset(kind == FeatureKind::mel ? "mel" : "small");
  settings.kind = kind;
  settings.bins = 60;
  return settings;
}

}  // namespace

TEST_CASE(
    "device features: spectrograms and statistics are those of the front end, but for rounding") {
  const TemporaryFolder folder;
  const Corpus corpus = noise_corpus(folder, {2000, 100, 9000, 640});
  for (const FeatureKind kind : {FeatureKind::log, FeatureKind::magnitude, FeatureKind::power,
                                 FeatureKind::mulaw, FeatureKind::mel}) {
    CAPTURE(to_string(kind));
    const FeatureSettings settings = settings_of(kind);
    const std::vector<Features> host = extract_features(corpus, settings);
    std::int64_t steps = 0;
    const std::vector<Features> made = extract_features_on(
        Device::cpu, corpus, settings, {.progress = [&](std::int64_t done, std::int64_t total) {
          CHECK(done == ++steps);
          CHECK(total == 4);
        }});
    REQUIRE(made.size() == 4);
    const bool half = kind != FeatureKind::power;
    double bytes = 0;
    for (std::size_t r = 0; r < 4; ++r) {
      CHECK(made[r].values == nullptr);
      CHECK(made[r].bins == host[r].bins);
      CHECK(made[r].frames == host[r].frames);
      CHECK((made[r].format == SpectrogramFormat::float16) == half);
      bytes += static_cast<double>(made[r].bins * made[r].frames) * (half ? 2 : 4);
    }
    CHECK(device_bytes(corpus, settings) >= bytes);
    for (const NormalisationKind scope :
         {NormalisationKind::per_bin, NormalisationKind::global, NormalisationKind::per_utterance,
          NormalisationKind::utterance_mean}) {
      CAPTURE(to_string(scope));
      const Normalisation a = fit_normalisation(host, {0, 2}, scope);
      const Normalisation b = fit_normalisation(made, {0, 2}, scope);
      for (std::size_t f = 0; f < a.mean.size(); ++f) {
        CHECK(b.mean[f] == doctest::Approx(a.mean[f]).epsilon(2e-3));
        CHECK(b.stddev[f] == doctest::Approx(a.stddev[f]).epsilon(2e-3));
      }
      const Dataset of_host(host, {0, 1, 2, 3}, {0, 2}, a), of_made(made, {0, 1, 2, 3}, {0, 2}, b);
      const std::vector<real> x = of_host.make_batch({0, 1}).input.to_vector();
      const std::vector<real> y = of_made.make_batch({0, 1}).input.to_vector();
      REQUIRE(x.size() == y.size());
      double worst = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        worst = std::max<double>(worst, std::abs(x[i] - y[i]) / (1 + std::abs(x[i])));
      }
      CHECK(worst < 2e-2);  // 2^-11 of a value of 9, in units of the stddev
    }
  }
}

TEST_CASE("device features: edges are cut and levels set as on the host; pcen is the host's") {
  const TemporaryFolder folder;
  Corpus corpus = noise_corpus(folder, {4000});
  std::vector<float> wave = noise(9000);
  for (std::size_t i = 0; i < 4000; ++i) wave[i] = 0;
  write_wav(corpus.recordings[0].path, wave);
  FeatureSettings settings = feature_preset("mel");
  settings.trim = 30;
  settings.level = RecordingLevel::loudness;
  const Features host = extract_features(corpus, settings).front();
  const Features made = extract_features_on(Device::cpu, corpus, settings).front();
  CHECK(host.frames == frame_count(9000 - 4000, settings));
  REQUIRE(made.frames == host.frames);
  const Normalisation normalisation = fit_normalisation({host}, {0});
  const auto values = [&](const Features& features) {
    return Dataset({features}, {0}, {0}, normalisation).utterance(0).input.to_vector();
  };
  const std::vector<real> x = values(host), y = values(made);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) worst = std::max<double>(worst, std::abs(x[i] - y[i]));
  CHECK(worst < 2e-2);
  CHECK(can_be_made_on_devices(settings));
  settings.kind = FeatureKind::pcen;
  CHECK_FALSE(can_be_made_on_devices(settings));
  CHECK_THROWS_AS(extract_features_on(Device::cpu, corpus, settings), std::invalid_argument);
}

TEST_CASE("device features: a recording that cannot be read is named, the first in order") {
  const TemporaryFolder folder;
  const Corpus corpus = noise_corpus(folder, {2000, 1000, 900, 700});
  std::filesystem::remove(corpus.recordings[1].path);
  std::filesystem::remove(corpus.recordings[3].path);
  const std::string message = message_of<InputError>(
      [&] { extract_features_on(Device::cpu, corpus, settings_of(FeatureKind::log)); });
  CHECK(contains(message, "1.wav"));
}
