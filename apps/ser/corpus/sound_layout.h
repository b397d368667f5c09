#pragma once
// Where the sound lies in a file: what is looked at before libsndfile sees it.
//
// libsndfile takes a file that was cut short for a whole one, gives up at an odd chunk, and calls
// everything else "format not recognised". So the frame of the common formats is read here, by
// their own rules, and libsndfile gets the sound with the plainest header.
// Sources: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0 (RIFF);
// RFC 9639 (FLAC); RFC 3533 (Ogg).

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/corpus/sound_bytes.h"

namespace serenade::ser {

inline constexpr int kLowestRate = 1000;     ///< Hz
inline constexpr int kHighestRate = 384000;  ///< Hz
inline constexpr int kMostChannels = 8;
inline constexpr int kMostChunks = 10'000;  ///< of a WAV file; as many blocks of metadata in FLAC

/// What libsndfile is to read: `head`, and then the bytes [begin, end) of the file.
struct SoundLayout {
  std::string head;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::vector<std::string> remarks;  ///< what was not as it should be, though it can be read
};

/// Throws InputError that begins with `path` for what is no sound that can be read, or not whole.
SoundLayout sound_layout(const std::string& path, const SoundBytes& bytes);

/// The same for a RIFF file.
SoundLayout wav_layout(const std::string& path, const SoundBytes& bytes);

}  // namespace serenade::ser
