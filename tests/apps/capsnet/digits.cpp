// Made digits and pictures of two.

#include "apps/capsnet/digits.h"

#include <doctest/doctest.h>

#include <set>

#include "nn/data/data_loader.h"

using namespace serenade;
using namespace serenade::capsnet;

TEST_CASE("made digits: a function of seed, split and number") {
  const TensorDataset digits = made_digits(1, Split::train, 30);
  CHECK(digits.inputs().shape() == Shape{30, 1, 28, 28});
  CHECK(digits.labels()[23] == 3);
  // The first ten of more are the same bits.
  const Tensor ten = made_digits(1, Split::train, 10).inputs();
  CHECK(ten.to_vector() == digits.inputs().slice(0, 0, 10).to_vector());
  CHECK(ten.to_vector() != made_digits(2, Split::train, 10).inputs().to_vector());
  CHECK(ten.to_vector() != made_digits(1, Split::test, 10).inputs().to_vector());
  CHECK(ten.to_vector() != digits.inputs().slice(0, 10, 10).to_vector());
  // Ink, but not everywhere, and values of a picture.
  for (std::int64_t n = 0; n < 30; ++n) {
    int dark = 0, ink = 0;
    for (const real value : digits.inputs().slice(0, n, 1).to_vector()) {
      REQUIRE((value >= 0 && value <= 1));
      dark += value < real(0.4) ? 1 : 0, ink += value > real(0.6) ? 1 : 0;
    }
    CHECK(dark > 400);
    CHECK(ink > 25);
  }
}

TEST_CASE("overlay: two classes, each digit whole, the larger value where they meet or their sum") {
  const TensorDataset digits = made_digits(1, Split::train, 40);
  const Transform transform = overlay(digits);
  std::set<std::vector<real>> pictures;
  std::set<std::int64_t> partners;
  for (std::int64_t n = 0; n < 40; ++n) {
    const Sample sample = transform(digits.get(n), sample_key(0, n / 20, n));
    const std::int64_t a = sample.label / 10, b = sample.label % 10, own = n % 10;
    CHECK(a < b);
    CHECK((own == a || own == b));
    partners.insert(own == a ? b : a);
    CHECK(sample.input.shape() == Shape{1, 36, 36});
    CHECK(sample.target.shape() == Shape{2, 36, 36});
    const std::vector<real> one = sample.target.slice(0, 0, 1).to_vector();
    const std::vector<real> two = sample.target.slice(0, 1, 1).to_vector();
    const std::vector<real> both = sample.input.to_vector();
    for (std::size_t i = 0; i < both.size(); ++i) {
      REQUIRE(both[i] == std::min(real(1), one[i] + two[i]));
    }
    // Nothing of the digit is cut off.
    double ink = 0, moved = 0;
    for (const real value : digits.get(n).input.to_vector()) ink += value;
    for (const real value : own == a ? one : two) moved += value;
    CHECK(moved == doctest::Approx(ink));
    pictures.insert(both);
  }
  CHECK(pictures.size() == 40);
  CHECK(partners.size() > 4);
  const Sample again = transform(digits.get(0), sample_key(0, 0, 0));
  CHECK(pictures.count(again.input.to_vector()) == 1);
}
