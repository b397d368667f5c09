#pragma once
// What the labels of a corpus count as: which are classes, which are merged, which are left out.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/ser/corpus/corpus.h"

namespace serenade::ser {

/// The names of CorpusSpec::classes from "a, b,c"; none from "". Throws InputError: fewer than two,
/// one twice, or one that can be no name (common/names.h).
std::vector<std::string> label_names(const std::string& text);

/// The text of a label map: `given` itself where it is a JSON object, else that of the file of this
/// name. Checked, and in one line. Throws InputError that names the file, and IoError.
std::string label_map_text(const std::string& given);

/// Given to the reader of a corpus, which asks about every label that it finds.
class LabelChoice {
 public:
  /// classes and map: those of CorpusSpec. A label that the map names counts as that; what is left
  /// is merged as the set says, and mapped again. Classes that are not given are those of the set,
  /// mapped, and then the map's other names. Throws InputError where fewer than two are left.
  LabelChoice(LabelSet set, const CorpusSpec& spec);

  /// Without the published counts where the classes are not the set's own.
  const LabelSet& set() const { return set_; }

  /// The name of the class that a label counts as, or "": its recording is left out. Counts it in
  /// the corpus' found_labels and left_out.
  std::string count(Corpus& corpus, const std::string& label) const;

  /// The classes of a corpus that has been read, in order. Adds a note on names of the map that no
  /// recording has. Throws InputError: a class was asked for that no recording has (the labels that
  /// there are are named), fewer than two classes, or more than kMostClasses.
  std::vector<std::string> classes(Corpus& corpus) const;

 private:
  std::string mapped(const std::string& label) const;
  const std::optional<std::string>* find(const std::string& label) const;
  std::string labels_of(const Corpus& corpus) const;

  LabelSet set_;
  std::vector<std::pair<std::string, std::optional<std::string>>> map_;
  std::vector<std::string> classes_;  // of an open set: those that are known, in order
  bool open_, required_;              // required: each must have a recording
};

}  // namespace serenade::ser
