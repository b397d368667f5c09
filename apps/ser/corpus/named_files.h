#pragma once
// Corpora whose file names say everything; folders may be arranged in any way.

#include <functional>
#include <regex>
#include <string>

#include "apps/ser/corpus/corpus_row.h"

namespace serenade::ser {

/// What a file name says.
struct NameFields {
  std::string speaker;
  std::string group = {};
  int label = -1;          ///< index into class_names(); -1: another label
  std::string other = {};  ///< which, where label is -1
  int session = -1;        ///< -1: load_corpus assigns one
};

/// How the names of a corpus are read.
struct NamedFiles {
  std::string pattern;  ///< regular expression of the whole name without its extension
  std::function<NameFields(const std::smatch& match)> fields;
  /// May add notes, given the number of different names; may be empty.
  std::function<void(Corpus& corpus, std::size_t names)> remark = {};
};

/// `row` with the members `evidence`, `find` and `read` of such a corpus.
CorpusRow with_named_files(CorpusRow row, const NamedFiles& names);

/// Sets `label` if the word is one of class_names(), else `other`.
void set_label(NameFields& fields, const std::string& word);

}  // namespace serenade::ser
