#pragma once
// A checksum of large contents, at the speed of reading them: it finds damage, and is no protection
// against forgery.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace serenade {

/// 64 bits that depend on every bit and on the length. Four words are taken in at a time, each into
/// a sum of its own, by a step that no two words or sums survive alike: a change within one word
/// always shows.
inline std::uint64_t checksum(const void* data, std::size_t bytes) {
  constexpr std::uint64_t kPrime = 0x9e3779b97f4a7c15ULL;  // 2^64 / the golden ratio; odd
  std::array<std::uint64_t, 4> sums = {kPrime, kPrime << 1, kPrime << 2, kPrime << 3};
  std::array<std::uint64_t, 4> words{};
  const auto step = [](std::uint64_t& sum, std::uint64_t word) {
    sum = (sum ^ word) * kPrime;
    sum ^= sum >> 29;  // the top bits count, too: a product carries upwards only
  };
  const auto* next = static_cast<const unsigned char*>(data);
  std::size_t left = bytes;
  for (; left >= sizeof words; next += sizeof words, left -= sizeof words) {
    std::memcpy(words.data(), next, sizeof words);
    for (std::size_t i = 0; i < words.size(); ++i) step(sums[i], words[i]);
  }
  words = {};
  if (left > 0) std::memcpy(words.data(), next, left);
  std::uint64_t value = bytes;
  for (std::size_t i = 0; i < words.size(); ++i) {
    step(sums[i], words[i]);
    step(value, sums[i]);
  }
  return value ^ (value >> 32);
}

}  // namespace serenade
