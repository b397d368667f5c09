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
  std::string label = {};     ///< in plain words
  std::string left_out = {};  ///< why it is no recording of the corpus whatever its label; or ""
  int session = -1;           ///< -1: load_corpus assigns one
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

}  // namespace serenade::ser
