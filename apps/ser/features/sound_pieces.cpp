#include "apps/ser/features/sound_pieces.h"

#include "apps/ser/corpus/sound_decoder.h"

namespace serenade::ser {

std::int64_t next_piece(std::int64_t left, std::int64_t piece) {
  return left < piece + piece / 2 ? left : piece;
}

AudioInfo for_each_piece(const std::string& path,
                         const std::function<void(const std::vector<float>& samples)>& visit) {
  SoundDecoder decoder(path, SoundSource::files_and_pipes);
  const auto piece = static_cast<std::int64_t>(kPieceSeconds * decoder.rate());
  std::vector<float> mono;
  const auto left = [&] { return static_cast<std::int64_t>(mono.size()); };
  const std::int64_t frames =
      decoder.decode(0, decoder.frames(), [&](const float* part, std::int64_t count) {
        mono.insert(mono.end(), part, part + count);
        while (next_piece(left(), piece) < left()) {
          visit(decoder.at_rate({mono.begin(), mono.begin() + piece}, kSampleRate));
          mono.erase(mono.begin(), mono.begin() + piece);
        }
      });
  if (frames == 0) decoder.refuse("holds no samples; record or get it again");
  visit(decoder.at_rate(mono, kSampleRate));
  return decoder.info(frames);
}

}  // namespace serenade::ser
