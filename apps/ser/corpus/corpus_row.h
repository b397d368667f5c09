#pragma once
// What load_corpus knows about one corpus: a row of a table. Each file of corpora/ defines one, in
// a function `CorpusRow <file name>_corpus()`, and is in the table by being there (CMakeLists.txt).
//
// A reader fills id, path, relative_path, label_name, speaker, group and range, and may leave
// session at -1 for load_corpus to assign. It looks at names and label files only; load_corpus
// opens the audio.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"
#include "apps/ser/corpus/label_choice.h"

namespace serenade::ser {

/// A sound file below a folder.
struct FoundFile {
  std::string path;
  std::string relative_path;  ///< with '/'
  std::string stem;           ///< file name without its extension
};

/// Where a corpus is looked for. The sound files below are listed once, when a row first asks.
class CorpusPlace {
 public:
  explicit CorpusPlace(std::string path) : path_(std::move(path)) {}
  const std::string& path() const { return path_; }
  /// Sorted by relative path; hidden and AppleDouble names left out; none if `path` is a file.
  const std::vector<FoundFile>& sound_files() const;

 private:
  std::string path_;
  mutable std::optional<std::vector<FoundFile>> files_;
};

/// By what a corpus is recognised, the weakest first: where a place shows several corpora, the
/// strongest counts.
enum class Evidence { file_names, folders, description };

struct CorpusRow {
  std::string name;   ///< the word of --corpus-kind: "emodb"
  std::string title;  ///< Corpus::name: "EmoDB"
  int speakers = 0;   ///< 0: not known
  std::string about;  ///< one line: how it is obtained, and its licence
  /// Which recordings count, and as what; the first is the default. `all` needs no row: it is every
  /// label that is found.
  std::vector<LabelSet> label_sets = {{.name = "four"}};

  Evidence evidence = Evidence::file_names;
  std::string sign;  ///< completes "no ..": what was looked for in vain, and what to give
  /// The corpus at a place, or just below it: the path that `read` wants; nothing if there is none.
  std::function<std::optional<std::string>(const CorpusPlace& place)> find;
  /// Fills recordings, skipped, left_out, notes and root; load_corpus does the rest. Labels are
  /// words (neutral, angry, happy, sad, boredom, disgust, fear, surprise, ..), the same ones for
  /// the same emotion in every corpus; what each counts as, and whether its recording is one,
  /// `labels` says.
  std::function<Corpus(const std::string& found, const LabelChoice& labels)> read;
};

/// The corpora of corpora/, in the order of their names.
const std::vector<CorpusRow>& corpus_rows();

/// load_corpus with further corpora beside those of the table.
Corpus load_corpus(const CorpusSpec& spec, const std::vector<CorpusRow>& further);

/// True for names that no corpus means: "._x" (AppleDouble), ".DS_Store" and other hidden files.
bool is_hidden_name(const std::string& name);

}  // namespace serenade::ser
