#include "apps/ser/corpus/sound_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// Formats that people have recordings in and that must be converted; they are found, to say so.
bool is_unreadable_sound(const std::string& path) {
  static const std::set<std::string> extensions = {".m4a", ".m4b", ".aac", ".wma", ".amr", ".3gp",
                                                   ".mka", ".ape", ".wv",  ".tta", ".dsf", ".ra",
                                                   ".rm",  ".ac3", ".spx", ".alac"};
  return extensions.contains(lower_extension(path));
}

// Walks the folders below one: first those that lie there, then those that links lead to, so that a
// file which both reach has the plainer name.
class Walk {
 public:
  explicit Walk(const std::string& root) : root_(root), waiting_{root} {}

  SoundFiles run() {
    while (!waiting_.empty() || !links_.empty()) {
      if (waiting_.empty()) {
        waiting_.push_back(*links_.begin());
        links_.erase(links_.begin());
      }
      const std::string folder = waiting_.back();
      waiting_.pop_back();
      struct stat about {};
      const bool known = stat(folder.c_str(), &about) == 0;
      if (!known || seen_.emplace(about.st_dev, about.st_ino).second) list(folder);
    }
    std::sort(found_.files.begin(), found_.files.end(), [](const FoundFile& a, const FoundFile& b) {
      return a.relative_path < b.relative_path;
    });
    return std::move(found_);
  }

 private:
  void list(const std::string& folder) {
    std::error_code error;
    for (auto it = fs::directory_iterator(folder, error); it != fs::directory_iterator();
         it.increment(error)) {
      const fs::path& path = it->path();
      if (is_hidden_name(path.filename().string())) continue;
      std::error_code ignored;
      if (it->is_directory(ignored)) {
        if (it->is_symlink(ignored)) {
          links_.insert(path.string());
        } else {
          waiting_.push_back(path.string());
        }
      } else if (is_readable_sound(path.string()) || is_unreadable_sound(path.string())) {
        found_.files.push_back(
            {path.string(), path.lexically_relative(root_).generic_string(), path.stem().string()});
      }
    }
    if (!error) return;
    const std::string reason = error == std::errc::permission_denied
                                   ? "permission denied"
                                   : "cannot be listed: " + error.message();
    found_.skipped.push_back(
        {SkippedFile::Why::unreadable, folder, reason + ", so its recordings are not seen"});
  }

  std::string root_;
  std::vector<std::string> waiting_;
  std::set<std::string> links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  SoundFiles found_;
};

}  // namespace

bool is_hidden_name(const std::string& name) { return name.starts_with('.'); }

std::string lower_extension(const std::string& path) {
  std::string extension = fs::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_readable_sound(const std::string& path) {
  static const std::set<std::string> extensions = {
      ".wav",  ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3",  ".mp2", ".aif",
      ".aiff", ".aifc", ".au",   ".snd", ".w64", ".caf",  ".rf64", ".sph", ".voc"};
  return extensions.contains(lower_extension(path));
}

SoundFiles find_sound_files(const std::string& folder) { return Walk(folder).run(); }

const std::vector<FoundFile>& CorpusPlace::sound_files() const {
  if (!files_) files_ = find_sound_files(path_).files;
  return *files_;
}

}  // namespace serenade::ser
