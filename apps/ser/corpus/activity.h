#pragma once
// Where in a recording there is sound: the levels of its frames of 10 ms, and what follows from
// them: which edges are silent, how much is, and whether there is speech at all.

#include <cstdint>
#include <span>
#include <vector>

namespace serenade::ser {

inline constexpr int kLevelsPerSecond = 100;

/// Gathers the level of each frame of 10 ms: the mean of its squared samples, 1 for a full-scale
/// square wave. Samples come in blocks of any length.
class LevelMeter {
 public:
  explicit LevelMeter(int sample_rate) : rate_(sample_rate) {}

  void add(const float* samples, std::int64_t count);

  /// Of all that was added; the last frame may be shorter than the others.
  std::vector<float> levels() const;

 private:
  int rate_;
  std::vector<float> levels_;
  double squares_ = 0;  // of the frame that has begun, as has the next
  std::int64_t frame_ = 0, total_ = 0;
};

std::vector<float> levels_of(const std::vector<float>& samples, int sample_rate);

/// Frames [first, last).
struct ActivePart {
  std::int64_t first = 0;
  std::int64_t last = 0;
};

/// From the first to the last frame that is at most so many decibels softer than the loudest one:
/// all of it where all is zero.
ActivePart active_part(std::span<const float> levels, double decibels);

/// How much of a recording is silent, in frames: at least 40 dB below its loudest one; all of it
/// where all is zero.
inline constexpr double kSilenceDecibels = 40;
struct Silence {
  std::int64_t frames = 0;
  std::int64_t at_edges = 0;  ///< of these, before the first and after the last that is not
};
Silence silence(std::span<const float> levels);

/// Seconds of frames that may be speech: above -70 dB of full scale, and more than 6 dB above the
/// noise, which is what the softest tenth of the frames stays below, if that is below -50 dB. (A
/// recording that is loud throughout, as a held vowel is, has no such noise.)
double speech_seconds(std::span<const float> levels);

/// With less than this there is no speech to be answered for.
inline constexpr double kLeastSpeechSeconds = 0.1;

}  // namespace serenade::ser
