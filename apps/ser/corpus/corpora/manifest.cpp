// Any corpus, by a CSV file with a header line:  path,label,speaker[,group,start,end]
//
// Columns in any order, and others beside them, which are not read; what common/csv.h reads, so
// commas, semicolons or tabs; paths relative to the CSV; start and end in seconds. `group` names
// the session: whose recordings are held out together.
// Labels: neutral, angry, happy, sad, or the usual other forms of them; whether others count, the
// label set says.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "apps/ser/common/csv.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/corpus/corpus_row.h"
#include "apps/ser/corpus/path_spelling.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kListedColumns = 5;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string word_of(const std::string& label) {
  static const std::map<std::string, std::string> words = {
      {"neu", "neutral"}, {"anger", "angry"}, {"ang", "angry"},  {"happiness", "happy"},
      {"hap", "happy"},   {"joy", "happy"},   {"sadness", "sad"}};
  const std::string word = lower(label);
  const auto found = words.find(word);
  return found == words.end() ? word : found->second;
}

class Manifest {
 public:
  Manifest(const std::string& path, const LabelChoice& labels)
      : path_(path), labels_(labels), folder_(fs::path(path).parent_path()) {
    corpus_.name = fs::path(path).stem().string();
    corpus_.root = folder_.empty() ? "." : folder_.string();
  }

  Corpus read() {
    const std::vector<CsvRow> rows = read_csv(path_);
    if (rows.empty()) throw InputError(path_ + ": is empty; its first line names the columns");
    read_header(rows.front());
    for (std::size_t i = 1; i < rows.size(); ++i) read_row(rows[i]);
    number_groups();
    return std::move(corpus_);
  }

 private:
  void read_header(const CsvRow& row) {
    static const std::set<std::string> known = {"path",  "label", "speaker",
                                                "group", "start", "end"};
    std::vector<std::string> others;
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      const std::string name = lower(row.fields[i]);
      // What tables are saved with that number their rows.
      if (i == 0 && (name.empty() || name == "unnamed: 0")) continue;
      if (!known.contains(name)) {
        others.push_back("\"" + shown(row.fields[i].substr(0, kLongestName)) + "\"");
        continue;
      }
      if (!columns_.emplace(name, i).second) refuse_row(path_, row.line, "two columns " + name);
    }
    for (const char* name : {"path", "label", "speaker"}) {
      if (!columns_.contains(name)) {
        refuse_row(path_, row.line,
                   std::string("no column \"") + name +
                       "\"; the first line must be "
                       "path,label,speaker and may add group,start,end");
      }
    }
    width_ = row.fields.size();
    if (others.empty()) return;
    const std::size_t count = others.size();
    others.resize(std::min(count, kListedColumns));
    corpus_.notes.push_back("The manifest has columns that are not read: " + join(others, ", ") +
                            (count > kListedColumns ? ", .." : "") + "; known are " +
                            join({known.begin(), known.end()}, ", ") + ".");
  }

  std::string field(const CsvRow& row, const std::string& name) const {
    const auto column = columns_.find(name);
    return column == columns_.end() ? "" : row.fields[column->second];
  }

  double seconds(const CsvRow& row, const std::string& name, double absent) const {
    const std::string text = field(row, name);
    if (text.empty()) return absent;
    double value = 0;  // the same in every locale
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
        value < 0) {
      refuse_row(path_, row.line,
                 name + " must be seconds, 0 or more" +
                     (text.find(',') != std::string::npos ? ", with a point for the comma" : "") +
                     "; got \"" + shown(text.substr(0, kLongestName)) + "\"");
    }
    return value;
  }

  void read_row(const CsvRow& row) {
    if (row.fields.size() != width_) {
      refuse_row(path_, row.line,
                 std::to_string(row.fields.size()) + " fields where the first line has " +
                     std::to_string(width_));
    }
    const std::string path = field(row, "path"), label = field(row, "label");
    check_names(row);
    if (label.empty()) {
      corpus_.skipped.push_back({SkippedFile::Why::not_understood,
                                 path_ + ":" + std::to_string(row.line),
                                 path + ": its label is empty"});
      return;
    }
    Recording recording;
    recording.id = path;
    recording.path = spelling_.find((folder_ / path).string());  // absolute paths stay as they are
    recording.relative_path = relative_path(path, recording.path);
    recording.speaker = field(row, "speaker");
    recording.group = field(row, "group");
    recording.session = -1;
    recording.range = {seconds(row, "start", 0), seconds(row, "end", -1)};
    if (recording.range.end >= 0 && recording.range.end <= recording.range.start) {
      refuse_row(path_, row.line, "end must be later than start");
    }
    if (recording.range.start > 0 || recording.range.end >= 0) {
      recording.id += "#" + field(row, "start") + "-" + field(row, "end");
    }
    recording.label_name = labels_.count(corpus_, word_of(label));
    if (recording.label_name.empty()) return;
    if (!seen_.insert(recording.id).second) {
      refuse_row(path_, row.line, recording.id + " is listed twice; remove one of the two rows");
    } else {
      rows_.push_back(row.line);
      corpus_.recordings.push_back(std::move(recording));
    }
  }

  void check_names(const CsvRow& row) const {
    const auto check = [&](const char* name, const std::string& fault) {
      if (!fault.empty()) refuse_row(path_, row.line, std::string(name) + " " + fault);
    };
    check("path", name_fault(field(row, "path"), kLongestPath));
    check("speaker", speaker_fault(field(row, "speaker")));
    for (const char* name : {"label", "group"}) {
      const std::string text = field(row, name);
      check(name, text.empty() ? "" : name_fault(text));
    }
  }

  // The path as it is on disk, seen from the manifest's folder where that is how it was written.
  std::string relative_path(const std::string& written, const std::string& found) const {
    if (fs::path(written).is_absolute()) return fs::path(found).lexically_normal().generic_string();
    return fs::path(found).lexically_relative(folder_).lexically_normal().generic_string();
  }

  // Sessions are the groups in sorted order, if every row has one.
  void number_groups() {
    std::map<std::string, int> sessions;
    std::map<std::string, std::string> group_of;
    for (std::size_t i = 0; i < corpus_.recordings.size(); ++i) {
      const Recording& recording = corpus_.recordings[i];
      const auto [found, fresh] = group_of.emplace(recording.speaker, recording.group);
      if (!fresh && found->second != recording.group) {
        refuse_row(path_, rows_[i],
                   "speaker " + recording.speaker + " is in the groups \"" + found->second +
                       "\" and \"" + recording.group +
                       "\"; a speaker belongs to one, so that speakers stay apart");
      }
      sessions[recording.group] = 0;
    }
    if (sessions.size() == 1 && sessions.begin()->first.empty()) return;
    if (sessions.contains("")) {
      throw InputError(path_ + ": some rows have a group and some have none; fill in all or none");
    }
    int next = 0;
    for (auto& [group, session] : sessions) session = next++;
    for (Recording& recording : corpus_.recordings) recording.session = sessions[recording.group];
  }

  std::string path_;
  const LabelChoice& labels_;
  fs::path folder_;
  SpellingFinder spelling_;
  Corpus corpus_;
  std::map<std::string, std::size_t> columns_;
  std::size_t width_ = 0;
  std::set<std::string> seen_;
  std::vector<int> rows_;  // line of each recording
};

std::optional<std::string> find_csv(const CorpusPlace& place) {
  const fs::path path = place.path();
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) {
    if (lower(path.extension().string()) == ".csv") return path.string();
    return std::nullopt;
  }
  const fs::path inside = path / "manifest.csv";
  if (fs::is_regular_file(inside, ignored)) return inside.string();
  return std::nullopt;
}

}  // namespace

CorpusRow manifest_corpus() {
  CorpusRow row;
  row.name = "manifest";
  row.title = "any";  // the file's name takes its place
  row.about = "CSV: path,label,speaker[,group,start,end]";
  row.evidence = Evidence::description;
  row.sign = "CSV manifest; name the .csv file, or a folder with a manifest.csv";
  row.find = find_csv;
  row.read = [](const std::string& csv, const LabelChoice& labels) {
    return Manifest(csv, labels).read();
  };
  return row;
}

}  // namespace serenade::ser
