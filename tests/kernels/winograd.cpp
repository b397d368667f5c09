// Winograd convolution, v3, against the formula summed in double: every pair of kernel edges that
// the systems search over, sizes that fill no tile, fused and plain, forward and input gradient, on
// every instruction set that this processor has.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
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

using Index = std::vector<std::uint8_t>;

// Root of the mean square of the difference, relative to that of the expected numbers.
double rms_error(const Values& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  double error = 0, scale = 1e-30;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    error += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    scale += expected[i] * expected[i];
  }
  return std::sqrt(error / scale);
}

constexpr double kTolerance = sizeof(real) == 8 ? 2e-14 : 1e-5;

std::string describe(const Conv2dShape& s) {
  std::string text;
  for (const auto size : {s.N, s.C, s.H, s.W, s.K, s.R, s.S}) text += std::to_string(size) + " ";
  return text;
}

// Calls visit(place in y, place in x, place in weight) for every product of the convolution.
template <class Visit>
void for_each_product(const Conv2dShape& s, const Visit& visit) {
  std::int64_t y = 0;
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t k = 0; k < s.K; ++k) {
      for (std::int64_t i = 0; i < s.out_h(); ++i) {
        for (std::int64_t j = 0; j < s.out_w(); ++j, ++y) {
          for (std::int64_t tap = 0; tap < s.C * s.R * s.S; ++tap) {
            const std::int64_t c = tap / (s.R * s.S);
            const std::int64_t h = i + tap / s.S % s.R - s.pad_top;
            const std::int64_t w = j + tap % s.S - s.pad_left;
            if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
            visit(y, ((n * s.C + c) * s.H + h) * s.W + w, k * s.C * s.R * s.S + tap);
          }
        }
      }
    }
  }
}

std::vector<double> forward_in_double(const Conv2dShape& s, const Values& x, const Values& weight,
                                      const Values& bias) {
  const std::int64_t pixels = s.out_h() * s.out_w();
  std::vector<double> y(s.N * s.K * pixels);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = bias.empty() ? 0 : bias[i / pixels % s.K];
  for_each_product(s, [&](auto out, auto in, auto tap) { y[out] += double(weight[tap]) * x[in]; });
  return y;
}

std::vector<double> input_gradient_in_double(const Conv2dShape& s, const Values& dx,
                                             const Values& dy, const Values& weight) {
  std::vector<double> sum(dx.begin(), dx.end());
  for_each_product(s,
                   [&](auto out, auto in, auto tap) { sum[in] += double(weight[tap]) * dy[out]; });
  return sum;
}

const std::vector<Conv2dShape> kShapes = {
    same(1, 16, 9, 37, 16, 5, 5),
    same(2, 16, 8, 24, 16, 5, 4),
    same(1, 16, 13, 21, 16, 4, 5),
    same(1, 16, 10, 18, 16, 4, 4),
    same(1, 16, 11, 19, 16, 4, 6),
    same(1, 16, 17, 22, 16, 6, 4),
    same(2, 16, 15, 31, 16, 6, 6),
    same(1, 16, 3, 130, 16, 5, 5),  // several strips across
    same(1, 16, 70, 5, 16, 6, 5),   // several strips down
    same(3, 5, 1, 1, 3, 5, 5),      // smaller than a tile, and than the kernel
    same(2, 17, 6, 9, 33, 6, 6),    // not a whole number of channel blocks
    same(1, 40, 7, 20, 20, 5, 4),
    same(1, 8, 12, 26, 16, 3, 7),
    same(1, 250, 5, 7, 20, 3, 3),  // many channels
    same(1, 18, 5, 7, 250, 3, 3),
    same(1, 1, 12, 26, 1, 7, 3),
    {2, 16, 9, 15, 16, 5, 6, 1, 1, 0, 0, 0, 0},  // no padding
    {1, 3, 9, 15, 4, 4, 5, 1, 1, 3, 0, 0, 4},    // uneven padding
};

struct Inputs {
  Values x, weight, bias, dy;
  explicit Inputs(const Conv2dShape& s)
      : x(random_values(s.N * s.C * s.H * s.W, 1)),
        weight(random_values(s.K * s.C * s.R * s.S, 2)),
        bias(random_values(s.K, 3)),
        dy(random_values(s.N * s.K * s.out_h() * s.out_w(), 4)) {}
};

struct Results {
  Values y, dx;
  bool operator==(const Results&) const = default;
};

Results run(const Conv2dShape& s, const Inputs& in) {
  Results r = {Values(in.dy.size(), -1), random_values(in.x.size(), 5)};
  conv2d_forward_v3_winograd({.data = r.y.data()}, in.x.data(), in.weight.data(), in.bias.data(),
                             s);
  conv2d_backward_input_v3_winograd(r.dx.data(), {.data = in.dy.data()}, in.weight.data(), s);
  return r;
}

}  // namespace

TEST_CASE("winograd: forward and input gradient within 1e-5 of the sum in double") {
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    REQUIRE(conv2d_winograd_supports(shape));
    const Inputs in(shape);
    const std::vector<double> y = forward_in_double(shape, in.x, in.weight, in.bias);
    const std::vector<double> dx =
        input_gradient_in_double(shape, random_values(in.x.size(), 5), in.dy, in.weight);
    for_each_isa([&] {
      const Results results = run(shape, in);
      CHECK(rms_error(results.y, y) < kTolerance);
      CHECK(rms_error(results.dx, dx) < kTolerance);
    });
  }
}

TEST_CASE("winograd: without bias") {
  const Conv2dShape shape = same(1, 16, 9, 12, 16, 5, 5);
  const Inputs in(shape);
  Values y(in.dy.size());
  conv2d_forward_v3_winograd({.data = y.data()}, in.x.data(), in.weight.data(), nullptr, shape);
  CHECK(rms_error(y, forward_in_double(shape, in.x, in.weight, {})) < kTolerance);
}

TEST_CASE("winograd: the same bits from one and two threads") {
  const Restore restore;
  for (const Conv2dShape& shape : {same(3, 16, 61, 70, 16, 5, 5), same(1, 20, 90, 83, 16, 6, 6),
                                   same(1, 16, 5, 9, 8, 4, 6), same(2, 130, 20, 20, 130, 3, 3)}) {
    CAPTURE(describe(shape));
    const Inputs in(shape);
    cpu::set_threads(1);
    const Results one = run(shape, in);
    cpu::set_threads(2);
    CHECK(run(shape, in) == one);
  }
}

TEST_CASE("winograd: the layers of 16 channels take it, others not") {
  for (const Conv2dPass pass : {Conv2dPass::forward, Conv2dPass::backward_input}) {
    CHECK(conv2d_version(same(1, 16, 2048, 200, 16, 5, 5), pass) == Conv2dVersion::winograd);
    CHECK(conv2d_version(same(16, 16, 16, 100, 16, 6, 6), pass) == Conv2dVersion::winograd);
    CHECK(conv2d_version(same(1, 1, 200, 200, 8, 2, 8), pass) != Conv2dVersion::winograd);
    CHECK(conv2d_version(same(1, 2, 200, 200, 3, 5, 5), pass) != Conv2dVersion::winograd);
    CHECK(conv2d_version(same(1, 16, 1, 1, 16, 5, 5), pass) != Conv2dVersion::winograd);
  }
  CHECK(conv2d_winograd_supports(same(1, 256, 50, 50, 256, 3, 3)));
  CHECK(!conv2d_winograd_supports(same(1, 257, 50, 50, 256, 3, 3)));
  CHECK(!conv2d_winograd_supports(same(1, 256, 50, 50, 257, 3, 3)));
  Conv2dShape strided = same(1, 16, 50, 50, 16, 5, 5);
  strided.stride_w = 2;
  CHECK(!conv2d_winograd_supports(strided));
}

namespace {

// What pooling and ReLU make of the map that the same version writes unpooled: bit for bit, since
// both forms compute the same sums.
struct Pooled {
  Values y;
  Index index;
  bool operator==(const Pooled&) const = default;
};

Pooled pool(const Values& map, const Conv2dShape& s, std::int64_t ph, std::int64_t pw) {
  Pooled pooled;
  for (std::int64_t plane = 0; plane < s.N * s.K; ++plane) {
    for (std::int64_t i = 0; i + ph <= s.out_h(); i += ph) {
      for (std::int64_t j = 0; j + pw <= s.out_w(); j += pw) {
        const auto at = [&](std::int64_t place) {
          return map[(plane * s.out_h() + i + place / pw) * s.out_w() + j + place % pw];
        };
        std::int64_t best = 0;
        for (std::int64_t place = 1; place < ph * pw; ++place) {
          if (at(place) > at(best)) best = place;
        }
        const bool killed = !(at(best) > 0);
        pooled.y.push_back(killed ? real(0) : at(best));
        pooled.index.push_back(killed ? kKilledByRelu : static_cast<std::uint8_t>(best));
      }
    }
  }
  return pooled;
}

Values unpool(const Values& dy, const Index& index, const Conv2dShape& s, std::int64_t ph,
              std::int64_t pw) {
  Values map(s.N * s.K * s.out_h() * s.out_w());
  const std::int64_t rows = s.out_h() / ph, columns = s.out_w() / pw;
  for (std::int64_t i = 0; i < std::int64_t(dy.size()); ++i) {
    if (index[i] == kKilledByRelu) continue;
    const std::int64_t row = i / columns % rows * ph + index[i] / pw;
    const std::int64_t column = i % columns * pw + index[i] % pw;
    map[(i / (rows * columns) * s.out_h() + row) * s.out_w() + column] = dy[i];
  }
  return map;
}

void check_pooled(const Conv2dShape& s, const Inputs& in, std::int64_t ph, std::int64_t pw) {
  Values map(in.dy.size());
  conv2d_forward_v3_winograd({.data = map.data()}, in.x.data(), in.weight.data(), in.bias.data(),
                             s);
  const Pooled expected = pool(map, s, ph, pw);
  Pooled actual = {Values(expected.y.size(), -1), Index(expected.y.size())};
  conv2d_forward_v3_winograd(
      {.data = actual.y.data(), .index = actual.index.data(), .pool_h = ph, .pool_w = pw},
      in.x.data(), in.weight.data(), in.bias.data(), s);
  CHECK(actual == expected);

  const Values dy = random_values(expected.y.size(), 8);
  const Values start = random_values(in.x.size(), 9);
  Values dx = start, dx_from_map = start;
  conv2d_backward_input_v3_winograd(dx.data(), {dy.data(), expected.index.data(), ph, pw},
                                    in.weight.data(), s);
  const Values dmap = unpool(dy, expected.index, s, ph, pw);
  conv2d_backward_input_v3_winograd(dx_from_map.data(), {.data = dmap.data()}, in.weight.data(), s);
  CHECK(dx == dx_from_map);
}

}  // namespace

TEST_CASE("winograd: fused with ReLU and pooling is the plain result pooled") {
  for_each_isa([] {
    for (const Conv2dShape& shape : kShapes) {
      CAPTURE(describe(shape));
      const Inputs in(shape);
      for (const auto& [ph, pw] : {std::pair{1, 1}, {2, 2}, {2, 1}, {4, 1}, {1, 3}, {3, 5}}) {
        if (shape.out_h() < ph || shape.out_w() < pw) continue;
        CAPTURE(ph);
        CAPTURE(pw);
        check_pooled(shape, in, ph, pw);
      }
    }
  });
}

TEST_CASE("winograd: NaN stays visible, plain and pooled, and does not leave its tiles") {
  const Conv2dShape shape = same(1, 16, 24, 80, 16, 5, 5);
  Inputs in(shape);
  in.x[3 * 24 * 80 + 9 * 80 + 37] = std::numeric_limits<real>::quiet_NaN();
  for_each_isa([&] {
    Values y(in.dy.size());
    conv2d_forward_v3_winograd({.data = y.data()}, in.x.data(), in.weight.data(), in.bias.data(),
                               shape);
    Values pooled(y.size() / 4);
    Index index(pooled.size());
    conv2d_forward_v3_winograd(
        {.data = pooled.data(), .index = index.data(), .pool_h = 2, .pool_w = 2}, in.x.data(),
        in.weight.data(), in.bias.data(), shape);
    for (std::int64_t i = 0; i < std::int64_t(y.size()); ++i) {
      const std::int64_t plane = i / (24 * 80), h = i / 80 % 24, w = i % 80;
      const bool sees = std::abs(h - 9) <= 2 && std::abs(w - 37) <= 2;
      const bool near = std::abs(h - 9) < 8 && std::abs(w - 37) < 8;
      if (sees) CHECK(std::isnan(pooled[plane * 12 * 40 + h / 2 * 40 + w / 2]));
      if (sees) CHECK(std::isnan(y[i]));
      if (!near) CHECK(std::isfinite(y[i]));
    }
  });
}
