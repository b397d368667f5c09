// Each transform against values by hand, and that its numbers depend on seed, epoch and sample
// alone.

#include "nn/data/transform.h"

#include <doctest/doctest.h>

#include <numeric>
#include <set>
#include <sstream>
#include <stdexcept>
#include <utility>

using namespace serenade;

namespace {

// [channels, height, width] with values 1, 2, ..
Sample picture(std::int64_t channels, std::int64_t height, std::int64_t width) {
  std::vector<real> values(static_cast<std::size_t>(channels * height * width));
  std::iota(values.begin(), values.end(), real(1));
  return {.input = Tensor::from(values, {channels, height, width}), .label = 3};
}

std::vector<real> result(const Transform& transform, const Sample& sample, const RandomKey& key) {
  const std::vector<real> before = sample.input.to_vector();
  const Sample changed = transform(sample, key);
  CHECK(changed.label == sample.label);
  CHECK(sample.input.to_vector() == before);  // what was given is as it was
  return changed.input.to_vector();
}

}  // namespace

TEST_CASE("transform keys: each of seed, epoch, sample, batch and part makes another stream") {
  std::set<std::uint64_t> seeds;
  int keys = 0;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
      for (std::int64_t i = 0; i < 20; ++i) {
        for (const RandomKey& key : {sample_key(seed, epoch, i), batch_key(seed, epoch, i)}) {
          CHECK(key.purpose == Purpose::data);
          seeds.insert(key.seed);
          seeds.insert(split_key(key, 0).seed);
          seeds.insert(split_key(key, 1).seed);
          keys += 3;
        }
      }
    }
  }
  CHECK(std::ssize(seeds) == keys);
  const RandomKey key = sample_key(1, 2, 3), same = sample_key(1, 2, 3);
  CHECK(key.seed == same.seed);
  CHECK(key.step == same.step);
}

TEST_CASE("normalise: each channel by its own mean and stddev") {
  const Transform each = normalise({.mean = {1, 5}, .stddev = {1, 2}});
  CHECK(result(each, picture(2, 1, 3), {}) == std::vector<real>{0, 1, 2, real(-0.5), 0, real(0.5)});
  const Transform all = normalise({.mean = {2}, .stddev = {4}});
  CHECK(result(all, picture(2, 1, 1), {}) == std::vector<real>{real(-0.25), 0});
  CHECK_THROWS_WITH_AS(each(picture(3, 1, 1), {}),
                       "normalise: the input must have a channel for each mean; got [3, 1, 1] and "
                       "2 means",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(each({.input = Tensor::scalar(1)}, {}),
                       "normalise: the input must have a channel for each mean; got [] and 2 means",
                       std::invalid_argument);
  CHECK_THROWS_AS(normalise({.mean = {}, .stddev = {}}), std::invalid_argument);
  CHECK_THROWS_AS(normalise({.mean = {1}, .stddev = {1, 2}}), std::invalid_argument);
  CHECK_THROWS_AS(normalise({.mean = {1}, .stddev = {0}}), std::invalid_argument);
}

TEST_CASE("random_crop: the window that the key names, with padding outside the picture") {
  const Transform crop = random_crop({.size = {2, 3}, .padding = 1, .value = -7});
  const Sample sample = picture(2, 3, 4);
  std::set<std::pair<std::int64_t, std::int64_t>> places;
  for (std::int64_t index = 0; index < 200; ++index) {
    const RandomKey key = sample_key(1, 0, index);
    const std::int64_t top = random_integer(key, 0, 4) - 1, left = random_integer(key, 1, 4) - 1;
    places.insert({top, left});
    std::vector<real> expected;
    for (std::int64_t c = 0; c < 2; ++c) {
      for (std::int64_t y = top; y < top + 2; ++y) {
        for (std::int64_t x = left; x < left + 3; ++x) {
          const bool inside = y >= 0 && y < 3 && x >= 0 && x < 4;
          expected.push_back(inside ? sample.input.at({c, y, x}) : -7);
        }
      }
    }
    REQUIRE(result(crop, sample, key) == expected);
  }
  CHECK(places.size() == 16);  // all of them occur
  // A window that lies outside altogether.
  const Transform far = random_crop({.size = {1, 1}, .padding = 50, .value = 9});
  CHECK(far(picture(1, 1, 1), sample_key(3, 0, 0)).input.shape() == Shape{1, 1, 1});
  CHECK(random_crop({.size = {3, 4}})(sample, {}).input.to_vector() == sample.input.to_vector());
  CHECK_THROWS_WITH_AS(random_crop({.size = {4, 4}})(sample, {}),
                       "random_crop: the window must fit the padded picture; got [4, 4] for [2, 3, "
                       "4] with padding 0",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(random_crop({.size = {3, 5}})(sample, {}),
                       "random_crop: the window must fit the padded picture; got [3, 5] for [2, 3, "
                       "4] with padding 0",
                       std::invalid_argument);
  for (const Shape& size : {Shape{4}, Shape{0, 4}, Shape{4, 0}}) {
    CHECK_THROWS_WITH_AS(
        random_crop({.size = size}),
        ("random_crop: the size must be {H, W}, both above 0; got " + to_string(size)).c_str(),
        std::invalid_argument);
  }
  for (const std::int64_t padding : {std::int64_t{-1}, kMaxElements + 1}) {
    CHECK_THROWS_WITH_AS(random_crop({.size = {1, 1}, .padding = padding}),
                         ("random_crop: padding must not be negative or beyond all pictures; got " +
                          std::to_string(padding))
                             .c_str(),
                         std::invalid_argument);
  }
}

TEST_CASE("random_horizontal_flip: rows backwards, as often as p says") {
  const std::vector<real> turned = {3, 2, 1, 6, 5, 4};
  CHECK(result(random_horizontal_flip(1), picture(2, 1, 3), {}) == turned);
  CHECK(result(random_horizontal_flip(0), picture(1, 2, 3), {}) ==
        picture(1, 2, 3).input.to_vector());
  const Transform flip = random_horizontal_flip(0.3);
  int flips = 0;
  for (std::int64_t index = 0; index < 1000; ++index) {
    const RandomKey key = sample_key(2, 1, index);
    const bool flipped = result(flip, picture(1, 1, 2), key) == std::vector<real>{2, 1};
    REQUIRE(flipped == (uniform(key, 0) < 0.3));
    flips += flipped;
  }
  CHECK(flips > 250);
  CHECK(flips < 350);
  for (const double p : {-0.5, 1.5}) {
    std::ostringstream message;
    message << "random_horizontal_flip: p must be in 0 .. 1; got " << p;
    CHECK_THROWS_WITH_AS(random_horizontal_flip(p), message.str().c_str(), std::invalid_argument);
  }
}

TEST_CASE("cutout: a square around the pixel that the key names, cut at the edges") {
  const Sample sample = picture(2, 5, 4);
  for (const std::int64_t size : {1, 2, 3, 20, 0}) {
    CAPTURE(size);
    const Transform cut = cutout({.size = size, .value = -1});
    for (std::int64_t index = 0; index < 50; ++index) {
      const RandomKey key = sample_key(7, 3, index);
      const std::int64_t top = random_integer(key, 0, 5) - size / 2;
      const std::int64_t left = random_integer(key, 1, 4) - size / 2;
      std::vector<real> expected;
      for (std::int64_t c = 0; c < 2; ++c) {
        for (std::int64_t y = 0; y < 5; ++y) {
          for (std::int64_t x = 0; x < 4; ++x) {
            const bool out = y >= top && y < top + size && x >= left && x < left + size;
            expected.push_back(out ? -1 : sample.input.at({c, y, x}));
          }
        }
      }
      REQUIRE(result(cut, sample, key) == expected);
    }
  }
  for (const std::int64_t size : {std::int64_t{-1}, kMaxElements + 1}) {
    CHECK_THROWS_WITH_AS(cutout({.size = size}),
                         ("cutout: the size must not be negative or beyond all pictures; got " +
                          std::to_string(size))
                             .c_str(),
                         std::invalid_argument);
  }
}

TEST_CASE("transforms of pictures refuse what is none by their own name") {
  const std::pair<const char*, Transform> all[] = {
      {"random_crop", random_crop({.size = {1, 1}})},
      {"random_horizontal_flip", random_horizontal_flip(1)},
      {"cutout", cutout({.size = 1})}};
  for (const auto& row : all) {
    const std::string name = row.first;
    for (const Tensor& input : {Tensor(), Tensor({3})}) {
      CHECK_THROWS_WITH_AS(row.second({.input = input}, {}),
                           (name + ": the input must be [.., H, W]").c_str(),
                           std::invalid_argument);
    }
    for (const Shape& shape : {Shape{1, 0, 2}, Shape{1, 2, 0}}) {
      CHECK_THROWS_WITH_AS(
          row.second({.input = Tensor(shape)}, {}),
          (name + ": the input must not be empty; got " + to_string(shape)).c_str(),
          std::invalid_argument);
    }
  }
}

TEST_CASE("compose: one after the other, two alike with numbers of their own") {
  const auto draw = [](Sample sample, const RandomKey& key) {
    const std::vector<real> values = sample.input.to_vector();
    std::vector<real> more = values;
    more.push_back(static_cast<real>(uniform(key, 0)));
    sample.input = Tensor::from(more, {std::ssize(more)});
    return sample;
  };
  const RandomKey key = sample_key(1, 1, 1);
  const Sample empty{.input = Tensor({0})};
  const std::vector<real> drawn =
      compose({draw, compose({draw, draw}), draw})(empty, key).input.to_vector();
  REQUIRE(drawn.size() == 4);
  CHECK(std::set<real>(drawn.begin(), drawn.end()).size() == 4);
  CHECK(drawn[0] == static_cast<real>(uniform(split_key(key, 0), 0)));
  CHECK(drawn[2] == static_cast<real>(uniform(split_key(split_key(key, 1), 1), 0)));
  CHECK(result(compose({}), picture(1, 1, 2), key) == std::vector<real>{1, 2});
  CHECK_THROWS_AS(compose({nullptr}), std::invalid_argument);
}
