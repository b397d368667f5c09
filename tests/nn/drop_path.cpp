// DropPath: whole samples of branches, by key.

#include <doctest/doctest.h>

#include <cmath>

#include "nn/dropout.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("drop path: whole samples go, the others are scaled, by key") {
  const Tensor x = Tensor::ones({2000, 2, 3});
  DropPath drop{.p = 0.25, .key = {.seed = 1}};
  const std::vector<real> first = drop(x).value().to_vector();
  const std::vector<real> second = drop(x).value().to_vector();
  std::int64_t gone = 0;
  for (std::size_t n = 0; n < 2000; ++n) {
    CHECK((first[6 * n] == 0 || first[6 * n] == real(1 / 0.75)));
    for (std::size_t i = 1; i < 6; ++i) CHECK(first[6 * n + i] == first[6 * n]);
    gone += first[6 * n] == 0;
  }
  CHECK(std::abs(gone - 500) < 80);  // standard deviation 19
  CHECK(first != second);            // branches are drawn one by one
  DropPath again{.p = 0.25, .key = {.seed = 1}};
  CHECK(again(x).value().to_vector() == first);
  DropPath other{.p = 0.25, .key = {.seed = 2}};
  CHECK(other(x).value().to_vector() != first);
  CHECK(DropPath{}(x).value().to_vector() == x.to_vector());
  DropPath all{.p = 1};
  CHECK_THROWS_AS(all(x), std::invalid_argument);
}
