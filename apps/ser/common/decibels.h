#pragma once
// What a number of decibels multiplies.

#include <cmath>

namespace serenade::ser {

/// Of powers and energies: 2 for 3 dB, nearly.
inline double power_of(double decibels) { return std::pow(10, decibels / 10); }

/// Of samples: 2 for 6 dB, nearly.
inline float gain_of(double decibels) { return static_cast<float>(std::pow(10, decibels / 20)); }

}  // namespace serenade::ser
