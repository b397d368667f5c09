#include "apps/ser/corpus/sound_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

namespace serenade::ser {

namespace fs = std::filesystem;

bool is_hidden_name(const std::string& name) { return !name.empty() && name.front() == '.'; }

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

std::vector<FoundFile> find_sound_files(const std::string& folder) {
  static const std::set<std::string> extensions = {".wav", ".flac", ".ogg", ".opus", ".mp3",
                                                   ".aif", ".aiff", ".au",  ".w64",  ".caf"};
  std::vector<FoundFile> files;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (auto it = fs::recursive_directory_iterator(folder, options, error);
       it != fs::recursive_directory_iterator(); it.increment(error)) {
    const fs::path& path = it->path();
    if (is_hidden_name(path.filename().string())) {
      if (it->is_directory()) it.disable_recursion_pending();
      continue;
    }
    if (!it->is_regular_file() || !extensions.contains(lower_extension(path.string()))) continue;
    files.push_back(
        {path.string(), path.lexically_relative(folder).generic_string(), path.stem().string()});
  }
  std::sort(files.begin(), files.end(), [](const FoundFile& a, const FoundFile& b) {
    return a.relative_path < b.relative_path;
  });
  return files;
}

const std::vector<FoundFile>& CorpusPlace::sound_files() const {
  if (!files_) files_ = find_sound_files(path_);
  return *files_;
}

}  // namespace serenade::ser
