// Corpora whose file names say everything; folders may be arranged in any way.
//   EmoDB    03a01Fa.wav            speaker 03, text a01, emotion F, version a
//            (Burkhardt et al., Interspeech 2005; the emotion letters are German)
//   URDU     SM1_F01_A01.wav        speaker SM1, file, emotion A H N S
//            (Latif et al., FIT 2018)
//   RAVDESS  03-01-05-01-02-01-12.wav  modality, vocal channel, emotion, intensity, statement,
//            repetition, actor (Livingstone and Russo, PLoS ONE 2018)
//   CREMA-D  1001_DFA_ANG_XX.wav    speaker, sentence, emotion, level
//            (Cao et al., IEEE Transactions on Affective Computing 2014)

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <functional>
#include <regex>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus_reader.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

// What a file name says. `other` names the label when it is not one of the four classes.
struct Fields {
  std::string speaker;
  std::string group;
  int label = -1;
  std::string other;
  int session = -1;
};

struct NameRule {
  CorpusKind kind;
  std::string name;
  std::regex pattern;
  std::function<Fields(const std::smatch&)> read;
};

int emodb_session(const std::string& speaker) {
  static const std::vector<std::pair<std::string, std::string>> pairs = {
      {"03", "08"}, {"10", "09"}, {"11", "13"}, {"12", "14"}, {"15", "16"}};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (speaker == pairs[i].first || speaker == pairs[i].second) return static_cast<int>(i);
  }
  return -1;
}

Fields read_emodb(const std::smatch& match) {
  static const std::map<std::string, std::string> others = {
      {"L", "boredom"}, {"E", "disgust"}, {"A", "fear"}};
  static const std::map<std::string, int> labels = {
      {"N", kNeutral}, {"W", kAngry}, {"F", kHappy}, {"T", kSad}};
  Fields fields{match[1], match[2], -1, "", emodb_session(match[1])};
  const auto label = labels.find(match[3]);
  if (label != labels.end()) fields.label = label->second;
  if (fields.label < 0) fields.other = others.at(match[3]);
  return fields;
}

Fields read_urdu(const std::smatch& match) {
  static const std::map<std::string, int> labels = {
      {"N", kNeutral}, {"A", kAngry}, {"H", kHappy}, {"S", kSad}};
  return {match[1], "", labels.at(match[2]), "", -1};
}

Fields read_ravdess(const std::smatch& match) {
  static const std::vector<std::string> emotions = {"neutral", "calm",    "happy",   "sad",
                                                    "angry",   "fearful", "disgust", "surprised"};
  static const std::map<std::string, int> labels = {
      {"neutral", kNeutral}, {"angry", kAngry}, {"happy", kHappy}, {"sad", kSad}};
  const int actor = std::stoi(match[7]);
  Fields fields{match[7], "statement" + match[5].str(), -1, "", (actor - 1) / 2};
  const std::string& emotion = emotions.at(std::stoi(match[3]) - 1);
  if (match[1] == "01" || match[1] == "02") {
    fields.other = "video";
  } else if (match[2] == "02") {
    fields.other = "song";
  } else if (const auto label = labels.find(emotion); label != labels.end()) {
    fields.label = label->second;
  } else {
    fields.other = emotion;
  }
  return fields;
}

Fields read_cremad(const std::smatch& match) {
  static const std::map<std::string, int> labels = {
      {"NEU", kNeutral}, {"ANG", kAngry}, {"HAP", kHappy}, {"SAD", kSad}};
  Fields fields{match[1], match[2], -1, "", -1};
  const auto label = labels.find(match[3]);
  if (label != labels.end()) fields.label = label->second;
  if (fields.label < 0) fields.other = match[3] == "DIS" ? "disgust" : "fear";
  return fields;
}

const std::vector<NameRule>& name_rules() {
  static const std::vector<NameRule> rules = {
      {CorpusKind::emodb, "EmoDB", std::regex(R"((\d\d)([ab]\d\d)([WLEAFTN])[a-z]?)"), read_emodb},
      {CorpusKind::urdu, "URDU", std::regex(R"((S[MF]\d+)_F\d+_([AHNS])\d+)"), read_urdu},
      {CorpusKind::ravdess, "RAVDESS",
       std::regex(R"((0[123])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-([01]\d|2[0-4]))"),
       read_ravdess},
      {CorpusKind::cremad, "CREMA-D",
       std::regex(R"((1\d\d\d)_([A-Z]{3})_(ANG|DIS|FEA|HAP|NEU|SAD)_(LO|MD|HI|XX|X))"),
       read_cremad}};
  return rules;
}

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

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

void add_notes(Corpus& corpus, std::size_t matched, int repeated) {
  if (repeated > 0) {
    corpus.notes.push_back(std::to_string(repeated) +
                           " files repeat the name of another one and are not used (a second "
                           "format or a second copy of the corpus).");
  }
  if (corpus.kind == CorpusKind::urdu) {
    corpus.notes.push_back(
        "In URDU most speakers have a single emotion, so that knowing the speaker nearly gives the "
        "emotion: never use it alone as evidence of emotion recognition.");
  }
  if (corpus.kind == CorpusKind::emodb && matched > 535) {
    corpus.notes.push_back(
        "More than EmoDB's 535 recordings: release 2.0 adds 281 that listeners disagreed on.");
  }
}

}  // namespace

bool is_hidden_name(const std::string& name) { return !name.empty() && name.front() == '.'; }

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
    if (!it->is_regular_file() || !extensions.count(lower_extension(path))) continue;
    files.push_back(
        {path.string(), path.lexically_relative(folder).generic_string(), path.stem().string()});
  }
  std::sort(files.begin(), files.end(), [](const FoundFile& a, const FoundFile& b) {
    return a.relative_path < b.relative_path;
  });
  return files;
}

std::vector<CorpusKind> recognise_names(const std::vector<FoundFile>& files) {
  std::vector<CorpusKind> kinds;
  for (const NameRule& rule : name_rules()) {
    const bool any = std::any_of(files.begin(), files.end(), [&](const FoundFile& file) {
      return std::regex_match(file.stem, rule.pattern);
    });
    if (any) kinds.push_back(rule.kind);
  }
  return kinds;
}

Corpus read_flat(CorpusKind kind, const std::string& folder, const std::vector<FoundFile>& files) {
  const auto rule = std::find_if(name_rules().begin(), name_rules().end(),
                                 [&](const NameRule& candidate) { return candidate.kind == kind; });
  std::vector<const FoundFile*> matching;
  for (const FoundFile& file : files) {
    if (std::regex_match(file.stem, rule->pattern)) matching.push_back(&file);
  }
  // The same relative paths, and so the same meaning of a seed, whether the user names the corpus
  // or a folder above it.
  const std::string below = common_folder(matching);
  Corpus corpus;
  corpus.kind = kind;
  corpus.name = rule->name;
  corpus.root =
      below.empty() ? folder : (fs::path(folder) / below.substr(0, below.size() - 1)).string();

  // Where a recording is there in two formats or twice, WAV and then the first path wins.
  std::stable_partition(matching.begin(), matching.end(), [](const FoundFile* file) {
    return lower_extension(file->path) == ".wav";
  });
  std::set<std::string> seen;
  int repeated = 0;
  for (const FoundFile* file : matching) {
    if (!seen.insert(file->stem).second) {
      ++repeated;
      continue;
    }
    std::smatch match;
    std::regex_match(file->stem, match, rule->pattern);
    const Fields fields = rule->read(match);
    if (fields.label < 0) {
      ++corpus.left_out[fields.other];
      continue;
    }
    Recording recording;
    recording.id = file->stem;
    recording.path = file->path;
    recording.relative_path = file->relative_path.substr(below.size());
    recording.label = fields.label;
    recording.speaker = fields.speaker;
    recording.session = fields.session;
    recording.group = fields.group;
    corpus.recordings.push_back(std::move(recording));
  }
  for (const FoundFile& file : files) {
    if (!file.relative_path.starts_with(below) || std::regex_match(file.stem, rule->pattern)) {
      continue;
    }
    corpus.skipped.push_back(
        {SkippedFile::Why::not_understood, file.path, "not named as in the corpus " + corpus.name});
  }
  add_notes(corpus, seen.size(), repeated);
  return corpus;
}

}  // namespace serenade::ser
