#pragma once
// One file, spelt in several ways: Windows writes '\' for '/', macOS makes an accent a character of
// its own.

#include <map>
#include <string>
#include <string_view>

namespace serenade::ser {

/// The text with accented letters taken apart (Unicode's form NFD), for the Latin letters of
/// Europe and Vietnam, Japanese kana and Korean; what else there is stays. Not UTF-8: as it is.
std::string decomposed(std::string_view text);

/// Finds files by names that are spelt in another way than on disk. Lists each folder once.
class SpellingFinder {
 public:
  /// The path, or where nothing is there, the one that is there and only spelt in another way; the
  /// path itself if there is none.
  std::string find(const std::string& path);

 private:
  std::string find_below(const std::string& path);
  const std::string& name_in(const std::string& folder, const std::string& name);

  std::map<std::string, std::map<std::string, std::string>> listed_;  // folder, decomposed -> name
};

}  // namespace serenade::ser
