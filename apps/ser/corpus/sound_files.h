#pragma once
// Finding the sound files of a corpus by their extensions.

#include <string>
#include <vector>

#include "apps/ser/corpus/corpus_row.h"

namespace serenade::ser {

/// What lies below a folder.
struct SoundFiles {
  std::vector<FoundFile> files;      ///< sorted by relative path
  std::vector<SkippedFile> skipped;  ///< folders that cannot be listed
};

/// Everything below a folder that is named like sound, also what cannot be read: a broken link, or
/// a format that libsndfile lacks. Folders behind links are followed, each folder once. Hidden and
/// AppleDouble names are left out.
SoundFiles find_sound_files(const std::string& folder);

/// Whether the extension is that of a format that can be read.
bool is_readable_sound(const std::string& path);

/// ".wav" of "a/b.WAV".
std::string lower_extension(const std::string& path);

}  // namespace serenade::ser
