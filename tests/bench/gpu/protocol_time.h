#pragma once
// From epochs that were measured to how long a whole study would take: arithmetic only.

#include <vector>

namespace serenade::bench {

/// Seconds of one epoch of one system, all over the same number of training segments.
struct EpochSeconds {
  double train = 0;     ///< of a single architecture, with its validation
  double joint = 0;     ///< of searches
  double sampling = 0;  ///< with the steps of alpha
  double dropout = 0;
};

inline constexpr int kSearchEpochs = 60, kTrainEpochs = 20, kRandomArchitectures = 5;
inline constexpr int kRuns = 10;               // five sessions, two directions
inline constexpr int kSharedRuns = kRuns / 2;  // of modes that train both directions once

/// Training segments of a fold of IEMOCAP: 5,531 utterances of four classes, 4.5 s on average (the
/// mean of the corpus's 10,039 turns; Busso et al. 2008), four fifths of them. Cut into pieces of 2
/// s whose tail is kept from 0.5 s on, an utterance of L seconds makes L / 2 + 0.25 on average.
inline constexpr double kIemocapSegments = 0.8 * 5531 * (4.5 / 2 + 0.25);

/// The Table 2 protocol: five modes with every system, over so many times the measured segments.
/// none, random and joint train once for both directions of a session (shares_training() of
/// apps/ser/training/experiment.h).
double protocol_seconds(const std::vector<EpochSeconds>& systems, double times_segments);

}  // namespace serenade::bench
