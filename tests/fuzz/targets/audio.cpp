// A sound file: refused, or read to finite samples in [-1, 1], the same ones every time.

#include "apps/ser/corpus/audio.h"

#include <sndfile.h>

#include <cmath>
#include <numbers>

#include "tensor/files.h"
#include "tests/fuzz/target.h"

namespace serenade::fuzz {

namespace {

// A tone of 20 ms, in a format of libsndfile's.
std::string tone(int format, int rate, int channels) {
  const std::string path = scratch_folder() + "/tone";
  SF_INFO info = {};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (!file) return "";  // this libsndfile was built without the format
  std::vector<float> samples;
  for (int i = 0; i < rate / 50 * channels; ++i) {
    samples.push_back(float(0.5 * std::sin(2 * std::numbers::pi * 440 * (i / channels) / rate)));
  }
  sf_write_float(file, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(file);
  return read_file(path);
}

std::vector<std::string> seeds() {
  std::vector<std::string> files;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_U8, SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                           SF_FORMAT_WAV | SF_FORMAT_PCM_24, SF_FORMAT_WAV | SF_FORMAT_FLOAT,
                           SF_FORMAT_WAV | SF_FORMAT_DOUBLE, SF_FORMAT_WAVEX | SF_FORMAT_PCM_16,
                           SF_FORMAT_RF64 | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16,
                           SF_FORMAT_AU | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                           SF_FORMAT_OGG | SF_FORMAT_VORBIS}) {
    const std::string file = tone(format, 8000, 1);
    if (!file.empty()) files.push_back(file);
  }
  files.push_back(tone(SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16000, 2));
  files.push_back("version https://git-lfs.github.com/spec/v1\n");
  return files;
}

void run(const std::string& input) {
  const std::string path = scratch_file("sound.wav", input);
  ser::Audio audio;
  const std::string message = refusal([&] { audio = ser::read_audio(path); });
  if (!message.empty()) {
    if (message.find("sound.wav") == std::string::npos) fault("the file is not named: " + message);
    return;
  }
  if (audio.samples.empty()) fault("a sound without samples is accepted");
  for (const float sample : audio.samples) {
    if (!(sample >= -1 && sample <= 1)) fault("a sample is " + std::to_string(sample));
  }
  if (ser::read_audio(path).samples != audio.samples) fault("read twice, two sounds");
  refusal([&] { ser::read_audio(path, ser::kSampleRate, {.start = 0.005, .end = 0.01}); });
}

}  // namespace

Target audio_target() {
  return {.name = "audio",
          .seeds = seeds,
          .run = run,
          .words = {"RIFF", "RF64", "RIFX", "WAVEfmt ", "data", "LIST", "fact", "fLaC", "OggS",
                    "FORM", "AIFF", "COMM", "SSND", ".snd", "ID3", "\xff\xff\xff\xff"}};
}

}  // namespace serenade::fuzz
