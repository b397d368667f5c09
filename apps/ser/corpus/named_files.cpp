#include "apps/ser/corpus/named_files.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "apps/ser/corpus/sound_files.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// The deepest folder that holds all of the given relative paths, with its final '/', or "".
std::string common_folder(const std::vector<const FoundFile*>& files) {
  std::string common = files.front()->relative_path;
  for (const FoundFile* file : files) {
    const auto [end, ignored] = std::mismatch(
        common.begin(), common.end(), file->relative_path.begin(), file->relative_path.end());
    common.erase(end, common.end());
  }
  const std::size_t slash = common.rfind('/');
  return slash == std::string::npos ? "" : common.substr(0, slash + 1);
}

std::vector<const FoundFile*> matching_files(const std::vector<FoundFile>& files,
                                             const std::regex& pattern) {
  std::vector<const FoundFile*> matching;
  for (const FoundFile& file : files) {
    if (std::regex_match(file.stem, pattern)) matching.push_back(&file);
  }
  return matching;
}

Recording recording_of(const FoundFile& file, const std::string& below, const NameFields& fields) {
  Recording recording;
  recording.id = file.stem;
  recording.path = file.path;
  recording.relative_path = file.relative_path.substr(below.size());
  recording.speaker = fields.speaker;
  recording.session = fields.session;
  recording.group = fields.group;
  return recording;
}

Corpus read_named_files(const std::string& folder, const std::string& title,
                        const NamedFiles& names, const LabelChoice& labels) {
  const std::regex pattern(names.pattern);
  SoundFiles found = find_sound_files(folder);
  const std::vector<FoundFile>& files = found.files;
  std::vector<const FoundFile*> matching = matching_files(files, pattern);
  // The same relative paths, and so the same meaning of a seed, whether the user names the corpus
  // or a folder above it.
  const std::string below = common_folder(matching);
  Corpus corpus;
  corpus.skipped = std::move(found.skipped);
  corpus.root =
      below.empty() ? folder : (fs::path(folder) / below.substr(0, below.size() - 1)).string();

  // Where a recording is there in two formats or twice, WAV wins, then what can be read, then the
  // first path.
  const auto rank = [](const FoundFile* file) {
    return lower_extension(file->path) == ".wav" ? 0 : is_readable_sound(file->path) ? 1 : 2;
  };
  std::stable_sort(matching.begin(), matching.end(),
                   [&](const FoundFile* a, const FoundFile* b) { return rank(a) < rank(b); });
  std::set<std::string> seen;
  int repeated = 0;
  for (const FoundFile* file : matching) {
    if (!seen.insert(file->stem).second) {
      ++repeated;
      continue;
    }
    std::smatch match;
    std::regex_match(file->stem, match, pattern);
    const NameFields fields = names.fields(match);
    if (!fields.left_out.empty()) {
      ++corpus.left_out[fields.left_out];
      continue;
    }
    const std::string label = labels.count(corpus, fields.label);
    if (label.empty()) continue;
    corpus.recordings.push_back(recording_of(*file, below, fields));
    corpus.recordings.back().label_name = label;
  }
  for (const FoundFile& file : files) {
    if (!file.relative_path.starts_with(below) || std::regex_match(file.stem, pattern)) continue;
    corpus.skipped.push_back(
        {SkippedFile::Why::not_understood, file.path, "not named as in the corpus " + title});
  }
  if (repeated > 0) {
    corpus.notes.push_back(std::to_string(repeated) +
                           " files repeat the name of another one and are not used (a second "
                           "format or a second copy of the corpus).");
  }
  if (names.remark) names.remark(corpus, seen.size());
  return corpus;
}

}  // namespace

CorpusRow with_named_files(CorpusRow row, const NamedFiles& names) {
  row.evidence = Evidence::file_names;
  row.find = [names](const CorpusPlace& place) -> std::optional<std::string> {
    if (matching_files(place.sound_files(), std::regex(names.pattern)).empty()) return {};
    return place.path();
  };
  row.read = [names, title = row.title](const std::string& folder, const LabelChoice& labels) {
    return read_named_files(folder, title, names, labels);
  };
  return row;
}

}  // namespace serenade::ser
