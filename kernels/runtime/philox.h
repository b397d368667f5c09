#pragma once
// Philox4x32-10, the counter-based random number generator of
//   Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3. SC 2011, section 3.3.
//
// Ten rounds of multiplication and exclusive-or turn a counter and a key into random bits. There is
// no state, so that element i of a stream costs the same wherever and in whatever order it is asked
// for: on every thread and device, and after a resume, the values are the same.

#include <cstdint>

#include "kernels/runtime/host_device.h"

namespace serenade {

/// Replaces the 128 bits of `counter` by 128 random bits. key: 64 bits, not changed.
SERENADE_HOST_DEVICE inline void philox4x32_10(std::uint32_t counter[4],
                                               const std::uint32_t key[2]) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  // The key of round r is key + r * (golden ratio, sqrt(3) - 1), as fractions of 2^32.
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  std::uint32_t key0 = key[0], key1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    const std::uint32_t high0 = static_cast<std::uint32_t>(product0 >> 32);
    const std::uint32_t high1 = static_cast<std::uint32_t>(product1 >> 32);
    counter[0] = high1 ^ counter[1] ^ key0;
    counter[1] = static_cast<std::uint32_t>(product1);
    counter[2] = high0 ^ counter[3] ^ key1;
    counter[3] = static_cast<std::uint32_t>(product0);
    key0 += kWeyl0;
    key1 += kWeyl1;
  }
}

/// The four words number `block` of the stream (seed, purpose, step); element i of a stream is word
/// i % 4 of block i / 4. The layout is that of RandomKey in tensor/random.h.
SERENADE_HOST_DEVICE inline void philox_block(std::uint32_t words[4], std::uint64_t seed,
                                              std::uint32_t purpose, std::uint64_t step,
                                              std::uint64_t block) {
  words[0] = static_cast<std::uint32_t>(block);
  words[1] = static_cast<std::uint32_t>(block >> 32);
  words[2] = static_cast<std::uint32_t>(step);
  words[3] = static_cast<std::uint32_t>(step >> 32) ^ (purpose << 24);
  const std::uint32_t key[2] = {static_cast<std::uint32_t>(seed),
                                static_cast<std::uint32_t>(seed >> 32)};
  philox4x32_10(words, key);
}

}  // namespace serenade
