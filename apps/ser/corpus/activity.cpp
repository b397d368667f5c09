#include "apps/ser/corpus/activity.h"

#include <algorithm>

#include "apps/ser/common/decibels.h"

namespace serenade::ser {

namespace {

constexpr double kSpeechFloor = -70, kLoudestNoise = -50, kAboveNoise = 6;  // dB of full scale
constexpr double kNoiseShare = 0.1;

// What a frame must reach not to be silent.
double silence_threshold(std::span<const float> levels, double decibels) {
  const double loudest = levels.empty() ? 0 : *std::max_element(levels.begin(), levels.end());
  return loudest * power_of(-decibels);
}

}  // namespace

void LevelMeter::add(const float* samples, std::int64_t count) {
  while (count > 0) {
    const std::int64_t next =
        std::max(total_ + 1, (std::ssize(levels_) + 1) * rate_ / kLevelsPerSecond);
    const std::int64_t part = std::min(count, next - total_);
    for (std::int64_t i = 0; i < part; ++i) {
      squares_ += static_cast<double>(samples[i]) * samples[i];
    }
    samples += part;
    count -= part;
    total_ += part;
    if (total_ < next) return;
    levels_.push_back(static_cast<float>(squares_ / static_cast<double>(total_ - frame_)));
    squares_ = 0;
    frame_ = total_;
  }
}

std::vector<float> LevelMeter::levels() const {
  std::vector<float> all = levels_;
  if (total_ > frame_) {
    all.push_back(static_cast<float>(squares_ / static_cast<double>(total_ - frame_)));
  }
  return all;
}

std::vector<float> levels_of(const std::vector<float>& samples, int sample_rate) {
  LevelMeter meter(sample_rate);
  meter.add(samples.data(), std::ssize(samples));
  return meter.levels();
}

ActivePart active_part(std::span<const float> levels, double decibels) {
  const double threshold = silence_threshold(levels, decibels);
  ActivePart part{0, std::ssize(levels)};
  while (part.first < part.last && levels[part.first] < threshold) ++part.first;
  while (part.first < part.last && levels[part.last - 1] < threshold) --part.last;
  return part;
}

Silence silence(std::span<const float> levels) {
  const double threshold = silence_threshold(levels, kSilenceDecibels);
  if (threshold == 0) return {std::ssize(levels), std::ssize(levels)};
  const ActivePart part = active_part(levels, kSilenceDecibels);
  const auto below =
      std::count_if(levels.begin(), levels.end(), [&](float level) { return level < threshold; });
  return {below, std::ssize(levels) - (part.last - part.first)};
}

double speech_seconds(std::span<const float> levels) {
  if (levels.empty()) return 0;
  std::vector<float> sorted(levels.begin(), levels.end());
  const auto tenth = sorted.begin() + static_cast<std::ptrdiff_t>(
                                          kNoiseShare * static_cast<double>(sorted.size() - 1));
  std::nth_element(sorted.begin(), tenth, sorted.end());
  const double noise = *tenth;
  const double above_noise = noise < power_of(kLoudestNoise) ? noise * power_of(kAboveNoise) : 0;
  const double threshold = std::max(power_of(kSpeechFloor), above_noise);
  const auto loud =
      std::count_if(levels.begin(), levels.end(), [&](float level) { return level > threshold; });
  return static_cast<double>(loud) / kLevelsPerSecond;
}

}  // namespace serenade::ser
