// Pictures that are made: functions of (seed, number), of every class, which can be told apart.

#include "nn/data/made_shapes.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace serenade;

TEST_CASE("made shapes: a picture is a function of its seed and number") {
  const TensorDataset all = made_shapes(3, 0, 40), later = made_shapes(3, 17, 5);
  CHECK(all.inputs().shape() == Shape{40, 3, 16, 16});
  for (std::int64_t n = 0; n < 5; ++n) {
    CHECK(later.get(n).label == all.get(17 + n).label);
    CHECK(later.get(n).input.to_vector() == all.get(17 + n).input.to_vector());
  }
  CHECK(made_shapes(4, 0, 40).inputs().to_vector() != all.inputs().to_vector());
  CHECK_THROWS_AS(made_shapes(3, 0, 0), std::invalid_argument);
  CHECK_THROWS_AS(made_shapes(3, -1, 2), std::invalid_argument);
}

TEST_CASE("made shapes: all classes come, and values are those of pictures") {
  const TensorDataset set = made_shapes(1, 0, 600);
  for (std::int64_t label = 0; label < kMadeClasses; ++label) {
    const auto count = std::count(set.labels().begin(), set.labels().end(), label);
    CHECK(std::abs(count - 100) < 40);  // standard deviation 9
  }
  const std::vector<real> values = set.inputs().to_vector();
  CHECK(*std::min_element(values.begin(), values.end()) > -0.6);
  CHECK(*std::max_element(values.begin(), values.end()) < 1.6);
}
