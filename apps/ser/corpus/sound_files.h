#pragma once
// Finding the sound files of a corpus by their extensions.

#include <string>
#include <vector>

#include "apps/ser/corpus/corpus_row.h"

namespace serenade::ser {

/// Sound files below a folder, sorted by relative path; hidden and AppleDouble names left out.
std::vector<FoundFile> find_sound_files(const std::string& folder);

/// ".wav" of "a/b.WAV".
std::string lower_extension(const std::string& path);

}  // namespace serenade::ser
