// The Winograd weight gradient against the plain one: every kernel size it takes, on every
// instruction set that this processor has, dense and pooled gradients, and the same bits for any
// number of threads.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tensor/random.h"
#include "tests/kernels/conv2d_case.h"

using namespace serenade;
using namespace serenade::cpu;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-11 : 1e-4;

std::string describe(const Conv2dShape& s) {
  std::string text;
  for (const auto size : {s.N, s.C, s.H, s.W, s.K, s.R, s.S}) text += std::to_string(size) + " ";
  return text;
}

// All kernels of the searched layers and their union, and then the odd ones: images smaller than a
// tile and than the kernel, few and many channels, several samples, several strips of tiles, no
// padding and uneven padding.
const std::vector<Conv2dShape> kShapes = {
    same(1, 16, 26, 50, 16, 5, 5),
    same(2, 16, 13, 31, 16, 5, 4),
    same(1, 16, 17, 29, 16, 4, 5),
    same(2, 16, 21, 40, 16, 4, 4),
    same(1, 16, 22, 33, 16, 4, 6),
    same(1, 16, 15, 37, 16, 6, 4),
    same(2, 16, 19, 34, 16, 6, 6),
    same(1, 3, 18, 22, 4, 3, 7),
    same(1, 3, 18, 22, 4, 7, 3),
    same(1, 1, 1, 1, 1, 5, 5),
    same(3, 3, 2, 5, 2, 6, 4),
    same(1, 17, 9, 11, 33, 4, 6),
    same(1, 40, 7, 20, 5, 5, 5),
    same(1, 250, 5, 7, 20, 3, 3),  // many channels
    same(1, 18, 5, 7, 250, 3, 3),
    same(1, 5, 8, 150, 7, 4, 4),
    same(1, 4, 9, 203, 6, 6, 6),
    same(5, 6, 30, 41, 4, 5, 6),
    {2, 3, 14, 15, 5, 5, 5, 1, 1, 0, 0, 0, 0},
    {1, 8, 11, 13, 8, 6, 5, 1, 1, 5, 0, 0, 4},
};

// The gradient behind ReLU and pooling with a random index, and what it is in front of them.
struct Pooled {
  Values dy;
  std::vector<std::uint8_t> index;
  Values map;

  Pooled(const Conv2dShape& s, std::int64_t ph, std::int64_t pw)
      : map(s.N * s.K * s.out_h() * s.out_w()) {
    const std::int64_t pooled_h = s.out_h() / ph;
    const std::int64_t pooled_w = s.out_w() / pw;
    dy = random_values(s.N * s.K * pooled_h * pooled_w, 5);
    for (std::int64_t i = 0; i < std::int64_t(dy.size()); ++i) {
      // A third is killed; its gradient is there and must not count.
      const RandomKey key = {.seed = 6, .purpose = Purpose::test};
      const std::int64_t place = static_cast<std::int64_t>(std::abs(normal(key, i)) * 1000);
      index.push_back(place % 3 == 0 ? kKilledByRelu : place / 3 % (ph * pw));
      if (index[i] == kKilledByRelu) continue;
      const std::int64_t plane = i / (pooled_h * pooled_w);
      const std::int64_t row = i / pooled_w % pooled_h * ph + index[i] / pw;
      const std::int64_t column = i % pooled_w * pw + index[i] % pw;
      map[(plane * s.out_h() + row) * s.out_w() + column] = dy[i];
    }
  }
};

// Runs with one and two threads, checks that the bits are the same, and compares with v0.
void check(const RowSource& dy, const Values& map, const Conv2dShape& s) {
  const Values x = random_values(s.N * s.C * s.H * s.W, 1);
  const Values start = random_values(s.K * s.C * s.R * s.S, 2);  // gradients are added
  Values expected = start;
  conv2d_backward_weight_v0_plain(expected.data(), map.data(), x.data(), s);
  for_each_isa([&] {
    Values one = start, two = start;
    cpu::set_threads(1);
    conv2d_backward_weight_v3_winograd(one.data(), dy, x.data(), s);
    CHECK(difference(one, expected) < kTolerance);
    cpu::set_threads(2);
    conv2d_backward_weight_v3_winograd(two.data(), dy, x.data(), s);
    CHECK(two == one);
  });
}

}  // namespace

TEST_CASE("winograd weight gradient: dense") {
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    const Values dy = random_values(shape.N * shape.K * shape.out_h() * shape.out_w(), 4);
    check({.data = dy.data()}, dy, shape);
  }
}

TEST_CASE("winograd weight gradient: after ReLU and pooling") {
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    for (const auto& [ph, pw] : {std::pair{2, 2}, {2, 1}, {4, 1}, {1, 1}, {3, 5}}) {
      if (shape.out_h() < ph || shape.out_w() < pw) continue;
      CAPTURE(ph);
      CAPTURE(pw);
      const Pooled pooled(shape, ph, pw);
      check({pooled.dy.data(), pooled.index.data(), ph, pw}, pooled.map, shape);
    }
  }
}

TEST_CASE("winograd weight gradient: what is exactly zero stays so") {
  // Few inputs and gradients are not zero, as after ReLU, so many taps never see a pair of them.
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    Values x = random_values(shape.N * shape.C * shape.H * shape.W, 7);
    Values dy = random_values(shape.N * shape.K * shape.out_h() * shape.out_w(), 8);
    for (real& number : x) number = number > real(1.7) ? number : 0;
    for (real& number : dy) number = std::abs(number) > real(1.9) ? number : 0;
    Values expected(shape.K * shape.C * shape.R * shape.S);
    conv2d_backward_weight_v0_plain(expected.data(), dy.data(), x.data(), shape);
    for_each_isa([&] {
      Values dweight(expected.size());
      conv2d_backward_weight_v3_winograd(dweight.data(), {.data = dy.data()}, x.data(), shape);
      CHECK(difference(dweight, expected) < kTolerance);
      std::int64_t wrong = 0;
      for (std::size_t i = 0; i < dweight.size(); ++i) {
        wrong += expected[i] == 0 && dweight[i] != 0;
      }
      CHECK(wrong == 0);
    });
  }
}

TEST_CASE("winograd weight gradient: many tiles, so that sums have two levels") {
  // Every product is 1, so the gradient counts the pixels that a tap sees: exact up to 2^24.
  const Conv2dShape shape = same(1, 2, 700, 801, 1, 5, 6);
  const Values x(shape.C * shape.H * shape.W, 1);
  const Values dy(shape.K * shape.H * shape.W, 1);
  for_each_isa([&] {
    Values dweight(shape.K * shape.C * shape.R * shape.S);
    conv2d_backward_weight_v3_winograd(dweight.data(), {.data = dy.data()}, x.data(), shape);
    for (std::int64_t i = 0; i < std::int64_t(dweight.size()); ++i) {
      const std::int64_t r = i / shape.S % shape.R - shape.pad_top;
      const std::int64_t t = i % shape.S - shape.pad_left;
      const double expected = double(shape.H - std::abs(r)) * double(shape.W - std::abs(t));
      CHECK(std::abs(dweight[i] - expected) < 1e-4 * expected);
    }
  });
}
