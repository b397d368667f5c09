#pragma once
// Who trains, who validates, who tests. No speaker is ever in two of the three.
//
// The paper's protocol: one fold per session; of the held-out session one speaker validates (epoch
// and architecture choice) and the other tests. Sessions of more than two speakers are split into
// two sides in sorted order, alternately, and a side takes the role of the one speaker.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/ser/common/enum_setting.h"
#include "apps/ser/corpus/corpus.h"

namespace serenade::ser {

/// Which side of the held-out session tests: the first in sorted order (IEMOCAP: the woman), the
/// second, or each in turn (twice as many folds).
enum class Direction { first, second, both };

inline EnumNames<Direction> enum_names(Direction) {
  return {{Direction::first, "first"}, {Direction::second, "second"}, {Direction::both, "both"}};
}

/// Name of the fold of a final model; those of session_folds are of a session.
inline constexpr const char* kFinalFold = "final";

struct Fold {
  std::string name;  ///< "session1-test-Ses01F"
  int session = 0;   ///< the held-out one, 0-based
  std::vector<std::string> train_speakers;
  std::vector<std::string> validation_speakers;
  std::vector<std::string> test_speakers;
  std::vector<std::int64_t> train;  ///< indices into Corpus::recordings
  std::vector<std::int64_t> validation;
  std::vector<std::int64_t> test;
};

/// The folds in order of session, then of direction (first, second). Every fold passes
/// check_fold. Throws InputError: fewer than two sessions, a session with a single speaker, a
/// speaker in two sessions, or a
/// fold that check_fold refuses.
std::vector<Fold> session_folds(const Corpus& corpus, Direction direction = Direction::both);

/// Everybody trains, and nobody validates or tests: what the final model of a run is trained on.
Fold final_fold(const Corpus& corpus);

/// Refuses a fold, by InputError, when a speaker or a recording is in two parts, a recording is of
/// a speaker of another part, a part is empty, or a class has no training recording.
void check_fold(const Corpus& corpus, const Fold& fold);

}  // namespace serenade::ser
