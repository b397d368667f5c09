#include "apps/ser/features/pcen.h"

#include <cmath>

namespace serenade::ser {

namespace {

constexpr double kSmoothing = 0.025, kAlpha = 0.98, kDelta = 2, kRoot = 0.5, kEpsilon = 1e-6;

}  // namespace

void pcen(float* values, std::int64_t rows, std::int64_t frames) {
  const double silent = std::pow(kDelta, kRoot);
  for (std::int64_t row = 0; row < rows; ++row) {
    float* energies = values + row * frames;
    double smooth = frames > 0 ? energies[0] : 0;
    for (std::int64_t t = 0; t < frames; ++t) {
      const double energy = energies[t];
      smooth += kSmoothing * (energy - smooth);
      const double normalised = energy * std::pow(kEpsilon + smooth, -kAlpha);
      energies[t] = static_cast<float>(std::pow(normalised + kDelta, kRoot) - silent);
    }
  }
}

}  // namespace serenade::ser
