#include "apps/capsnet/digits.h"

#include <algorithm>
#include <complex>
#include <string_view>

#include "apps/capsnet/network.h"
#include "nn/training/program.h"

namespace serenade::capsnet {

namespace {

constexpr std::int64_t kSide = 28;
using Point = std::complex<double>;  // x to the right, y downwards

// Strokes from point to point, each two figures, x and y in 0 .. 9. A space lifts the pen.
constexpr std::string_view kStrokes[kDigits] = {
    "5021141628597886847150", "325059",      "12306082741989",
    "11407173447587693918",   "601686 6369", "8020246486784918",
    "703216285987653516",     "108049",      "50212354867859281654737150",
    "8365351330608369"};

// Adds a digit to an empty picture.
void draw(real* picture, std::string_view strokes, const RandomKey& key) {
  auto between = [&key, drawn = std::uint64_t{0}](double low, double high) mutable {
    return low + (high - low) * uniform(key, drawn++);
  };
  const double slant = between(-0.6, 0.6), thickness = between(0.6, 1.6);
  const double width = between(1.1, 2.2), height = between(1.5, 2.3);  // pixels of a unit
  const Point turn = std::polar(1.0, between(-0.3, 0.3)), middle(between(11, 16), between(11, 16));
  const auto dot = [&](Point p) {
    for (int i = 0; i < 36; ++i) {  // the pixels around
      const int x = int(p.real()) - 2 + i % 6, y = int(p.imag()) - 2 + i / 6;
      if (std::min(x, y) < 0 || std::max(x, y) >= kSide) continue;
      const real ink = real(std::min(thickness + 0.5 - std::abs(p - Point(x, y)), 1.0));
      picture[y * kSide + x] = std::max(picture[y * kSide + x], ink);
    }
  };
  std::optional<Point> pen;
  for (std::size_t i = 0; i < strokes.size(); i += 2) {
    if (strokes[i] == ' ') pen.reset(), ++i;
    const double y = (strokes[i + 1] - '4' + between(-1.4, 0.4)) * height;
    const double x = (strokes[i] - '4' + between(-1.4, 0.4)) * width - slant * y;
    const Point to = middle + turn * Point(x, y);
    for (double t = 0; pen && t <= 1; t += 0.04) dot(*pen + t * (to - *pen));
    pen = to;
  }
  for (std::int64_t i = 0; i < kSide * kSide; ++i) {
    const double noise = 0.1 * normal(key, 1000 + std::uint64_t(i));
    picture[i] = std::clamp(picture[i] + real(noise), real(0), real(1));
  }
}

}  // namespace

TensorDataset made_digits(std::uint64_t seed, Split split, std::int64_t count) {
  Tensor pictures({count, 1, kSide, kSide});
  Indices labels;
  for (std::int64_t n = 0; n < count; ++n) {
    const std::uint64_t step = std::uint64_t(2 * n) + (split == Split::test ? 1 : 0);
    labels.push_back(n % kDigits);
    draw(pictures.data() + n * kSide * kSide, kStrokes[n % kDigits],
         {.seed = seed, .purpose = Purpose::data, .step = step});
  }
  return TensorDataset(pictures, labels);
}

Transform overlay(const TensorDataset& others) {
  const Indices& labels = others.labels();
  if (std::ranges::count(labels, labels[0]) == others.size()) {
    throw InputError("there must be digits of two classes; got one: take more samples");
  }
  return [&others](Sample a, const RandomKey& key) {
    Sample b = a;
    for (std::uint64_t tries = 0; b.label == a.label; ++tries) {
      b = others.get(random_integer(split_key(key, 0), tries, others.size()));
    }
    if (b.label < a.label) std::swap(a, b);
    const Transform shift =
        random_crop({.size = {a.input.size(1) + 8, a.input.size(2) + 8}, .padding = 8});
    const Tensor one = shift(a, split_key(key, 1)).input, two = shift(b, split_key(key, 2)).input;
    const Variable both = minimum(add(one, two), Tensor::scalar(1));
    return Sample{both.value(), kDigits * a.label + b.label, concat({one, two}, 0).value()};
  };
}

}  // namespace serenade::capsnet
