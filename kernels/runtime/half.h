#pragma once
// IEEE 754 binary16 as bits: 1 sign, 5 exponent and 10 fraction bits. A storage format: arithmetic
// is done in float. No branches, so that loops over many values are vectorised.

#include <algorithm>
#include <bit>
#include <cstdint>

namespace serenade {

/// Exact: every half is a float.
inline float half_to_float(std::uint16_t half) {
  const std::uint32_t magnitude = half & 0x7FFFu, sign = (half & 0x8000u) << 16;
  // The exponent moves from bias 15 to bias 127; of infinity and NaN it becomes the largest. Below
  // 2^-14 a half has no leading one: the fraction counts steps of 2^-24.
  const std::uint32_t special = magnitude >= 0x7C00u ? 0x70u << 23 : 0;
  const std::uint32_t normal = (magnitude << 13) + (0x70u << 23) + special;
  const float steps = static_cast<float>(static_cast<std::int32_t>(magnitude)) * 0x1p-24f;
  const std::uint32_t bits = magnitude < 0x400u ? std::bit_cast<std::uint32_t>(steps) : normal;
  return std::bit_cast<float>(bits | sign);
}

/// Rounds to half precision, ties to even; infinite from 65520 on. Any NaN becomes 0x7FFF,
/// as on a device.
inline std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFu, sign = (bits & 0x80000000u) >> 16;
  // Adding 0.5 to a value below 2^-14 rounds it to a multiple of 2^-24.
  const float steps = std::bit_cast<float>(magnitude) + 0.5f;
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(steps) - 0x3F000000u;
  // 13 of the 23 fraction bits are dropped: adding a little less than half of the last kept bit, or
  // exactly half where that bit is odd, carries into it whenever rounding goes up.
  const std::uint32_t odd = (magnitude >> 13) & 1u;
  const std::uint32_t rounded = (magnitude + 0xFFFu + odd - (0x70u << 23)) >> 13;
  const std::uint32_t normal = std::min(rounded, std::uint32_t{0x7C00});
  const std::uint32_t number = magnitude < (0x71u << 23) ? subnormal : normal;
  const std::uint32_t half = magnitude > 0x7F800000u ? 0x7FFFu : number | sign;
  return static_cast<std::uint16_t>(half);
}

}  // namespace serenade
