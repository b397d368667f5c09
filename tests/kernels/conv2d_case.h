#pragma once
// What the tests of the convolution's steps share: values, their comparison, 'same' shapes.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "tensor/random.h"
#include "tests/kernels/isa.h"

namespace serenade {

using Values = std::vector<real>;

/// Standard normal values.
inline Values random_values(std::int64_t count, std::uint64_t seed) {
  Values numbers(count);
  const RandomKey key = {.seed = seed, .purpose = Purpose::test};
  for (std::int64_t i = 0; i < count; ++i) numbers[i] = static_cast<real>(normal(key, i));
  return numbers;
}

/// Largest difference, relative to the largest expected value.
inline double difference(const Values& actual, const Values& expected) {
  REQUIRE(actual.size() == expected.size());
  double largest = 0;
  double scale = 1e-30;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, double(std::abs(actual[i] - expected[i])));
    scale = std::max(scale, double(std::abs(expected[i])));
  }
  return largest / scale;
}

/// A stride-1 convolution with 'same' padding.
inline Conv2dShape same(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w,
                        std::int64_t k, std::int64_t r, std::int64_t s) {
  return {n, c, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

}  // namespace serenade
