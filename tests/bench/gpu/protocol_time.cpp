#include "tests/bench/gpu/protocol_time.h"

namespace serenade::bench {

double protocol_seconds(const std::vector<EpochSeconds>& systems, double times_segments) {
  double total = 0;
  for (const EpochSeconds& epoch : systems) {
    const double training = kTrainEpochs * epoch.train;
    total += kSharedRuns * training;                         // none
    total += kSharedRuns * kRandomArchitectures * training;  // random
    total += kSharedRuns * (kSearchEpochs * epoch.joint + training);
    total += kRuns * (kSearchEpochs * epoch.sampling + training);
    total += kRuns * (kSearchEpochs * epoch.dropout + training);
  }
  return total * times_segments;
}

}  // namespace serenade::bench
