#pragma once
// Long recordings in pieces, so that memory does not grow with their length: the paper's front end
// and network take 20 MB for each second of sound.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/ser/corpus/audio.h"

namespace serenade::ser {

inline constexpr double kPieceSeconds = 60;

/// What is taken next of a sound of which `left` samples or frames are left: a piece, or all of it
/// where that is less than one and a half. What is shorter than 90 seconds thus stays whole; no
/// corpus of acted emotions has a longer utterance.
std::int64_t next_piece(std::int64_t left, std::int64_t piece);

/// Decodes a sound once and visits its pieces in order, mono samples at 16 kHz, each resampled by
/// itself. Returns what the file is. Throws what read_audio throws, at the latest at its end.
AudioInfo for_each_piece(const std::string& path,
                         const std::function<void(const std::vector<float>& samples)>& visit);

}  // namespace serenade::ser
