#include "apps/ser/corpus/corpus_survey.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <optional>
#include <set>
#include <span>

#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/common/parallel.h"
#include "apps/ser/corpus/activity.h"
#include "apps/ser/corpus/path_spelling.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// Seconds by which tools that mark ranges differ from the length of the file.
constexpr double kRangeTolerance = 0.1;

struct SurveyedFile {
  std::string path;
  std::optional<AudioSurvey> survey;
  std::string trouble;
};

std::vector<SurveyedFile> survey_files(const Corpus& corpus) {
  std::set<std::string> paths;
  for (const Recording& recording : corpus.recordings) paths.insert(recording.path);
  std::vector<SurveyedFile> files;
  for (const std::string& path : paths) files.push_back({path, {}, {}});
  parallel_for(static_cast<std::int64_t>(files.size()), 0, [&](std::int64_t i) {
    SurveyedFile& file = files[static_cast<std::size_t>(i)];
    try {
      file.survey = survey_audio(file.path);
    } catch (const std::runtime_error& error) {
      file.trouble = without_path(error.what(), file.path);
    }
  });
  return files;
}

bool is_absent(const std::string& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type() == fs::file_type::not_found;
}

// Where a recording lies in a sound, whatever file the sound is in.
struct Part {
  std::uint64_t content;
  FrameRange range;
  const Recording* recording;
};

std::vector<std::string> names_of(const std::vector<Part>& parts) {
  std::vector<std::string> names;
  std::set<std::string> different;
  for (const Part& part : parts) {
    const Recording& recording = *part.recording;
    const bool whole = recording.range.start <= 0 && recording.range.end < 0;
    names.push_back(whole ? recording.relative_path : recording.id);
    different.insert(names.back());
  }
  if (different.size() < names.size()) {  // one path, spelt in two ways
    for (std::size_t i = 0; i < parts.size(); ++i) names[i] = parts[i].recording->id;
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool mostly_the_same(const Part& a, const Part& b) {
  const std::int64_t shared =
      std::min(a.range.last, b.range.last) - std::max(a.range.first, b.range.first);
  return a.content == b.content && 2 * shared > std::min(a.range.frames(), b.range.frames());
}

void find_duplicates(Corpus& corpus, std::vector<Part> parts) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) {
    return std::tie(a.content, a.range.first, a.recording->id) <
           std::tie(b.content, b.range.first, b.recording->id);
  });
  for (std::size_t begin = 0, end = 1; begin < parts.size(); begin = end++) {
    while (end < parts.size() && mostly_the_same(parts[end - 1], parts[end])) ++end;
    if (end - begin < 2) continue;
    const std::vector<Part> same(parts.begin() + static_cast<std::ptrdiff_t>(begin),
                                 parts.begin() + static_cast<std::ptrdiff_t>(end));
    const bool leak = std::any_of(same.begin(), same.end(), [&](const Part& part) {
      return part.recording->speaker != same.front().recording->speaker;
    });
    corpus.duplicates.push_back(names_of(same));
    if (leak) corpus.leaks.push_back(names_of(same));
  }
  std::sort(corpus.duplicates.begin(), corpus.duplicates.end());
  std::sort(corpus.leaks.begin(), corpus.leaks.end());
}

void note_remarks(Corpus& corpus, const std::vector<SurveyedFile>& files) {
  std::map<std::string, std::vector<std::string>> by_remark;
  for (const SurveyedFile& file : files) {
    if (!file.survey) continue;
    for (const std::string& remark : file.survey->info.remarks) {
      by_remark[remark].push_back(file.path);
    }
  }
  for (const auto& [remark, paths] : by_remark) {
    const std::string others =
        paths.size() > 1 ? " (and " + std::to_string(paths.size() - 1) + " more)" : "";
    corpus.notes.push_back(shown(paths.front()) + others + ": " + remark + ".");
  }
}

// Equal for names that a person may mean as one: "3" and "03", "Anna" and "anna".
std::string folded(const std::string& name) {
  const std::string text = decomposed(name);
  const auto digit_at = [&](std::size_t i) {
    return i < text.size() && text[i] >= '0' && text[i] <= '9';
  };
  std::string key;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool after_digit = i > 0 && digit_at(i - 1);
    if (text[i] == '0' && digit_at(i + 1) && (!after_digit || key.empty())) continue;
    key += static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
  }
  return key;
}

// Of the part of a file that a recording is, from the levels of all of it.
void measure_silence(Recording& recording, const std::vector<float>& levels,
                     const FrameRange& range, int rate) {
  const auto level_at = [&](std::int64_t frame) {
    const auto at = static_cast<std::size_t>(frame * kLevelsPerSecond / rate);
    return std::min(levels.size(), at);
  };
  const std::size_t first = level_at(range.first), last = level_at(range.last);
  const Silence found = silence(std::span(levels).subspan(first, last - first));
  recording.silent_seconds = static_cast<double>(found.frames) / kLevelsPerSecond;
  recording.edge_seconds = static_cast<double>(found.at_edges) / kLevelsPerSecond;
}

}  // namespace

void survey_recordings(Corpus& corpus) {
  const std::vector<SurveyedFile> files = survey_files(corpus);
  std::vector<std::string> too_long;
  std::vector<Recording> usable;
  usable.reserve(corpus.recordings.size());  // parts point into it
  std::vector<Part> parts;
  for (Recording& recording : corpus.recordings) {
    const SurveyedFile& file = *std::lower_bound(
        files.begin(), files.end(), recording.path,
        [](const SurveyedFile& a, const std::string& path) { return a.path < path; });
    if (!file.survey) {
      const bool absent = is_absent(recording.path);
      corpus.skipped.push_back({absent ? SkippedFile::Why::missing : SkippedFile::Why::unreadable,
                                shown(recording.path),
                                absent ? "listed, but not there" : shown(file.trouble)});
      continue;
    }
    const AudioInfo& info = file.survey->info;
    const FrameRange range = frame_range(recording.range, info.sample_rate, info.frames);
    if (range.frames() <= 0) {
      corpus.skipped.push_back({SkippedFile::Why::unreadable, shown(recording.path),
                                "its range starts after the end of the file, at " +
                                    std::to_string(info.seconds()) + " s"});
      continue;
    }
    const double whole = info.seconds();
    if (recording.range.end > whole + kRangeTolerance) too_long.push_back(recording.id);
    const double end = recording.range.end < 0 ? whole : std::min(whole, recording.range.end);
    recording.seconds = end - recording.range.start;
    recording.content = file.survey->content;
    measure_silence(recording, file.survey->levels, range, info.sample_rate);
    usable.push_back(std::move(recording));
    parts.push_back({file.survey->content, range, &usable.back()});
  }
  find_duplicates(corpus, std::move(parts));
  corpus.recordings = std::move(usable);
  note_remarks(corpus, files);
  if (!too_long.empty()) {
    corpus.notes.push_back(std::to_string(too_long.size()) +
                           " ranges end later than their file, which is taken to its end; the "
                           "first is " +
                           too_long.front() + ".");
  }
}

void check_names(Corpus& corpus) {
  std::vector<Recording> usable;
  for (Recording& recording : corpus.recordings) {
    std::string fault = speaker_fault(recording.speaker);
    if (!fault.empty()) {
      throw InputError(shown(recording.path) + ": the speaker '" + shown(recording.speaker) + "' " +
                       fault + "; give another name");
    }
    fault = recording.group.empty() ? "" : name_fault(recording.group);
    if (!fault.empty()) {
      throw InputError(shown(recording.path) + ": the group '" + shown(recording.group) + "' " +
                       fault + "; give another name");
    }
    fault = name_fault(recording.id, kLongestPath);
    if (fault.empty()) fault = name_fault(recording.relative_path, kLongestPath);
    if (fault.empty()) {
      usable.push_back(std::move(recording));
    } else {
      corpus.skipped.push_back({SkippedFile::Why::not_understood, recording.path,
                                "its name " + fault + "; give the file another name"});
    }
  }
  corpus.recordings = std::move(usable);
  for (SkippedFile& file : corpus.skipped) {
    file.path = shown(file.path);
    file.reason = shown(file.reason);
  }
  std::map<std::string, int> left_out;
  for (const auto& [label, count] : corpus.left_out) left_out[shown(label)] += count;
  corpus.left_out = std::move(left_out);
  std::map<std::string, FoundLabel> labels;
  for (const auto& [label, found] : corpus.found_labels) {
    FoundLabel& all = labels[shown(label)];
    all.recordings += found.recordings;
    all.counts_as = found.counts_as;
  }
  corpus.found_labels = std::move(labels);
}

void note_oddities(Corpus& corpus) {
  std::vector<int> counts(corpus.classes.size());
  for (const Recording& recording : corpus.recordings) ++counts.at(recording.label);
  std::vector<std::string> absent;
  for (std::size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] == 0) absent.push_back(corpus.classes[k]);
  }
  if (!absent.empty()) {
    corpus.notes.push_back("Without a usable recording of the class " + join(absent, ", ") +
                           ": it can be evaluated, but not trained on; choose the classes with "
                           "--labels.");
  }
  std::map<std::string, std::vector<std::string>> spellings;
  for (const std::string& speaker : corpus.speakers())
    spellings[folded(speaker)].push_back(speaker);
  for (const auto& [key, names] : spellings) {
    if (names.size() < 2) continue;
    corpus.notes.push_back("The speakers " + join(names, ", ") +
                           " differ in spelling only: if they are one person, the results are "
                           "worthless, because training has heard who is tested.");
  }
}

}  // namespace serenade::ser
