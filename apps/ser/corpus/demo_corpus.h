#pragma once
// A demonstration corpus of SYNTHETIC speech in IEMOCAP's exact tree, made with espeak-ng.
//
// Ten voices (five sessions, one female and one male each) say short sentences in four manners that
// mimic emotions by pitch, pitch range, speaking rate and loudness, with jitter per voice and per
// utterance so that the classes overlap. It shows that the program works from end to end; its
// results say nothing about people. The marker file kSyntheticMarker makes load_corpus set
// Corpus::synthetic, so that every report says so.

#include <cstdint>
#include <functional>
#include <string>

namespace serenade::ser {

inline constexpr const char* kSyntheticMarker = "SYNTHETIC_SPEECH";

struct DemoOptions {
  int utterances = 8;      ///< per speaker and emotion; 8 gives 320 recordings
  std::uint64_t seed = 0;  ///< of texts and jitter
  int threads = 0;         ///< 0: one per processor
  /// Called after each recording, from any thread, one call at a time.
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

/// Writes the corpus into `folder`, which is made if needed and must otherwise be empty or hold an
/// earlier demo corpus (which is replaced). The same options give the same files.
/// Throws InputError when espeak-ng is not installed, fails, or the folder holds something else;
/// IoError when a file cannot be written.
/// The marker is written last, so a corpus is whole when it has one that names these options.
void make_demo_corpus(const std::string& folder, const DemoOptions& options = {});

}  // namespace serenade::ser
