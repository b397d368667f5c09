#pragma once
// How loud a sound is, and bringing all to one loudness: ITU-R BS.1770-4 (2015), gated as EBU R 128
// asks, of one channel.
//
//   y        = the samples through the K-weighting: a shelf that lifts what lies above 1.7 kHz by
//              4 dB, and a high pass at 38 Hz
//   z_j      = mean of y^2 over block j; blocks last 400 ms and begin every 100 ms
//   L(set)   = -0.691 + 10 log10(mean of z_j over the set)      in LUFS (LKFS is the same)
//   A        = blocks with L({j}) > -70: sound at all
//   loudness = L(blocks of A with L({j}) > L(A) - 10): pauses do not count
//
// Chosen over the active speech level of ITU-T P.56, which serves the same end: the gates leave out
// pauses as P.56's threshold does, the standard gives every constant and values to test against,
// and people know the unit from their editors.

#include <array>
#include <cstdint>
#include <vector>

#include "apps/ser/corpus/audio.h"

namespace serenade::ser {

/// y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]
struct Biquad {
  double b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
};

/// The two filters of the K-weighting, the shelf first. The standard gives them for 48 kHz; at
/// another rate they are the bilinear transform of the same analogue filters, exact at where their
/// poles are (1,682 and 38 Hz). At 16 kHz they differ by at most 0.05 dB up to 6 kHz.
std::array<Biquad, 2> k_weighting(int sample_rate);

/// In LUFS; minus infinity where no block passes the gate of -70. What is shorter than a block is
/// one. samples: mono, where a full-scale square wave is 1.
double loudness(const std::vector<float>& samples, int sample_rate = kSampleRate);

inline constexpr double kTargetLoudness = -23;  ///< LUFS, of EBU R 128

/// Scales samples at 16 kHz to the target, whatever their level. The loudness is measured with the
/// peak at 1, so that the gate of -70 lets the same blocks pass at every level: but for rounding,
/// the result for g x is that for x. They may leave [-1, 1]. Silence stays silence.
void bring_to_target_loudness(std::vector<float>& samples);

}  // namespace serenade::ser
