// Finding and loading a corpus: everything that does not depend on how it is stored.

#include "apps/ser/corpus/corpus.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/common/error.h"
#include "apps/ser/common/names.h"
#include "apps/ser/corpus/corpus_row.h"
#include "apps/ser/corpus/corpus_survey.h"
#include "apps/ser/corpus/demo_corpus.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostRecordings = 1000000;
constexpr const char* kAllLabels = "all";

using Rows = std::vector<const CorpusRow*>;

std::vector<std::string> names_of(const Rows& rows) {
  std::vector<std::string> names;
  for (const CorpusRow* row : rows) names.push_back(row->name);
  return names;
}

LabelSet label_set_of(const CorpusRow& row, const std::string& word, const std::string& path) {
  if (word == label_set_names().front()) return row.label_sets.front();
  std::vector<std::string> known;
  for (const LabelSet& set : row.label_sets) {
    if (set.name == word) return set;
    known.push_back(set.name);
  }
  if (word == kAllLabels) return {.name = word, .open = true};
  if (std::find(known.begin(), known.end(), kAllLabels) == known.end()) known.push_back(kAllLabels);
  throw InputError(path + ": the corpus kind " + row.name + " has no label set " + word +
                   "; choose " + join(known, ", ") + " or leave it at default");
}

// What to say where no row knows the place, or not the one row that was asked for.
[[noreturn]] void refuse_place(const CorpusPlace& place, const Rows& rows) {
  const std::string& path = place.path();
  const CorpusRow* asked = rows.size() == 1 ? rows.front() : nullptr;
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    throw InputError(path + ": is a file; give the corpus folder or a .csv manifest");
  }
  if (asked && asked->evidence != Evidence::file_names) {
    throw InputError(path + ": no " + asked->sign);
  }
  if (place.sound_files().empty()) {
    throw InputError(path + ": no sound file in this folder or below; give the corpus folder");
  }
  const std::string first = place.sound_files().front().relative_path;
  if (asked) throw InputError(path + ": no " + asked->sign + "; the first one is " + first);
  throw InputError(path + ": holds sound files, but no corpus known by its names (such as " +
                   first + "); describe it in a CSV manifest: path,label,speaker");
}

// The one row that knows the place, and what it has found there.
std::pair<const CorpusRow*, std::string> recognise(const CorpusPlace& place, const Rows& rows) {
  for (const Evidence evidence : {Evidence::description, Evidence::folders, Evidence::file_names}) {
    Rows knowing;
    std::string found;
    for (const CorpusRow* row : rows) {
      if (row->evidence != evidence) continue;
      if (const auto path = row->find(place)) {
        knowing.push_back(row);
        found = *path;
      }
    }
    if (knowing.size() > 1) {
      throw InputError(place.path() + ": holds several corpora (" + join(names_of(knowing), ", ") +
                       "); give the folder of one, or its kind");
    }
    if (!knowing.empty()) return {knowing.front(), found};
  }
  refuse_place(place, rows);
}

void check_root(const std::string& root) {
  std::error_code error;
  const fs::file_status status = fs::status(root, error);
  if (status.type() == fs::file_type::not_found) {
    throw InputError(shown(root) +
                     ": no such folder; give the corpus folder, its parent, or a CSV manifest");
  }
  if (!error && fs::is_directory(status)) fs::directory_iterator(root, error);
  if (error) {
    throw IoError(shown(root) + ": cannot be opened: " + error.message() +
                  "; check its permissions");
  }
}

Corpus read_corpus(const CorpusSpec& spec, Rows rows) {
  if (spec.root.empty()) throw InputError("no corpus given; name its folder or a CSV manifest");
  check_root(spec.root);
  std::vector<std::string> kinds = names_of(rows);
  kinds.insert(kinds.begin(), corpus_names().front());  // "auto": all rows stay
  const std::size_t kind = find_setting_word("corpus_kind", spec.kind, kinds);
  if (kind > 0) rows = {rows[kind - 1]};
  const CorpusPlace place(spec.root);
  const auto [row, found] = recognise(place, rows);
  const LabelChoice labels(label_set_of(*row, spec.labels, found), spec);
  Corpus corpus = row->read(found, labels);
  corpus.kind = row->name;
  corpus.labels = labels.set();
  corpus.name = corpus.name.empty() ? row->title : shown(corpus.name);
  corpus.classes = labels.classes(corpus);
  for (Recording& recording : corpus.recordings) {
    const auto name = std::find(corpus.classes.begin(), corpus.classes.end(), recording.label_name);
    recording.label = static_cast<int>(name - corpus.classes.begin());
  }
  return corpus;
}

// Gives every recording a session from 0 without gaps, also when only part of a corpus is there.
void number_sessions(Corpus& corpus) {
  const bool unset = std::any_of(corpus.recordings.begin(), corpus.recordings.end(),
                                 [](const Recording& recording) { return recording.session < 0; });
  if (unset) {
    const std::map<std::string, int> sessions = group_speakers(corpus.speakers());
    for (Recording& recording : corpus.recordings) {
      recording.session = sessions.at(recording.speaker);
    }
  }
  std::map<int, int> indices;
  for (const Recording& recording : corpus.recordings) indices[recording.session] = 0;
  int next = 0;
  for (auto& [session, index] : indices) index = next++;
  for (Recording& recording : corpus.recordings) recording.session = indices[recording.session];
}

void require_recordings(const Corpus& corpus) {
  if (corpus.recordings.size() > kMostRecordings) {
    throw InputError(shown(corpus.root) + ": has more than " + std::to_string(kMostRecordings) +
                     " recordings; give a part of it");
  }
  if (!corpus.recordings.empty()) return;
  const std::string skipped =
      corpus.skipped.empty()
          ? ""
          : "; " + std::to_string(corpus.skipped.size()) + " files were skipped, the first is " +
                corpus.skipped.front().path + " (" + corpus.skipped.front().reason + ")";
  throw InputError(shown(corpus.root) + ": the corpus " + corpus.name + " has no usable recording" +
                   skipped);
}

std::vector<std::string> sorted_speakers(const Corpus& corpus, int session) {
  std::set<std::string> names;
  for (const Recording& recording : corpus.recordings) {
    if (session < 0 || recording.session == session) names.insert(recording.speaker);
  }
  return {names.begin(), names.end()};
}

}  // namespace

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> names = {"neutral", "angry", "happy", "sad"};
  return names;
}

const std::vector<std::string>& corpus_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"auto"};
    for (const CorpusRow& row : corpus_rows()) all.push_back(row.name);
    return all;
  }();
  return names;
}

const std::vector<std::string>& label_set_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"default"};
    for (const CorpusRow& row : corpus_rows()) {
      for (const LabelSet& set : row.label_sets) {
        if (std::find(all.begin(), all.end(), set.name) == all.end()) all.push_back(set.name);
      }
    }
    if (std::find(all.begin(), all.end(), kAllLabels) == all.end()) all.push_back(kAllLabels);
    return all;
  }();
  return names;
}

std::vector<std::string> Corpus::warnings() const {
  constexpr std::size_t kListed = 10;
  std::vector<std::string> lines = notes;
  for (std::size_t i = 0; i < std::min(kListed, skipped.size()); ++i) {
    lines.push_back("Left out, " + to_string(skipped[i].why) + ": " + skipped[i].path + ": " +
                    skipped[i].reason);
  }
  if (skipped.size() > kListed) {
    lines.push_back("Left out: " + std::to_string(skipped.size() - kListed) +
                    " more; `serenade corpus check` lists all.");
  }
  if (duplicates.size() > leaks.size()) {
    lines.push_back(std::to_string(duplicates.size() - leaks.size()) +
                    " sounds are there twice or more, for one speaker each.");
  }
  for (std::size_t i = 0; i < std::min(kListed, leaks.size()); ++i) {
    lines.push_back(
        "The same sound stands for different speakers, so that training hears what "
        "is tested: " +
        join(leaks[i], ", ") + ".");
  }
  if (leaks.size() > kListed) {
    lines.push_back("The same holds for " + std::to_string(leaks.size() - kListed) +
                    " more sounds; `serenade corpus check` lists all.");
  }
  return lines;
}

int Corpus::session_count() const {
  int count = 0;
  for (const Recording& recording : recordings) count = std::max(count, recording.session + 1);
  return count;
}

std::vector<std::string> Corpus::speakers() const { return sorted_speakers(*this, -1); }

std::vector<std::string> Corpus::session_speakers(int session) const {
  return sorted_speakers(*this, session);
}

std::map<std::string, int> group_speakers(const std::vector<std::string>& speakers) {
  constexpr int kMaxPaired = 24, kBlocks = 5;
  const std::set<std::string> sorted(speakers.begin(), speakers.end());
  const int count = static_cast<int>(sorted.size());
  std::map<std::string, int> sessions;
  int i = 0;
  for (const std::string& speaker : sorted) {
    const int pair = std::min(i / 2, std::max(0, count / 2 - 1));
    sessions[speaker] = count <= kMaxPaired ? pair : i * kBlocks / count;
    ++i;
  }
  return sessions;
}

Corpus load_corpus(const CorpusSpec& spec) { return load_corpus(spec, {}); }

Corpus load_corpus(const CorpusSpec& spec, const std::vector<CorpusRow>& further) {
  Rows rows;
  for (const CorpusRow& row : corpus_rows()) rows.push_back(&row);
  for (const CorpusRow& row : further) rows.push_back(&row);
  Corpus corpus = read_corpus(spec, rows);
  std::stable_sort(corpus.recordings.begin(), corpus.recordings.end(),
                   [](const Recording& a, const Recording& b) {
                     if (a.relative_path != b.relative_path)
                       return a.relative_path < b.relative_path;
                     return a.range.start < b.range.start;
                   });
  check_names(corpus);
  survey_recordings(corpus);
  require_recordings(corpus);
  note_oddities(corpus);
  number_sessions(corpus);
  std::error_code ignored;
  corpus.synthetic = fs::exists(fs::path(corpus.root) / kSyntheticMarker, ignored);
  if (corpus.synthetic) {
    corpus.name = "demo corpus";         // in IEMOCAP's tree, but nobody should take it for IEMOCAP
    corpus.labels.class_counts.clear();  // and its counts are not IEMOCAP's
    corpus.labels.speaker_counts.clear();
    corpus.notes.push_back(
        "SYNTHETIC speech made by a program: results show that the software works and say nothing "
        "about people.");
  }
  return corpus;
}

}  // namespace serenade::ser
