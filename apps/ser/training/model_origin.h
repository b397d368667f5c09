#pragma once
// What a model was made from: kept in its file, so that nobody measures it on what it has heard.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/corpus/corpus.h"
#include "apps/ser/data/protocol.h"

namespace serenade::ser {

struct ModelOrigin {
  /// The sound of a recording, as in Recording.
  struct Sound {
    std::uint64_t content = 0;
    TimeRange range;
  };

  std::string version;             ///< of the program
  std::string corpus, kind;        ///< Corpus::name and kind
  std::string corpus_fingerprint;  ///< of its recordings, labels and sounds
  // All speakers train the final model of a run, and it has no others.
  std::vector<std::string> train_speakers, validation_speakers, test_speakers;
  std::vector<Sound> heard;  ///< of the recordings that trained it or chose its epoch
};

/// "339 recordings, 1f3a..": changes with any recording, label, speaker or sample of a corpus.
std::string corpus_fingerprint(const Corpus& corpus);

ModelOrigin origin_of(const Corpus& corpus, const Fold& fold);

/// As a JSON object, and back. The second throws a std::exception that says what is wrong.
std::string to_json(const ModelOrigin& origin);
ModelOrigin origin_from_json(const std::string& text);

/// A recording that a model has heard, or whose speaker it has.
struct HeardRecording {
  std::int64_t recording = 0;  ///< index into Corpus::recordings
  std::string why;             ///< completes "03a01Fa.wav ..": "is of the speaker 03, who .."
};

/// Those among `recordings` of a corpus, in their order. Speakers are compared by name within a
/// corpus, and among manifests, whatever their names; sounds wherever they come from.
std::vector<HeardRecording> heard_recordings(const ModelOrigin& origin, const Corpus& corpus,
                                             const std::vector<std::int64_t>& recordings);

}  // namespace serenade::ser
