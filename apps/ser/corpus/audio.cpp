// Sound files through libsndfile, sampling rates through libsoxr.

#include "apps/ser/corpus/audio.h"

#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/activity.h"
#include "apps/ser/corpus/sound_decoder.h"
#include "tensor/fnv.h"

namespace serenade::ser {

namespace {

// Samples that one reading holds: 2 GiB, 9 hours at 16 kHz.
constexpr std::int64_t kMostFrames = std::int64_t{1} << 29;
// Frames of a range that begins and ends at seconds. Bounded before it is rounded, because seconds
// may be any number.
std::int64_t frame_at(double seconds, int rate, std::int64_t frames) {
  const double frame = std::max(0.0, seconds) * rate;
  return frame < static_cast<double>(frames) ? std::llround(frame) : frames;
}

}  // namespace

FrameRange frame_range(const TimeRange& range, int rate, std::int64_t frames) {
  return {frame_at(range.start, rate, frames),
          range.end < 0 ? frames : frame_at(range.end, rate, frames)};
}

AudioSurvey survey_audio(const std::string& path) {
  SoundDecoder decoder(path, SoundSource::files);
  AudioSurvey survey;
  Fnv content;
  LevelMeter meter(decoder.rate());
  const std::int64_t frames =
      decoder.decode(0, decoder.frames(), [&](const float* mono, std::int64_t count) {
        content.add(mono, static_cast<std::size_t>(count) * sizeof *mono);
        meter.add(mono, count);
      });
  if (frames == 0) decoder.refuse("holds no samples; record or get it again");
  survey.info = decoder.info(frames);
  survey.content = content.value();
  survey.levels = meter.levels();
  return survey;
}

Audio read_audio(const std::string& path, int sample_rate, TimeRange range) {
  SoundDecoder decoder(path, SoundSource::files_and_pipes);
  const FrameRange wanted = frame_range(range, decoder.rate(), decoder.frames());
  const bool too_long = decoder.length_known() && wanted.frames() > kMostFrames;
  std::vector<float> mono;
  if (decoder.length_known() && !too_long) {
    mono.reserve(static_cast<std::size_t>(
        std::clamp<std::int64_t>(wanted.frames(), 0, decoder.most_frames())));
  }
  std::int64_t found = 0;
  if (wanted.frames() > 0) {
    found = decoder.decode(wanted.first, wanted.last, [&](const float* part, std::int64_t count) {
      if (too_long || static_cast<std::int64_t>(mono.size()) + count > kMostFrames) {
        decoder.refuse("is longer than " + std::to_string(kMostFrames / decoder.rate() / 60) +
                       " minutes, too long to be read at once; cut it into pieces");
      }
      mono.insert(mono.end(), part, part + count);
    });
  }
  if (mono.empty()) {
    const bool whole = range.start <= 0 && range.end < 0;
    const std::string lasts =
        decoder.length_known()
            ? "; the file lasts " + std::to_string(double(decoder.frames()) / decoder.rate()) + " s"
            : "";
    decoder.refuse(whole ? "holds no samples; record or get it again"
                         : "the range from " + std::to_string(range.start) + " s to " +
                               (range.end < 0 ? "the end" : std::to_string(range.end) + " s") +
                               " holds no samples" + lasts);
  }
  Audio audio;
  audio.source = decoder.info(decoder.length_known() ? decoder.frames() : wanted.first + found);
  audio.sample_rate = sample_rate;
  audio.samples = decoder.at_rate(mono, sample_rate);
  return audio;
}

std::vector<float> resample(const std::vector<float>& samples, int from_rate, int to_rate) {
  if (from_rate == to_rate || samples.empty()) return samples;
  const auto length = static_cast<std::size_t>(
      std::ceil(static_cast<double>(samples.size()) * to_rate / from_rate));
  std::vector<float> out(std::max<std::size_t>(1, length));
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  std::size_t done = 0;
  const soxr_error_t error =
      soxr_oneshot(from_rate, to_rate, 1, samples.data(), samples.size(), nullptr, out.data(),
                   out.size(), &done, &io, &quality, &runtime);
  if (error) {
    throw std::runtime_error("resample: from " + std::to_string(from_rate) + " to " +
                             std::to_string(to_rate) + " Hz: " + soxr_strerror(error));
  }
  out.resize(std::max<std::size_t>(1, done));
  return out;
}

void write_wav(const std::string& path, const std::vector<float>& samples, int sample_rate) {
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = 1;
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  struct Close {
    void operator()(SNDFILE* file) const { sf_close(file); }
  };
  std::unique_ptr<SNDFILE, Close> sound(sf_open(path.c_str(), SFM_WRITE, &info));
  if (!sound) {
    throw IoError(path + ": cannot be written: " + sf_strerror(nullptr) +
                  "; check the folder and its permissions");
  }
  std::vector<short> quantised(samples.size());
  std::transform(samples.begin(), samples.end(), quantised.begin(), [](float sample) {
    return static_cast<short>(std::lrintf(std::clamp(sample, -1.0f, 1.0f) * 32767.0f));
  });
  const auto count = static_cast<sf_count_t>(quantised.size());
  const bool written = sf_writef_short(sound.get(), quantised.data(), count) == count;
  if (sf_close(sound.release()) != 0 || !written) {
    throw IoError(path + ": could not be written whole; is the disk full?");
  }
}

}  // namespace serenade::ser
