#pragma once
// Per-channel energy normalisation: what takes the logarithm's place behind a filter bank, so that
// a steady level, and a steady noise, of a channel falls out.
//
//   M[0] = E[0],  M[t] = (1 - s) M[t-1] + s E[t]
//   E[t] -> (E[t] / (epsilon + M[t])^alpha + delta)^r - delta^r
//
// s = 0.025, alpha = 0.98, delta = 2, r = 0.5, epsilon = 1e-6: the constants of Wang, Getreuer,
// Hughes, Lyon and Saurous, "Trainable frontend for robust and far-field keyword spotting", ICASSP
// 2017 (the fixed front end, not the trained one). The paper does not say where M begins; at the
// first frame's energy, a recording's first frames depend on its level no more than later ones.
//
// A factor g on the energies becomes g^(1 - alpha) on E / M^alpha, where M is far above epsilon:
// nearly, not wholly, nothing. Energies are those of samples in [-1, 1], of whose 16 bits the
// rounding alone gives a band about 1e-7.

#include <cstdint>

namespace serenade::ser {

/// values: [rows, frames] row-major, energies of at least 0; overwritten. Time runs along a row.
void pcen(float* values, std::int64_t rows, std::int64_t frames);

}  // namespace serenade::ser
