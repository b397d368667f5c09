// Reading sound: every way of storing samples, every impostor.

#include "apps/ser/corpus/audio.h"

#include <doctest/doctest.h>
#include <sndfile.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <limits>

#include "apps/ser/common/error.h"
#include "tensor/files.h"
#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// Interleaved samples through libsndfile, in any of its formats.
void write_sound(const std::string& path, int format, int rate, int channels,
                 const std::vector<float>& samples) {
  SF_INFO info{};
  info.format = format;
  info.samplerate = rate;
  info.channels = channels;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  const auto frames = static_cast<sf_count_t>(samples.size() / channels);
  REQUIRE(sf_writef_float(file, samples.data(), frames) == frames);
  sf_close(file);
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(double(a[i]) - b[i]));
  }
  return largest;
}

std::string refusal(const std::string& path) {
  return message_of<InputError>([&] { read_audio(path); });
}

}  // namespace

TEST_CASE("audio: 8, 16, 24 bit and float files give the same samples") {
  const TemporaryFolder folder;
  const std::vector<float> wave = tone(440, 4000);
  struct Form {
    const char* name;
    int format;
    double tolerance;
  };
  const Form forms[] = {
      {"u8.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 1.0 / 100},
      {"s16.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1.0 / 30000},
      {"s24.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 1.0 / 8000000},
      {"float.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0.0},
      {"extensible.wav", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, 1.0 / 8000000},
      {"s16.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 1.0 / 30000},
  };
  for (const Form& form : forms) {
    CAPTURE(form.name);
    write_sound(folder / form.name, form.format, 16000, 1, wave);
    const Audio audio = read_audio(folder / form.name);
    CHECK(audio.sample_rate == 16000);
    CHECK(audio.samples.size() == wave.size());
    CHECK(largest_difference(audio.samples, wave) <= form.tolerance);
    CHECK(audio.source.frames == 4000);
    CHECK(audio.source.channels == 1);
    CHECK(audio.seconds() == doctest::Approx(0.25));
  }
}

TEST_CASE("audio: ogg is read as well") {
  const TemporaryFolder folder;
  write_sound(folder / "a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 16000, 1, tone(440, 8000));
  const Audio audio = read_audio(folder / "a.ogg");
  CHECK(audio.samples.size() == 8000);
  CHECK(largest_difference(audio.samples, tone(440, 8000)) < 0.1);
}

TEST_CASE("audio: a coding that libsndfile has no name for goes by its container's") {
  const TemporaryFolder folder;
  write_sound(folder / "a", SF_FORMAT_AIFF | SF_FORMAT_DWVW_16, 16000, 1, tone(440, 2000));
  CHECK(read_audio(folder / "a").source.format == "AIFF (Apple/SGI), 16 bit DWVW");
  std::string bytes = read_file(folder / "a");
  bytes[bytes.find("COMM") + 15] = 20;  // bits per sample
  write_text(folder / "a", bytes);
  CHECK(read_audio(folder / "a").source.format == "AIFF (Apple/SGI)");
}

TEST_CASE("audio: channels are averaged") {
  const TemporaryFolder folder;
  std::vector<float> stereo, mean;
  for (int n = 0; n < 1000; ++n) {
    stereo.push_back(0.5f);
    stereo.push_back(-0.25f);
    mean.push_back(0.125f);
  }
  write_sound(folder / "stereo.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 2, stereo);
  const Audio audio = read_audio(folder / "stereo.wav");
  CHECK(audio.samples == mean);
  CHECK(audio.source.channels == 2);
}

TEST_CASE("audio: other sampling rates become 16 kHz, a tone stays the same tone") {
  const TemporaryFolder folder;
  for (const int rate : {8000, 22050, 44100, 48000}) {
    CAPTURE(rate);
    write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1, tone(440, rate, rate));
    const Audio audio = read_audio(folder / "a.wav");
    CHECK(std::abs(static_cast<int>(audio.samples.size()) - 16000) <= 1);
    CHECK(audio.source.sample_rate == rate);
    const std::vector<float> expected = tone(440, 16000);
    double largest = 0;  // away from the edges, where the filter sees silence
    for (int n = 1000; n < 15000; ++n) {
      largest = std::max(largest, std::abs(double(audio.samples[n]) - expected[n]));
    }
    CHECK(largest < 1e-3);
  }
}

TEST_CASE("audio: nothing stays nothing at another rate, and rates that are none are refused") {
  CHECK(resample({}, 8000, 16000).empty());
  CHECK(message_of<std::runtime_error>([] { resample({0.5f}, 8000, 0); }) ==
        "resample: from 8000 to 0 Hz: I/O ratio out-of-range");
}

TEST_CASE("audio: a tone of 1 kHz keeps 60 dB above what resampling adds") {
  const TemporaryFolder folder;
  for (const int rate : {8000, 44100, 48000}) {
    CAPTURE(rate);
    for (const std::int64_t frames : {std::int64_t{rate}, std::int64_t{rate} + 7}) {
      write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, rate, 1,
                  tone(1000, frames, rate));
      const std::vector<float> samples = read_audio(folder / "a.wav").samples;
      const std::int64_t exact = (frames * 16000 + rate - 1) / rate;  // soxr may round down
      CHECK(std::abs(static_cast<std::int64_t>(samples.size()) - exact) <= 1);
      const std::vector<float> expected = tone(1000, 16000);
      double signal = 0, error = 0;
      for (int n = 1000; n < 15000; ++n) {
        signal += double(expected[n]) * expected[n];
        error += std::pow(double(samples[n]) - expected[n], 2);
      }
      CHECK(10 * std::log10(signal / error) > 60);
    }
  }
}

TEST_CASE("audio: float samples beyond full scale are clipped") {
  const TemporaryFolder folder;
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, {3.0f, -2.0f, 0.5f});
  CHECK(read_audio(folder / "a.wav").samples == std::vector<float>{1.0f, -1.0f, 0.5f});
}

TEST_CASE("audio: a range of seconds") {
  const TemporaryFolder folder;
  const std::vector<float> wave = tone(300, 16000);
  write_sound(folder / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, wave);
  const Audio part = read_audio(folder / "a.wav", 16000, {0.25, 0.5});
  CHECK(part.samples == std::vector<float>(wave.begin() + 4000, wave.begin() + 8000));
  const Audio tail = read_audio(folder / "a.wav", 16000, {0.75, 9.0});
  CHECK(tail.samples == std::vector<float>(wave.begin() + 12000, wave.end()));
  const auto none = [&](TimeRange range) {
    const std::string message =
        message_of<InputError>([&] { read_audio(folder / "a.wav", 16000, range); });
    return message.substr((folder / "a.wav: ").size());
  };
  CHECK(none({1.5, 2.0}) ==
        "the range from 1.500000 s to 2.000000 s holds no samples; the file lasts 1.000000 s");
  CHECK(none({1.5, -1}) ==
        "the range from 1.500000 s to the end holds no samples; the file lasts 1.000000 s");
  CHECK(none({0, 0}) ==
        "the range from 0.000000 s to 0.000000 s holds no samples; the file lasts 1.000000 s");
}

TEST_CASE("audio: what is not sound is refused, and why") {
  const TemporaryFolder folder;
  CHECK(contains(refusal(folder / "absent.wav"), "no such file"));
  CHECK(contains(refusal(folder.path()), "is a folder"));
  write_text(folder / "empty.wav", "");
  CHECK(contains(refusal(folder / "empty.wav"), "is empty"));
  write_text(folder / "lfs.wav",
             "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n");
  CHECK(contains(refusal(folder / "lfs.wav"), "git lfs pull"));
  write_text(folder / "apple.wav", std::string("\x00\x05\x16\x07\x00\x02\x00\x00", 8));
  CHECK(contains(refusal(folder / "apple.wav"), "AppleDouble"));
  write_text(folder / "garbage.wav", "this is no sound at all, only words");
  CHECK(contains(refusal(folder / "garbage.wav"), "not a sound file"));
  write_sound(folder / "none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 1, {});
  CHECK(contains(refusal(folder / "none.wav"), "no samples"));
  const float bad = std::numeric_limits<float>::quiet_NaN();
  write_sound(folder / "nan.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 16000, 1, {0.0f, bad});
  CHECK(contains(refusal(folder / "nan.wav"), "not finite"));
  for (const char* name : {"absent.wav", "empty.wav", "garbage.wav", "none.wav"}) {
    CHECK(contains(refusal(folder / name), name));
    CHECK_FALSE(contains(refusal(folder / name), "\n"));
  }
}

TEST_CASE("audio: a file cut short or with a damaged header never crashes") {
  const TemporaryFolder folder;
  write_wav(folder / "whole.wav", tone(440, 4000));
  const std::string bytes = read_file(folder / "whole.wav");
  int read = 0, refused = 0;
  for (std::size_t length = 0; length < 200; ++length) {
    write_text(folder / "cut.wav", bytes.substr(0, length));
    refusal(folder / "cut.wav").empty() ? ++read : ++refused;
  }
  for (std::size_t position = 0; position < 44; ++position) {
    std::string damaged = bytes;
    damaged[position] = static_cast<char>(damaged[position] ^ 0xff);
    write_text(folder / "damaged.wav", damaged);
    refusal(folder / "damaged.wav").empty() ? ++read : ++refused;
  }
  CHECK(read > 0);
  CHECK(refused > 44);
}

TEST_CASE("audio: what write_wav writes, read_audio reads") {
  const TemporaryFolder folder;
  const std::vector<float> wave = tone(1000, 1600);
  write_wav(folder / "a.wav", wave);
  CHECK(largest_difference(read_audio(folder / "a.wav").samples, wave) < 1.0 / 16000);
  CHECK_THROWS_AS(write_wav(folder / "no/such/folder.wav", wave), IoError);
}

TEST_CASE("audio: a sound that does not fit on the disk is no sound") {
  const TemporaryFolder folder;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small = {1000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string message =
      message_of<IoError>([&] { write_wav(folder / "a.wav", tone(440, 4000)); });
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(message == folder / "a.wav: could not be written whole; is the disk full?");
}

}  // namespace serenade::ser
