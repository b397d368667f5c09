#include "apps/ser/features/level_change.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"

namespace serenade::ser {

bool can_change_level(const FeatureSettings& settings) {
  return settings.kind != FeatureKind::pcen;
}

void change_level(float* values, std::int64_t count, const FeatureSettings& settings, float gain) {
  check(can_change_level(settings) && gain > 0, "change_level",
        "is for gains above 0, and not for pcen; got ", gain, " and ", to_string(settings.kind));
  const auto each = [&](auto change) { std::transform(values, values + count, values, change); };
  const float offset = static_cast<float>(settings.offset);
  const float power = gain * gain, full = std::log(256.0f);
  const float factor = settings.kind == FeatureKind::mel ? power : gain;
  switch (settings.kind) {
    case FeatureKind::log:
    case FeatureKind::mel:
      each([=](float v) {
        return std::log(factor * std::max(0.0f, std::exp(v) - offset) + offset);
      });
      return;
    case FeatureKind::magnitude:
      each([=](float v) { return gain * v; });
      return;
    case FeatureKind::power:
      each([=](float v) { return power * v; });
      return;
    case FeatureKind::mulaw:
      each([=](float v) { return std::log1p(gain * std::expm1(v * full)) / full; });
      return;
    case FeatureKind::pcen:
      return;  // refused above
  }
}

}  // namespace serenade::ser
