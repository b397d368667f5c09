// Any corpus, by a CSV file with a header line:  path,label,speaker[,group,start,end]
//
// Columns in any order; RFC 4180 quotes ("a, b" and "" for one quote); paths relative to the CSV;
// start and end in seconds. `group` names the session: whose recordings are held out together.
// Labels: neutral, angry, happy, sad, or the usual other forms of them; others are left out.

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/corpus/corpus_row.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

struct Row {
  int line = 0;  // where it begins, for messages
  std::vector<std::string> fields;
};

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

[[noreturn]] void refuse(const std::string& path, int line, const std::string& problem) {
  throw InputError(path + ":" + std::to_string(line) + ": " + problem);
}

// RFC 4180: a field in quotes may hold commas, line ends and doubled quotes.
std::vector<Row> parse_csv(const std::string& path, const std::string& text) {
  std::vector<Row> rows;
  Row row;
  std::string field;
  bool quoted = false, was_quoted = false;
  int line = 1;
  row.line = line;
  const auto end_field = [&] {
    row.fields.push_back(was_quoted ? field : trimmed(field));
    field.clear();
    was_quoted = false;
  };
  const auto end_row = [&] {
    end_field();
    const bool blank = row.fields.size() == 1 && row.fields.front().empty();
    if (!blank) rows.push_back(std::move(row));
    row = {};
    row.line = line;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        field += text[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && trimmed(field).empty() && !was_quoted) {
      field.clear();
      quoted = was_quoted = true;
    } else if (c == ',') {
      end_field();
    } else if (c == '\n') {
      end_row();
    } else if (c != '\r' && !(was_quoted && (c == ' ' || c == '\t'))) {
      if (was_quoted) refuse(path, line, "text after a closing quote; double the quotes inside");
      field += c;
    }
  }
  if (quoted) refuse(path, row.line, "a quote is not closed");
  end_row();
  return rows;
}

std::string without_byte_order_mark(std::string text) {
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  return text;
}

int class_of(const std::string& label) {
  static const std::map<std::string, int> labels = {
      {"neutral", kNeutral}, {"neu", kNeutral}, {"angry", kAngry},     {"anger", kAngry},
      {"ang", kAngry},       {"happy", kHappy}, {"happiness", kHappy}, {"hap", kHappy},
      {"joy", kHappy},       {"sad", kSad},     {"sadness", kSad}};
  const auto found = labels.find(lower(label));
  return found == labels.end() ? -1 : found->second;
}

class Manifest {
 public:
  explicit Manifest(const std::string& path) : path_(path), folder_(fs::path(path).parent_path()) {
    corpus_.name = fs::path(path).stem().string();
    corpus_.root = folder_.empty() ? "." : folder_.string();
  }

  Corpus read() {
    const std::vector<Row> rows = parse_csv(path_, without_byte_order_mark(read_text_file(path_)));
    if (rows.empty()) throw InputError(path_ + ": is empty; its first line names the columns");
    read_header(rows.front());
    for (std::size_t i = 1; i < rows.size(); ++i) read_row(rows[i]);
    number_groups();
    return std::move(corpus_);
  }

 private:
  void read_header(const Row& row) {
    static const std::set<std::string> known = {"path",  "label", "speaker",
                                                "group", "start", "end"};
    for (std::size_t i = 0; i < row.fields.size(); ++i) {
      const std::string name = lower(row.fields[i]);
      if (!known.contains(name)) {
        refuse(path_, row.line,
               "unknown column \"" + row.fields[i] +
                   "\"; the first line must be path,label,speaker and may add "
                   "group,start,end");
      }
      if (!columns_.emplace(name, i).second) refuse(path_, row.line, "two columns " + name);
    }
    for (const char* name : {"path", "label", "speaker"}) {
      if (!columns_.contains(name)) {
        refuse(path_, row.line,
               std::string("no column \"") + name +
                   "\"; the first line must be "
                   "path,label,speaker and may add group,start,end");
      }
    }
    width_ = row.fields.size();
  }

  std::string field(const Row& row, const std::string& name) const {
    const auto column = columns_.find(name);
    return column == columns_.end() ? "" : row.fields[column->second];
  }

  double seconds(const Row& row, const std::string& name, double absent) const {
    const std::string text = field(row, name);
    if (text.empty()) return absent;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (*end != '\0' || !std::isfinite(value) || value < 0) {
      refuse(path_, row.line, name + " must be seconds, 0 or more; got \"" + text + "\"");
    }
    return value;
  }

  void read_row(const Row& row) {
    if (row.fields.size() != width_) {
      refuse(path_, row.line,
             std::to_string(row.fields.size()) + " fields where the first line has " +
                 std::to_string(width_));
    }
    const std::string path = field(row, "path"), label = field(row, "label");
    for (const char* name : {"path", "label", "speaker"}) {
      if (field(row, name).empty()) refuse(path_, row.line, std::string(name) + " is empty");
    }
    Recording recording;
    recording.id = path;
    recording.path = (folder_ / path).string();  // an absolute path stays as it is
    recording.relative_path = fs::path(path).lexically_normal().generic_string();
    recording.label = class_of(label);
    recording.speaker = field(row, "speaker");
    recording.group = field(row, "group");
    recording.session = -1;
    recording.range = {seconds(row, "start", 0), seconds(row, "end", -1)};
    if (recording.range.end >= 0 && recording.range.end <= recording.range.start) {
      refuse(path_, row.line, "end must be later than start");
    }
    if (recording.range.start > 0 || recording.range.end >= 0) {
      recording.id += "#" + field(row, "start") + "-" + field(row, "end");
    }
    if (recording.label < 0) {
      ++corpus_.left_out[label];
    } else if (!seen_.insert(recording.id).second) {
      refuse(path_, row.line, recording.id + " is listed twice; remove one of the two rows");
    } else {
      rows_.push_back(row.line);
      corpus_.recordings.push_back(std::move(recording));
    }
  }

  // Sessions are the groups in sorted order, if every row has one.
  void number_groups() {
    std::map<std::string, int> sessions;
    std::map<std::string, std::string> group_of;
    for (std::size_t i = 0; i < corpus_.recordings.size(); ++i) {
      const Recording& recording = corpus_.recordings[i];
      const auto [found, fresh] = group_of.emplace(recording.speaker, recording.group);
      if (!fresh && found->second != recording.group) {
        refuse(path_, rows_[i],
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
  fs::path folder_;
  Corpus corpus_;
  std::map<std::string, std::size_t> columns_;
  std::size_t width_ = 0;
  std::set<std::string> seen_;
  std::vector<int> rows_;  // line of each recording
};

std::optional<std::string> find_csv(const CorpusPlace& place) {
  const fs::path path = place.path();
  if (fs::is_regular_file(path)) {
    if (lower(path.extension().string()) == ".csv") return path.string();
    return std::nullopt;
  }
  const fs::path inside = path / "manifest.csv";
  if (fs::is_regular_file(inside)) return inside.string();
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
  row.read = [](const std::string& csv, const LabelSet&) { return Manifest(csv).read(); };
  return row;
}

}  // namespace serenade::ser
