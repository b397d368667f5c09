// IEMOCAP (Busso et al., Language Resources and Evaluation 2008), as released:
//   Session{1..5}/dialog/EmoEvaluation/<dialogue>.txt     labels
//   Session{1..5}/sentences/wav/<dialogue>/<utterance>.wav
// A label line begins with '[' and is separated by tabs:
//   [6.2901 - 8.2357]  Ses01F_impro01_F000  neu  [2.5000, 2.5000, 2.5000]
//
// The speaker is the session and the LAST F or M of the utterance's name. The F or M after the
// session number only says who wore the motion-capture markers; both people speak in either kind.

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/common/names.h"
#include "apps/ser/corpus/corpus_row.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr int kSessions = 5;
constexpr const char *kImprovised = "impro4", *kImprovisedExcited = "impro4exc",
                     *kAllExcited = "all4exc";

std::string session_folder(int session) { return "Session" + std::to_string(session + 1); }

// Dialogues may be split ("impro05a") or numbered twice ("script01_1b"), so that no field has a
// fixed position.
const std::regex& utterance_pattern() {
  static const std::regex pattern(
      R"(Ses0([1-5])([MF])_(impro|script)(\d\d)([a-z]?)(?:_(\d)([a-z]?))?_([MF])(\w+))");
  return pattern;
}

std::vector<std::string> split_tabs(const std::string& line) {
  std::vector<std::string> fields;
  std::size_t start = 0;
  while (true) {
    const std::size_t tab = line.find('\t', start);
    fields.push_back(line.substr(start, tab - start));
    if (tab == std::string::npos) return fields;
    start = tab + 1;
  }
}

// What the annotators did not agree on is no emotion of any label set.
constexpr const char* kNoAgreement = "xxx";

std::string word_of(const std::string& label) {
  static const std::map<std::string, std::string> words = {
      {"neu", "neutral"}, {"ang", "angry"},      {"hap", "happy"},    {"sad", "sad"},
      {"exc", "excited"}, {"fru", "frustrated"}, {"sur", "surprise"}, {"fea", "fear"},
      {"dis", "disgust"}, {"oth", "other"}};
  const auto found = words.find(label);
  return found == words.end() ? label : found->second;
}

// The entries of a folder, as many as can be seen, sorted.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); it != fs::directory_iterator();
       it.increment(error)) {
    entries.push_back(it->path());
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

std::vector<fs::path> label_files(const fs::path& folder) {
  std::vector<fs::path> files = entries_of(folder);
  std::erase_if(files, [](const fs::path& file) {
    std::error_code ignored;
    // The subfolders hold the single annotators' opinions, not the majority.
    return is_hidden_name(file.filename().string()) || file.extension() != ".txt" ||
           fs::is_directory(file, ignored);
  });
  return files;
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

class Reader {
 public:
  Reader(const std::string& root, const LabelChoice& labels)
      : root_(root), labels_(labels), scripted_(!labels.set().name.starts_with("impro")) {
    corpus_.root = root;
  }

  Corpus read() {
    std::string absent;
    for (int session = 0; session < kSessions; ++session) {
      const fs::path folder = root_ / session_folder(session) / "dialog" / "EmoEvaluation";
      const std::vector<fs::path> files = label_files(folder);
      if (files.empty()) absent += (absent.empty() ? "" : ", ") + session_folder(session);
      for (const fs::path& file : files) read_labels(file, session);
    }
    if (!absent.empty()) corpus_.notes.push_back("Without label files: " + absent + ".");
    return std::move(corpus_);
  }

 private:
  void read_labels(const fs::path& file, int session) {
    std::istringstream in(label_text(file));
    std::string line;
    for (int line_number = 1; std::getline(in, line); ++line_number) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (line.empty() || line.front() != '[') continue;  // comments and single annotators
      const std::string trouble = read_line(split_tabs(line), session);
      if (!trouble.empty()) {
        corpus_.skipped.push_back({SkippedFile::Why::not_understood,
                                   file.string() + ":" + std::to_string(line_number), trouble});
      }
    }
  }

  // Nothing where the file cannot be read: its dialogue is left out and listed.
  std::string label_text(const fs::path& file) {
    std::error_code ignored;
    if (!fs::is_regular_file(file, ignored)) {
      corpus_.skipped.push_back(
          {SkippedFile::Why::unreadable, file.string(), "is no file, or a link to none"});
      return "";
    }
    try {
      return read_text_file(file.string());
    } catch (const IoError& error) {
      corpus_.skipped.push_back(
          {SkippedFile::Why::unreadable, file.string(), without_path(error.what(), file.string())});
      return "";
    }
  }

  // Returns what is wrong with the line, or nothing.
  std::string read_line(const std::vector<std::string>& fields, int session) {
    if (fields.size() < 3) return "a label line needs a time, an utterance and a label";
    const std::string& utterance = fields[1];
    const std::string& label = fields[2];
    std::smatch match;
    if (!std::regex_match(utterance, match, utterance_pattern())) {
      return "no utterance is named " + utterance;
    }
    if (match[1].str() != std::to_string(session + 1)) {
      return utterance + " is not of " + session_folder(session);
    }
    const bool improvised = match[3] == "impro";
    if (!improvised && !scripted_) {
      ++corpus_.left_out["scripted"];
      return "";
    }
    if (label == kNoAgreement) {
      ++corpus_.left_out["no agreement"];
      return "";
    }
    const std::string counts_as = labels_.count(corpus_, word_of(label));
    if (counts_as.empty()) return "";
    if (!seen_.insert(utterance).second) return utterance + " is labelled twice";
    add(utterance, counts_as, "Ses0" + match[1].str() + match[8].str(), session);
    return "";
  }

  void add(const std::string& utterance, const std::string& label, const std::string& speaker,
           int session) {
    const std::string dialogue = utterance.substr(0, utterance.rfind('_'));
    std::string relative =
        session_folder(session) + "/sentences/wav/" + dialogue + "/" + utterance + ".wav";
    if (!is_there(root_ / relative)) {
      const std::string capitals = relative.substr(0, relative.size() - 4) + ".WAV";
      if (is_there(root_ / capitals)) relative = capitals;
    }
    Recording recording;
    recording.id = utterance;
    recording.path = (root_ / relative).string();
    recording.relative_path = relative;
    recording.label_name = label;
    recording.speaker = speaker;
    recording.session = session;
    recording.group = dialogue;
    corpus_.recordings.push_back(std::move(recording));
  }

  fs::path root_;
  const LabelChoice& labels_;
  bool scripted_;
  Corpus corpus_;
  std::set<std::string> seen_;
};

bool is_root(const fs::path& folder) {
  for (int session = 0; session < kSessions; ++session) {
    if (is_there(folder / session_folder(session) / "dialog" / "EmoEvaluation" / "")) return true;
  }
  return false;
}

std::optional<std::string> find_root(const CorpusPlace& place) {
  if (is_root(place.path())) return place.path();
  for (const fs::path& entry : entries_of(place.path())) {
    if (is_root(entry)) return entry.string();
  }
  return std::nullopt;
}

}  // namespace

CorpusRow iemocap_corpus() {
  CorpusRow row;
  row.name = "iemocap";
  row.title = "IEMOCAP";
  row.speakers = 10;
  row.about = "request form of SAIL, University of Southern California; research use";
  // Counts: recomputed from the published labels.
  row.label_sets = {{.name = kImprovised,
                     .class_counts = {1099, 289, 284, 608},  // 2,280
                     .speaker_counts = {{"Ses01F", 217},
                                        {"Ses01M", 205},
                                        {"Ses02F", 185},
                                        {"Ses02M", 208},
                                        {"Ses03F", 264},
                                        {"Ses03M", 274},
                                        {"Ses04F", 149},
                                        {"Ses04M", 221},
                                        {"Ses05F", 298},
                                        {"Ses05M", 259}}},
                    {.name = kImprovisedExcited,
                     .merged = {{"excited", "happy"}},
                     .class_counts = {1099, 289, 284 + 663, 608}},  // 2,943
                    {.name = kAllExcited,
                     .merged = {{"excited", "happy"}},
                     .class_counts = {1708, 1103, 595 + 1041, 1084}},  // 5,531
                    {.name = "all",
                     .classes = {"neutral", "angry", "happy", "sad", "disgust", "excited", "fear",
                                 "frustrated", "other", "surprise"},
                     .open = true,
                     .class_counts = {1708, 1103, 595, 1084, 2, 1041, 40, 1849, 3, 107}}};  // 7,532
  row.evidence = Evidence::folders;
  row.sign = "IEMOCAP tree (Session1/dialog/EmoEvaluation); give IEMOCAP_full_release";
  row.find = find_root;
  row.read = [](const std::string& root, const LabelChoice& labels) {
    return Reader(root, labels).read();
  };
  return row;
}

}  // namespace serenade::ser
