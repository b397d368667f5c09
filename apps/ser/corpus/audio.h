#pragma once
// Sound files: any format libsndfile reads becomes mono samples at one rate; WAV goes out.

#include <cstdint>
#include <string>
#include <vector>

namespace serenade::ser {

inline constexpr int kSampleRate = 16000;  ///< Hz; the rate the front end is defined at

/// What a sound file is.
struct AudioInfo {
  int sample_rate = 0;  ///< Hz
  int channels = 0;
  std::int64_t frames = 0;  ///< samples per channel
  std::string format;       ///< for people, e.g. "WAV (Microsoft), Signed 16 bit PCM"
  /// What a user should know though the file could be read; the same words for the same trouble.
  std::vector<std::string> remarks = {};

  double seconds() const { return sample_rate > 0 ? double(frames) / sample_rate : 0.0; }
};

/// One recording in memory.
struct Audio {
  std::vector<float> samples;     ///< mono, in [-1, 1]
  int sample_rate = kSampleRate;  ///< Hz
  AudioInfo source;               ///< the file as it was before downmix and resampling

  double seconds() const { return double(samples.size()) / sample_rate; }
};

/// Part of a recording, in seconds; end < 0 means "to the end".
struct TimeRange {
  double start = 0;
  double end = -1;
};

/// The same in samples per channel of the file, [first, last).
struct FrameRange {
  std::int64_t first = 0;
  std::int64_t last = 0;

  std::int64_t frames() const { return last - first; }
};

/// The part of a file of that many frames that a range means; `rate` in Hz.
FrameRange frame_range(const TimeRange& range, int rate, std::int64_t frames);

/// What decoding a file from its beginning to its end tells.
struct AudioSurvey {
  AudioInfo info;             ///< its frames are counted
  std::uint64_t content = 0;  ///< equal for equal samples, whatever the format and the name
  std::vector<float> levels;  ///< of each 10 ms (activity.h)
};

/// Decodes a file block by block and keeps nothing. Throws as read_audio, which succeeds after it;
/// refuses pipes, for a corpus is made of files.
AudioSurvey survey_audio(const std::string& path);

/// Reads a file, or a pipe that a program writes to (WAV, FLAC, OGG, MP3, ... 8 to 32 bit or float;
/// up to 8 channels of 1 to 384 kHz), averages its channels, and resamples to `sample_rate`
/// (libsoxr, high quality: a linear-phase polyphase filter). The samples are clipped to [-1, 1],
/// which only float files and the resampler's overshoot can leave.
/// Throws InputError, naming the file and the cure, when it is missing, a folder, empty, without
/// samples, damaged or cut short, a git-lfs pointer, a macOS AppleDouble stub, not audio, not
/// finite, longer than can be held, or when the range lies outside it; IoError when the file exists
/// but the system refuses it.
Audio read_audio(const std::string& path, int sample_rate = kSampleRate, TimeRange range = {});

/// Changes the sampling rate of mono samples; both rates in Hz.
std::vector<float> resample(const std::vector<float>& samples, int from_rate, int to_rate);

/// Writes mono 16-bit PCM; values outside [-1, 1] are clipped. Throws IoError.
void write_wav(const std::string& path, const std::vector<float>& samples,
               int sample_rate = kSampleRate);

}  // namespace serenade::ser
