#pragma once
// Long recordings in pieces, so that memory does not grow with their length: the paper's front end
// and network take 20 MB for each second of sound.

#include <functional>
#include <string>

#include "apps/ser/corpus/audio.h"

namespace serenade::ser {

/// Pieces of equal length that a sound is cut into: as many as minutes, rounded. What is shorter
/// than 90 seconds stays whole; no corpus of acted emotions has a longer utterance.
int piece_count(double seconds);

/// Reads a sound file and visits its pieces in order, each mono at 16 kHz. Throws what read_audio
/// throws.
void for_each_piece(const std::string& path, const std::function<void(const Audio&)>& visit);

}  // namespace serenade::ser
