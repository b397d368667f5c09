#pragma once
// The readers behind load_corpus, one per way of storing a corpus. Not for other parts.
//
// A reader fills id, path, relative_path, label, speaker, group and range, and may leave session at
// -1 for load_corpus to assign. It looks at names and label files only; load_corpus opens the
// audio.

#include <optional>
#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"

namespace serenade::ser {

inline constexpr int kNeutral = 0, kAngry = 1, kHappy = 2, kSad = 3;

/// Sound files below a folder, sorted by relative path; hidden and AppleDouble names left out.
struct FoundFile {
  std::string path;
  std::string relative_path;  ///< with '/'
  std::string stem;           ///< file name without its extension
};
std::vector<FoundFile> find_sound_files(const std::string& folder);

/// True for names that no corpus means: "._x" (AppleDouble), ".DS_Store" and other hidden files.
bool is_hidden_name(const std::string& name);

/// The IEMOCAP root at `folder` or one level below it, if there is one.
std::optional<std::string> find_iemocap(const std::string& folder);
Corpus read_iemocap(const std::string& root, LabelSet labels);

/// Which corpora with telling file names (EmoDB, URDU, RAVDESS, CREMA-D) these files belong to.
std::vector<CorpusKind> recognise_names(const std::vector<FoundFile>& files);
Corpus read_flat(CorpusKind kind, const std::string& folder, const std::vector<FoundFile>& files);

/// The CSV file itself, or the single one named manifest.csv in a folder.
std::optional<std::string> find_manifest(const std::string& path);
Corpus read_manifest(const std::string& csv_path);

/// Published counts, or -1: recordings of a class, of a speaker, and of all.
int expected_class_count(CorpusKind kind, LabelSet labels, int label);
int expected_speaker_count(CorpusKind kind, LabelSet labels, const std::string& speaker);

}  // namespace serenade::ser
