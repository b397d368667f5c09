#include "apps/ser/features/sound_pieces.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace serenade::ser {

namespace {

constexpr double kPieceSeconds = 60;

// The pieces of what is in memory already.
void visit_pieces(const Audio& audio, const std::function<void(const Audio&)>& visit) {
  const int count = piece_count(audio.seconds());
  if (count == 1) return visit(audio);
  const auto samples = static_cast<std::ptrdiff_t>(audio.samples.size());
  for (int i = 0; i < count; ++i) {
    const auto begin = audio.samples.begin() + samples * i / count;
    const auto end = audio.samples.begin() + samples * (i + 1) / count;
    visit({{begin, end}, audio.sample_rate, audio.source});
  }
}

}  // namespace

int piece_count(double seconds) {
  return static_cast<int>(std::clamp(std::round(seconds / kPieceSeconds), 1.0, 1e9));
}

void for_each_piece(const std::string& path, const std::function<void(const Audio&)>& visit) {
  std::error_code ignored;
  // What is no file, such as a pipe, can be read but once.
  const bool file = std::filesystem::is_regular_file(path, ignored);
  const double seconds = file ? probe_audio(path).seconds() : 0;
  const int count = piece_count(seconds);
  for (int i = 0; i < count; ++i) {
    const TimeRange range = {seconds * i / count, i + 1 < count ? seconds * (i + 1) / count : -1};
    visit_pieces(read_audio(path, kSampleRate, range), visit);
  }
}

}  // namespace serenade::ser
