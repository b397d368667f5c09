// Damage that a checksum must see.

#include "tensor/checksum.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace serenade {

TEST_CASE("checksum: every bit, the order and the length count") {
  std::vector<unsigned char> bytes(1000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 37);
  std::set<std::uint64_t> sums = {checksum(bytes.data(), bytes.size())};
  std::size_t different = 1;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit, ++different) {
      bytes[i] ^= static_cast<unsigned char>(1 << bit);
      sums.insert(checksum(bytes.data(), bytes.size()));
      bytes[i] ^= static_cast<unsigned char>(1 << bit);
    }
  }
  for (std::size_t length = 0; length < 100; ++length, ++different) {
    sums.insert(checksum(bytes.data(), length));
  }
  CHECK(sums.size() == different);
  // Two words or two blocks that change places, one block that becomes zero, two top bits.
  std::vector<std::uint64_t> words = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const auto sum = [&] { return checksum(words.data(), words.size() * sizeof words[0]); };
  const std::uint64_t before = sum();
  for (const auto& [a, b] : {std::pair(0, 1), std::pair(0, 4), std::pair(3, 8)}) {
    std::swap(words[a], words[b]);
    CHECK(sum() != before);
    std::swap(words[a], words[b]);
    words[a] ^= std::uint64_t{1} << 63, words[b] ^= std::uint64_t{1} << 63;
    CHECK(sum() != before);
    words[a] ^= std::uint64_t{1} << 63, words[b] ^= std::uint64_t{1} << 63;
  }
  CHECK(sum() == before);
  std::fill(words.begin(), words.begin() + 4, 0);
  CHECK(sum() != before);
}

TEST_CASE("checksum: zeros of different lengths differ") {
  const std::vector<unsigned char> zeros(200);
  std::set<std::uint64_t> sums;
  for (std::size_t length = 0; length <= zeros.size(); ++length) {
    sums.insert(checksum(zeros.data(), length));
  }
  CHECK(sums.size() == zeros.size() + 1);
}

}  // namespace serenade
