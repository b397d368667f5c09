// Finding and loading a corpus: everything that does not depend on how it is stored.

#include "apps/ser/corpus/corpus.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/corpus/corpus_reader.h"
#include "apps/ser/corpus/demo_corpus.h"

namespace serenade::ser {

namespace {

namespace fs = std::filesystem;

template <class Value>
using Words = std::vector<std::pair<std::string, Value>>;

const Words<CorpusKind>& kind_words() {
  static const Words<CorpusKind> words = {
      {"auto", CorpusKind::automatic},   {"iemocap", CorpusKind::iemocap},
      {"emodb", CorpusKind::emodb},      {"urdu", CorpusKind::urdu},
      {"ravdess", CorpusKind::ravdess},  {"cremad", CorpusKind::cremad},
      {"manifest", CorpusKind::manifest}};
  return words;
}

const Words<LabelSet>& label_words() {
  static const Words<LabelSet> words = {{"default", LabelSet::standard},
                                        {"impro4", LabelSet::impro4},
                                        {"impro4exc", LabelSet::impro4exc},
                                        {"all4exc", LabelSet::all4exc},
                                        {"four", LabelSet::four}};
  return words;
}

template <class Value>
std::string word_of(const Words<Value>& words, Value value) {
  for (const auto& [word, meaning] : words) {
    if (meaning == value) return word;
  }
  return "?";
}

template <class Value>
Value value_of(const Words<Value>& words, const std::string& word, const std::string& what) {
  std::string known;
  for (const auto& [name, value] : words) {
    if (name == word) return value;
    known += (known.empty() ? "" : ", ") + name;
  }
  throw InputError("unknown " + what + " \"" + word + "\"; choose one of " + known);
}

LabelSet resolve_labels(CorpusKind kind, LabelSet labels, const std::string& root) {
  const bool iemocap = kind == CorpusKind::iemocap;
  if (labels == LabelSet::standard) return iemocap ? LabelSet::impro4 : LabelSet::four;
  if (iemocap == (labels != LabelSet::four)) return labels;
  throw InputError(root + ": the label set " + to_string(labels) +
                   " is not one of the corpus kind " + to_string(kind) +
                   (iemocap ? "; choose impro4, impro4exc or all4exc" : "; leave it at default"));
}

Corpus read_by_names(CorpusKind kind, const std::string& root) {
  const std::vector<FoundFile> files = find_sound_files(root);
  if (files.empty()) {
    throw InputError(root + ": no sound file in this folder or below; give the corpus folder");
  }
  const std::vector<CorpusKind> kinds = recognise_names(files);
  if (kind == CorpusKind::automatic) {
    if (kinds.empty()) {
      throw InputError(root + ": holds sound files, but no corpus known by its names (such as " +
                       files.front().relative_path +
                       "); describe it in a CSV manifest: path,label,speaker");
    }
    if (kinds.size() > 1) {
      throw InputError(root + ": holds several corpora (" + to_string(kinds[0]) + ", " +
                       to_string(kinds[1]) + "); give the folder of one, or its kind");
    }
    kind = kinds.front();
  }
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    throw InputError(root + ": no file is named as in the corpus " + to_string(kind) +
                     " (the first one is " + files.front().relative_path + "); check the folder");
  }
  return read_flat(kind, root, files);
}

Corpus read_corpus(const CorpusSpec& spec) {
  if (spec.root.empty()) throw InputError("no corpus given; name its folder or a CSV manifest");
  if (!fs::exists(spec.root)) {
    throw InputError(spec.root +
                     ": no such folder; give the corpus folder, its parent, or a CSV "
                     "manifest");
  }
  const CorpusKind kind = spec.kind;
  const bool automatic = kind == CorpusKind::automatic;
  if (automatic || kind == CorpusKind::manifest) {
    if (const auto csv = find_manifest(spec.root)) {
      resolve_labels(CorpusKind::manifest, spec.labels, *csv);
      return read_manifest(*csv);
    }
    if (!automatic) {
      throw InputError(spec.root +
                       ": no CSV manifest; name the .csv file, or a folder with a "
                       "manifest.csv");
    }
  }
  if (!fs::is_directory(spec.root)) {
    throw InputError(spec.root + ": is a file; give the corpus folder or a .csv manifest");
  }
  if (automatic || kind == CorpusKind::iemocap) {
    if (const auto root = find_iemocap(spec.root)) {
      return read_iemocap(*root, resolve_labels(CorpusKind::iemocap, spec.labels, *root));
    }
    if (!automatic) {
      throw InputError(spec.root +
                       ": no IEMOCAP tree (Session1/dialog/EmoEvaluation); give "
                       "IEMOCAP_full_release");
    }
  }
  Corpus corpus = read_by_names(kind, spec.root);
  resolve_labels(corpus.kind, spec.labels, spec.root);
  return corpus;
}

// Opens every file; what cannot be used moves to `skipped`, with the reason.
void probe_recordings(Corpus& corpus) {
  std::vector<Recording> usable;
  for (Recording& recording : corpus.recordings) {
    if (!fs::exists(recording.path)) {
      corpus.skipped.push_back(
          {SkippedFile::Why::missing, recording.path, "listed, but not there"});
      continue;
    }
    try {
      const double whole = probe_audio(recording.path).seconds();
      const double end = recording.range.end < 0 ? whole : std::min(whole, recording.range.end);
      if (end <= recording.range.start) {
        throw InputError(recording.path + ": its range starts behind the end of the file");
      }
      recording.seconds = end - recording.range.start;
      usable.push_back(std::move(recording));
    } catch (const std::runtime_error& error) {
      std::string reason = error.what();
      if (reason.starts_with(recording.path + ": ")) reason.erase(0, recording.path.size() + 2);
      corpus.skipped.push_back({SkippedFile::Why::unreadable, recording.path, reason});
    }
  }
  corpus.recordings = std::move(usable);
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
  std::map<int, int> numbers;
  for (const Recording& recording : corpus.recordings) numbers[recording.session] = 0;
  int next = 0;
  for (auto& [session, number] : numbers) number = next++;
  for (Recording& recording : corpus.recordings) recording.session = numbers[recording.session];
}

void require_every_class(const Corpus& corpus) {
  std::vector<int> counts(corpus.classes.size());
  for (const Recording& recording : corpus.recordings) ++counts.at(recording.label);
  const std::string skipped =
      corpus.skipped.empty()
          ? ""
          : "; " + std::to_string(corpus.skipped.size()) + " files were skipped, the first is " +
                corpus.skipped.front().path + " (" + corpus.skipped.front().reason + ")";
  if (corpus.recordings.empty()) {
    throw InputError(corpus.root + ": the corpus " + corpus.name + " has no usable recording" +
                     skipped);
  }
  for (std::size_t k = 0; k < counts.size(); ++k) {
    if (counts[k] > 0) continue;
    throw InputError(corpus.root + ": the corpus " + corpus.name +
                     " has no usable recording of the class " + corpus.classes[k] + skipped);
  }
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

std::string to_string(CorpusKind kind) { return word_of(kind_words(), kind); }
CorpusKind corpus_kind(const std::string& word) {
  return value_of(kind_words(), word, "corpus kind");
}

std::string to_string(LabelSet set) { return word_of(label_words(), set); }
LabelSet label_set(const std::string& word) { return value_of(label_words(), word, "label set"); }

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

Corpus load_corpus(const CorpusSpec& spec) {
  Corpus corpus = read_corpus(spec);
  corpus.classes = class_names();
  for (Recording& recording : corpus.recordings) {
    recording.label_name = corpus.classes.at(recording.label);
  }
  std::stable_sort(corpus.recordings.begin(), corpus.recordings.end(),
                   [](const Recording& a, const Recording& b) {
                     if (a.relative_path != b.relative_path)
                       return a.relative_path < b.relative_path;
                     return a.range.start < b.range.start;
                   });
  probe_recordings(corpus);
  require_every_class(corpus);
  number_sessions(corpus);
  corpus.synthetic = fs::exists(fs::path(corpus.root) / kSyntheticMarker);
  if (corpus.synthetic) {
    corpus.name = "demo corpus";  // in IEMOCAP's tree, but nobody should take it for IEMOCAP
    corpus.notes.push_back(
        "SYNTHETIC speech made by a program: results show that the software works and say nothing "
        "about people.");
  }
  return corpus;
}

}  // namespace serenade::ser
