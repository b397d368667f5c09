#pragma once
// The spectrogram of a louder or softer recording, from the spectrogram alone.
//
// With v = log(|X| + offset), adding log g would lift the offset too: a floor that does not belong
// to the recording. What is exact, but for rounding, is
//   log:  v -> log(g (exp(v) - offset) + offset)         mel: the same with g^2, of powers
//   magnitude: g v      power: g^2 v      mulaw: log(1 + g (exp(v log 256) - 1)) / log 256
// A recording at another level would also be rounded to other 16-bit numbers, and clipped where
// it leaves [-1, 1]; neither happens here.

#include <cstdint>

#include "apps/ser/features/features.h"

namespace serenade::ser {

/// Whether the spectrogram tells what a gain of the recording would make of it: not for pcen, whose
/// values do not tell the energies.
bool can_change_level(const FeatureSettings& settings);

/// values: `count` of a spectrogram of the settings, overwritten; gain: a factor on the samples,
/// above 0. Throws std::invalid_argument where can_change_level() says no.
void change_level(float* values, std::int64_t count, const FeatureSettings& settings, float gain);

}  // namespace serenade::ser
