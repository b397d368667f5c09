// Statistics of initial weights, orthogonality, and that a seed fixes them.

#include "nn/init.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "tensor/random.h"

using namespace serenade;

namespace {

struct Statistics {
  double mean = 0, stddev = 0, smallest = 1e30, largest = -1e30;
};

Statistics statistics(const Tensor& tensor) {
  Statistics s;
  const std::vector<real> values = tensor.to_vector();
  for (const real value : values) {
    s.mean += value / static_cast<double>(values.size());
    s.smallest = std::min<double>(s.smallest, value);
    s.largest = std::max<double>(s.largest, value);
  }
  for (const real value : values) {
    s.stddev += (value - s.mean) * (value - s.mean) / static_cast<double>(values.size());
  }
  s.stddev = std::sqrt(s.stddev);
  return s;
}

/// A uniform sample fills +-bound and no more. 4 % covers the noise of 8,000 numbers.
void check_uniform(const Tensor& tensor, double bound) {
  const Statistics s = statistics(tensor);
  CHECK(s.smallest >= -bound * 1.000001);
  CHECK(s.largest <= bound * 1.000001);
  CHECK(s.largest > 0.99 * bound);
  CHECK(s.smallest < -0.99 * bound);
  CHECK(s.stddev == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.04));
  CHECK(std::abs(s.mean) < 0.04 * bound);
}

void check_normal(const Tensor& tensor, double stddev) {
  const Statistics s = statistics(tensor);
  CHECK(s.stddev == doctest::Approx(stddev).epsilon(0.04));
  CHECK(std::abs(s.mean) < 0.05 * stddev);
  CHECK(s.largest > 2.5 * stddev);  // a uniform sample would end at 1.7
}

/// Rows (or columns) of `m` are orthogonal and of length `length`.
void check_orthonormal(const Tensor& m, bool rows, double length = 1) {
  const std::int64_t count = m.size(rows ? 0 : 1), size = m.size(rows ? 1 : 0);
  double worst = 0;
  for (std::int64_t a = 0; a < count; ++a) {
    for (std::int64_t b = 0; b <= a; ++b) {
      double product = 0;
      for (std::int64_t i = 0; i < size; ++i) {
        product += static_cast<double>(rows ? m.at({a, i}) : m.at({i, a})) *
                   static_cast<double>(rows ? m.at({b, i}) : m.at({i, b}));
      }
      worst = std::max(worst, std::abs(product - (a == b ? length * length : 0)));
    }
  }
  CHECK(worst < (sizeof(real) == 8 ? 1e-13 : 2e-6));
}

}  // namespace

TEST_CASE("init: fans of dense and convolution weights") {
  CHECK(init::fans({7, 3}).in == 3);
  CHECK(init::fans({7, 3}).out == 7);
  CHECK(init::fans({16, 8, 5, 2}).in == 80);
  CHECK(init::fans({16, 8, 5, 2}).out == 160);
  CHECK_THROWS_WITH_AS(init::fans({7}), doctest::Contains("two axes"), std::invalid_argument);
}

TEST_CASE("init: uniform families fill their bounds") {
  manual_seed(1);
  check_uniform(init::uniform({90, 90}, -2, 2), 2);
  check_uniform(init::xavier_uniform({60, 140}), std::sqrt(6.0 / 200));
  check_uniform(init::xavier_uniform({60, 140}, 3), 3 * std::sqrt(6.0 / 200));
  check_uniform(init::xavier_uniform({16, 20, 5, 5}), std::sqrt(6.0 / (36 * 25)));
  check_uniform(init::kaiming_uniform({60, 140}), std::sqrt(6.0 / 140));
  check_uniform(init::vote_init({40, 4, 6, 10}), std::sqrt(6.0 / 16));
  check_uniform(init::xavier_uniform_blocks({3 * 30, 90}, 3), std::sqrt(6.0 / 120));
}

TEST_CASE("init: normal families have their stddev") {
  manual_seed(2);
  check_normal(init::normal({90, 90}, 0, 2), 2);
  check_normal(init::xavier_normal({60, 140}), std::sqrt(2.0 / 200));
  check_normal(init::kaiming_normal({60, 140}), std::sqrt(2.0 / 140));
}

TEST_CASE("init: zeros and constants") {
  CHECK(init::zeros({2, 3}).to_vector() == std::vector<real>(6, 0));
  CHECK(init::constant({2}, 4).to_vector() == std::vector<real>(2, 4));
}

TEST_CASE("init: orthogonal matrices, wide, square, tall and of one row") {
  manual_seed(3);
  check_orthonormal(init::orthogonal({5, 9}), true);
  check_orthonormal(init::orthogonal({9, 5}), false);
  check_orthonormal(init::orthogonal({1, 1}), true);
  const Tensor square = init::orthogonal({64, 64}, 2);
  check_orthonormal(square, true, 2);
  check_orthonormal(square, false, 2);
  CHECK_THROWS_WITH_AS(init::orthogonal({4}), doctest::Contains("[rows, columns]"),
                       std::invalid_argument);
}

TEST_CASE("init: each block is orthogonal by itself, and blocks differ") {
  manual_seed(4);
  const Tensor stacked = init::orthogonal_blocks({3 * 6, 6}, 3);
  for (std::int64_t gate = 0; gate < 3; ++gate) {
    check_orthonormal(stacked.slice(0, 6 * gate, 6), true);
  }
  CHECK_FALSE(all_close(stacked.slice(0, 0, 6), stacked.slice(0, 6, 6)));
  CHECK_THROWS_WITH_AS(init::orthogonal_blocks({7, 6}, 3), doctest::Contains("3 blocks"),
                       std::invalid_argument);
}

TEST_CASE("init: a seed fixes the weights, and each draw is fresh") {
  manual_seed(5);
  const Tensor a = init::xavier_uniform({4, 4}), b = init::xavier_uniform({4, 4});
  manual_seed(5);
  const Tensor again = init::xavier_uniform({4, 4});
  manual_seed(6);
  const Tensor other = init::xavier_uniform({4, 4});
  CHECK(a.to_vector() == again.to_vector());
  CHECK(a.to_vector() != b.to_vector());
  CHECK(a.to_vector() != other.to_vector());
}

TEST_CASE("init: SkipInit gives zeros, to this scope only, and draws nothing") {
  manual_seed(5);
  const std::vector<real> drawn = init::xavier_uniform({3, 4}).to_vector();
  manual_seed(5);
  {
    const init::SkipInit undrawn;
    CHECK(init::xavier_uniform({3, 4}).to_vector() == std::vector<real>(12, 0));
    CHECK(init::orthogonal({3, 3}).to_vector() == std::vector<real>(9, 0));
    CHECK(init::normal({2}, 1, 1).to_vector() == std::vector<real>(2, 0));
  }
  CHECK(init::xavier_uniform({3, 4}).to_vector() == drawn);
}
