#include "nn/data/made_shapes.h"

#include <algorithm>
#include <cmath>

#include "tensor/check.h"
#include "tensor/random.h"

namespace serenade {

namespace {

constexpr std::int64_t kSide = 16;

// How far along its two axes a place lies in a form, whose centre is the origin.
bool inside(std::int64_t form, double u, double v, double size) {
  if (form == 0) return std::hypot(u, v) < size;
  const double longer = std::max(std::abs(u), std::abs(v));
  const double shorter = std::min(std::abs(u), std::abs(v));
  if (form == 1) return longer < 0.9 * size;
  return shorter < 0.3 * size && longer < 1.2 * size;
}

void draw(real* pixels, std::int64_t label, const RandomKey& key) {
  const auto within = [&](std::uint64_t element, double low, double high) {
    return low + (high - low) * uniform(key, element);
  };
  const double x0 = within(1, 6, 10), y0 = within(2, 6, 10), size = within(3, 4, 6);
  const double turn = within(4, 0, 0.8), phase = within(5, 0, 6.3);
  for (std::int64_t i = 0; i < 3 * kSide * kSide; ++i) {
    const auto colour = static_cast<std::uint64_t>(i / (kSide * kSide));
    const double dx = double(i % kSide) - x0, dy = double(i / kSide % kSide) - y0;
    const double u = std::cos(turn) * dx + std::sin(turn) * dy;
    const double v = std::cos(turn) * dy - std::sin(turn) * dx;
    const double wave = std::sin(1.6 * dx + phase);
    const double texture = label % 2 == 0 ? wave : wave * std::sin(1.6 * dy + phase);
    const double ink = texture > 0 ? within(10 + colour, 0.5, 1) : within(20 + colour, 0, 0.4);
    const double value = inside(label / 2, u, v, size) ? ink : within(30 + colour, 0.2, 0.7);
    const double noise = 0.08 * normal(key, 100 + static_cast<std::uint64_t>(i));
    pixels[i] = static_cast<real>(value + noise);
  }
}

}  // namespace

TensorDataset made_shapes(std::uint64_t seed, std::int64_t first, std::int64_t count) {
  check(first >= 0 && count > 0, "made_shapes", "there must be pictures, from 0 on; got ", count,
        " from ", first);
  Tensor pictures({count, 3, kSide, kSide});
  std::vector<std::int64_t> labels;
  for (std::int64_t n = 0; n < count; ++n) {
    const RandomKey key{seed, Purpose::data, static_cast<std::uint64_t>(first + n)};
    labels.push_back(random_integer(key, 0, kMadeClasses));
    draw(pictures.data() + n * 3 * kSide * kSide, labels.back(), key);
  }
  return TensorDataset(pictures, labels);
}

}  // namespace serenade
