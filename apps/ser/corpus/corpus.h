#pragma once
// Corpora of emotional speech: which recordings there are, who speaks, and what was felt.
//
// Every corpus is read by its own published names and label files. What its labels count as is a
// label set: the four classes of the paper in a fixed order, or others (label_choice.h). Recordings
// are sorted by relative path, so that a seed means the same on every machine. Names that begin
// with "._" and ".DS_Store" are never looked at.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/corpus/audio.h"

namespace serenade::ser {

/// The classes of the paper, and of whatever says nothing of its own: neutral, angry, happy, sad.
const std::vector<std::string>& class_names();

/// Which recordings of a corpus count, and as what, with the counts that its publishers give.
///   impro4     IEMOCAP, improvised dialogues, excitement left out (the paper)
///   impro4exc  the same with excitement counted as happiness
///   all4exc    improvised and scripted, excitement counted as happiness
///   four       of every other corpus: its neutral, angry, happy and sad recordings
///   all        every label that there is, the four first
struct LabelSet {
  std::string name;
  std::vector<std::string> classes = class_names();  ///< in the order of the class indices
  bool open = false;  ///< a class is what is found; `classes` gives the order and the counts
  std::map<std::string, std::string> merged = {};  ///< labels that count as another
  std::vector<int> class_counts = {};              ///< per class of `classes`; empty: not known
  std::map<std::string, int> speaker_counts = {};  ///< speakers that are not in it: not known
};

struct CorpusSpec {
  std::string kind = "auto";       ///< one of corpus_names(); auto looks at the files
  std::string root = {};           ///< the corpus folder, its parent, or a CSV file
  std::string labels = "default";  ///< one of label_set_names(); default: the first of the corpus
  std::vector<std::string> classes = {};  ///< in their order; empty: those of the label set
  std::string map = {};  ///< label_map_text(): a label counts as a class, or as none; may be empty
  bool complete = true;  ///< whether each of `classes` must have a recording
};

/// The words of CorpusSpec: "auto", "cremad", ..; "default", "impro4", ..
const std::vector<std::string>& corpus_names();
const std::vector<std::string>& label_set_names();

struct Recording {
  std::string id;             ///< file name without extension (manifest: its row's path as written)
  std::string path;           ///< to open it
  std::string relative_path;  ///< below Corpus::root, with '/'
  int label = 0;              ///< index into Corpus::classes
  std::string label_name;
  std::string speaker;
  int session = 0;            ///< 0-based; which speakers are held out together
  std::string group;          ///< dialogue, sentence or the manifest's group; may be empty
  TimeRange range;            ///< the part of the file that is meant
  double seconds = 0;         ///< length of that part
  std::uint64_t content = 0;  ///< of the whole file's samples: AudioSurvey::content
  double silent_seconds = 0;  ///< 40 dB or more below its loudest 10 ms (activity.h)
  double edge_seconds = 0;    ///< of these, before and after everything louder
};

/// A file that should have been a recording, and why it is not.
struct SkippedFile {
  enum class Why { missing, unreadable, not_understood };
  Why why = Why::unreadable;
  std::string path;
  std::string reason;
};
inline EnumNames<SkippedFile::Why> enum_names(SkippedFile::Why) {
  return {{SkippedFile::Why::missing, "missing"},
          {SkippedFile::Why::unreadable, "unreadable"},
          {SkippedFile::Why::not_understood, "not understood"}};
}

/// A label as its corpus has it, in plain words.
struct FoundLabel {
  int recordings = 0;
  std::string counts_as;  ///< a class; "": left out
};

inline constexpr std::size_t kMostClasses = 100;

struct Corpus {
  std::string kind;  ///< "iemocap", ..
  std::string name;  ///< "IEMOCAP", "EmoDB", ... or the manifest's file name
  LabelSet labels;
  std::string root;  ///< folder that relative paths start from
  std::vector<std::string> classes;
  std::vector<Recording> recordings;
  std::vector<SkippedFile> skipped;
  std::map<std::string, FoundLabel> found_labels;  ///< all that there are, read or left out
  std::map<std::string, int> left_out;             ///< labels that are no class here -> recordings
  std::vector<std::string> notes;                  ///< what a reader of the results must know
  /// Recordings that have the same sound, by relative path or id, whatever their files are named;
  /// and those among them of different speakers, whom a fold may train on and test on.
  std::vector<std::vector<std::string>> duplicates, leaks;
  bool synthetic = false;  ///< machine-made voices: results say nothing about people

  /// The notes, and what was left out or is there twice: what train, search and report say.
  std::vector<std::string> warnings() const;

  int session_count() const;
  std::vector<std::string> speakers() const;                     ///< sorted
  std::vector<std::string> session_speakers(int session) const;  ///< sorted
};

/// Finds, reads and checks a corpus. Sessions: IEMOCAP its own five; EmoDB the five pairs 03-08,
/// 10-09, 11-13, 12-14, 15-16; RAVDESS the twelve pairs of a male and the next female actor; a
/// manifest its groups, if given; everything else as group_speakers does.
/// Every file is decoded once; what cannot be used is left out and stands in `skipped`. A corpus
/// may lack a class: only training needs them all (check_fold).
/// Throws InputError: an unknown word, no such folder, no corpus in it, a label set of another
/// corpus, classes that it does not have (LabelChoice), a name that can be none (common/names.h),
/// or nothing left; IoError: no permission.
Corpus load_corpus(const CorpusSpec& spec);

/// Sessions for corpora that have none: sorted speakers two by two up to 24 of them (an odd last
/// one joins the pair before it); more are dealt into five blocks of neighbours of nearly equal
/// size. Returns the session of each speaker.
std::map<std::string, int> group_speakers(const std::vector<std::string>& speakers);

// Checking ----------------------------------------------------------------------------------------

/// One class, or one speaker, of a corpus: recordings expected (-1: not known) and found.
struct CountRow {
  std::string name;
  int expected = -1;
  int found = 0;
};

struct CorpusCheck {
  std::string corpus;
  std::string label_set;
  std::string root;
  bool synthetic = false;
  std::vector<CountRow> classes;
  std::vector<CountRow> speakers;
  CountRow total;
  std::vector<std::vector<std::string>> sessions;  ///< speakers of each session
  std::vector<SkippedFile> skipped;
  std::vector<std::vector<std::string>> duplicates, leaks;  ///< as in Corpus
  std::map<std::string, FoundLabel> labels;                 ///< Corpus::found_labels
  std::map<std::string, int> left_out;
  std::vector<std::string> notes;
  double hours = 0, shortest_seconds = 0, longest_seconds = 0;
  double silence = 0, silent_edges = 0;  ///< as shares of all time, of 0 .. 1; see Recording

  /// No skipped file, no duplicate, and every known count met.
  bool ok() const;
};

/// Compares the counts with the published ones, and the contents of the files.
CorpusCheck check_corpus(const Corpus& corpus);

std::string to_text(const CorpusCheck& check);  ///< for people
std::string to_json(const CorpusCheck& check);  ///< one JSON object

}  // namespace serenade::ser
