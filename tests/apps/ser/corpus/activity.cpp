// Levels of frames, silent edges, and what is no speech.

#include "apps/ser/corpus/activity.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

std::vector<float> scaled(std::vector<float> wave, double decibels) {
  for (float& sample : wave) sample *= static_cast<float>(std::pow(10, decibels / 20));
  return wave;
}

std::vector<float> joined(const std::vector<std::vector<float>>& parts) {
  std::vector<float> all;
  for (const std::vector<float>& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<float> silent(std::int64_t samples) { return std::vector<float>(samples); }

double speech_in(const std::vector<float>& samples) {
  return speech_seconds(levels_of(samples, kSampleRate));
}

}  // namespace

TEST_CASE("activity: levels are mean squares of 10 ms, whatever the blocks and the rate") {
  const std::vector<float> wave = noise(5000);
  for (const int rate : {16000, 11025, 8000, 44100}) {
    CAPTURE(rate);
    const std::vector<float> levels = levels_of(wave, rate);
    CHECK(std::ssize(levels) == (5000 * 100 + rate - 1) / rate);
    for (std::size_t i = 0; i < levels.size(); ++i) {
      const std::size_t begin = i * rate / 100;
      const std::size_t end = std::min<std::size_t>(5000, (i + 1) * rate / 100);
      double sum = 0;
      for (std::size_t n = begin; n < end; ++n) sum += double{wave[n]} * wave[n];
      REQUIRE(levels[i] == doctest::Approx(sum / static_cast<double>(end - begin)).epsilon(1e-6));
    }
    LevelMeter meter(rate);
    for (std::int64_t n = 0, count = 1; n < 5000; n += count, count = count * 3 % 1009) {
      count = std::min<std::int64_t>(count, 5000 - n);
      meter.add(&wave[static_cast<std::size_t>(n)], count);
    }
    CHECK(meter.levels() == levels);
  }
  CHECK(levels_of({}, 16000).empty());
  CHECK(levels_of({0.5f}, 16000) == std::vector<float>{0.25f});
}

TEST_CASE("activity: the active part ends where the last frame is loud enough") {
  const std::vector<float> levels = {0, 1e-7f, 1e-3f, 0, 1, 1e-5f, 2e-4f, 1e-5f, 0};
  const auto part = [&](double decibels) {
    const ActivePart active = active_part(levels, decibels);
    return std::pair(active.first, active.last);
  };
  CHECK(part(30) == std::pair<std::int64_t, std::int64_t>(2, 5));
  CHECK(part(40) == std::pair<std::int64_t, std::int64_t>(2, 7));
  CHECK(part(60) == std::pair<std::int64_t, std::int64_t>(2, 8));
  CHECK(part(100) == std::pair<std::int64_t, std::int64_t>(1, 8));
  CHECK(active_part(std::vector<float>(7, 0.0f), 40).last == 7);
  CHECK(active_part({}, 40).last == 0);
  const Silence found = silence(levels);  // at 40 dB
  CHECK(found.frames == 6);
  CHECK(found.at_edges == 4);
  CHECK(silence(std::vector<float>(7, 0.0f)).at_edges == 7);
  CHECK(silence(std::vector<float>(7, 0.3f)).frames == 0);
}

TEST_CASE("activity: silence, faint noise, a click and a tone of 10 ms are no speech") {
  const std::vector<float> faint = scaled(noise(32000), -50);  // -70 dB of full scale
  const std::vector<float> hiss = scaled(noise(32000), -35);   // -55 dB
  const std::vector<float> short_tone = tone(440, 160);
  std::vector<float> click = hiss;
  click[9000] = 1;
  for (const std::vector<float>& wave :
       {silent(0), silent(1), silent(32000), std::vector<float>{1}, faint, hiss, short_tone,
        joined({silent(16000), short_tone, silent(16000)}), joined({hiss, short_tone, hiss}), click,
        joined({silent(9000), std::vector<float>(80, 0.9f), silent(9000)})}) {
    CHECK(speech_in(wave) < kLeastSpeechSeconds);
  }
  // The same, long enough, or loud: there is something to be answered for.
  CHECK(speech_in(joined({silent(16000), tone(440, 3200), silent(16000)})) ==
        doctest::Approx(0.2).epsilon(0.06));
  CHECK(speech_in(joined({hiss, tone(440, 3200), hiss})) == doctest::Approx(0.2).epsilon(0.06));
  CHECK(speech_in(tone(440, 32000)) == doctest::Approx(2));
}

TEST_CASE("activity: synthetic speech is speech, also when it is 20 dB softer or in hiss") {
  const TemporaryFolder folder;
  const std::string path = folder / "speech.wav";
  const std::string command =
      "espeak-ng -m -v en-gb+f2 -w '" + path + "' 'Bring me the other coat.' >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) {
    MESSAGE("skipped: espeak-ng is not installed");
    return;
  }
  const std::vector<float> speech = read_audio(path).samples;
  for (const double decibels : {-20.0, 0.0, 6.0}) {
    CAPTURE(decibels);
    std::vector<float> wave = scaled(speech, decibels);
    CHECK(speech_in(wave) > 0.6);
    CHECK(speech_in(joined({silent(32000), wave, silent(32000)})) > 0.6);
    const std::vector<float> hiss = scaled(noise(std::ssize(wave)), -35);
    for (std::size_t i = 0; i < wave.size(); ++i) wave[i] += hiss[i];
    CHECK(speech_in(wave) > 0.4);
  }
}

}  // namespace serenade::ser
