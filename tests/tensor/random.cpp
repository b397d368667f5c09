#include "tensor/random.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

using namespace serenade;

TEST_CASE("Philox4x32-10 gives its authors' published vectors") {
  // Random123 1.14, tests/kat_vectors, lines "philox4x32 10".
  using Words = std::array<std::uint32_t, 4>;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t all = 0xffffffff;
  CHECK(philox4x32({all, all, all, all}, {all, all}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("streams differ by seed, purpose and step, and repeat by key") {
  const RandomKey key{1, Purpose::dropout, 2};
  CHECK(uniform(key, 5) == uniform(key, 5));
  CHECK(random_block(key, 0) != random_block({2, Purpose::dropout, 2}, 0));
  CHECK(random_block(key, 0) != random_block({1, Purpose::path, 2}, 0));
  CHECK(random_block(key, 0) != random_block({1, Purpose::dropout, 3}, 0));
  CHECK(random_block(key, 0) != random_block(key, 1));
}

TEST_CASE("uniform and normal numbers have their moments") {
  constexpr int kCount = 100000;
  const RandomKey key{7, Purpose::test, 0};
  double sum_u = 0, sum_n = 0, squares_n = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = uniform(key, static_cast<std::uint64_t>(i));
    REQUIRE(u >= 0);
    REQUIRE(u < 1);
    const double n = normal(key, static_cast<std::uint64_t>(i));
    sum_u += u;
    sum_n += n;
    squares_n += n * n;
  }
  // Five standard errors.
  CHECK(std::abs(sum_u / kCount - 0.5) < 5 * std::sqrt(1.0 / 12 / kCount));
  CHECK(std::abs(sum_n / kCount) < 5 / std::sqrt(kCount));
  CHECK(std::abs(squares_n / kCount - 1) < 5 * std::sqrt(2.0 / kCount));
}

TEST_CASE("random integers are uniform (chi-square) and permutations are permutations") {
  const RandomKey key{3, Purpose::path, 9};
  std::array<int, 6> counts{};
  for (std::uint64_t i = 0; i < 60000; ++i) {
    ++counts[static_cast<std::size_t>(random_integer(key, i, 6))];
  }
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 1e4) * (count - 1e4) / 1e4;
  CHECK(chi_square < 20.5);  // 5 degrees of freedom, p = 0.001
  std::vector<std::int64_t> order = permutation(key, 257);
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 257; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("manual_seed restarts the default generator") {
  manual_seed(11);
  const Tensor a = randn({3, 5});
  const Tensor b = randn({3, 5});
  manual_seed(11);
  CHECK(randn({3, 5}).to_vector() == a.to_vector());
  CHECK(a.to_vector() != b.to_vector());
}
