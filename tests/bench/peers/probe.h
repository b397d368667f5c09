#pragma once
// The ceilings of this machine at this moment, measured in the rounds of a contest like any peer.

#include "tests/bench/peers/contest.h"

namespace serenade::bench {

/// How long `flops` operations take at the speed that multiply-adds on registers alone reach on all
/// threads, with the vectors of the instruction set in use.
Contender peak_flops(double flops);

/// How long it takes to move `bytes` at the speed of a[i] = b[i] + s c[i] on arrays much larger
/// than the caches.
Contender triad_bandwidth(double bytes);

}  // namespace serenade::bench
