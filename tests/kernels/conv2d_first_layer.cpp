// The convolution of a first layer by row pairs, and the weight gradient in use for it, against the
// plain ones: all candidates of conv1 and conv2, every instruction set, odd sizes, ties, NaN, one
// and two threads.

#include "kernels/conv2d/cpu/first_layer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/conv2d/cpu/versions.h"
#include "kernels/pool/pool.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tensor/random.h"
#include "tests/kernels/conv2d_case.h"

using namespace serenade;
using namespace serenade::cpu;

namespace {

using Bytes = std::vector<std::uint8_t>;

Values rounded(Values numbers) {
  for (real& number : numbers) number = std::round(number);
  return numbers;
}

constexpr double kTolerance = sizeof(real) == 8 ? 1e-12 : 1e-5;

Conv2dShape same(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t k, std::int64_t r,
                 std::int64_t s) {
  return {n, 1, h, w, k, r, s, 1, 1, (r - 1) / 2, r / 2, (s - 1) / 2, s / 2};
}

std::string describe(const Conv2dShape& s, std::int64_t pool_w) {
  std::string text;
  for (const auto size : {s.N, s.H, s.W, s.K, s.R, s.S, pool_w}) text += std::to_string(size) + " ";
  return text;
}

struct Pooled {
  Values y;
  Bytes index;
  bool operator==(const Pooled&) const = default;
};

Pooled plain_forward(const Values& x, const Values& weight, const real* bias, const Conv2dShape& s,
                     std::int64_t pool_w) {
  Values map(s.N * s.K * s.out_h() * s.out_w());
  conv2d_forward_v0_plain(map.data(), x.data(), weight.data(), bias, s);
  const PoolShape pool = {s.N * s.K, s.out_h(), s.out_w(), 2, pool_w};
  const std::int64_t count = pool.planes * pool.out_h() * pool.out_w();
  Pooled result = {Values(count), Bytes(count)};
  std::vector<std::int32_t> where(count);
  max_pool2d_forward(result.y.data(), where.data(), map.data(), pool);
  for (std::int64_t i = 0; i < count; ++i) {
    const bool killed = result.y[i] <= 0;
    result.index[i] = killed ? kKilledByRelu : static_cast<std::uint8_t>(where[i]);
    if (killed) result.y[i] = 0;
  }
  return result;
}

Pooled forward(const Values& x, const Values& weight, const real* bias, const Conv2dShape& s,
               std::int64_t pool_w) {
  const std::int64_t count = s.N * s.K * (s.out_h() / 2) * (s.out_w() / pool_w);
  Pooled result = {Values(count, -7), Bytes(count, 77)};
  conv2d_first_layer_forward(result.y.data(), result.index.data(), x.data(), weight.data(), bias, s,
                             pool_w);
  return result;
}

// dweight (added to what is there) through the gradient of the whole map.
void plain_backward(Values& dweight, const Values& dy, const Bytes& index, const Values& x,
                    const Conv2dShape& s, std::int64_t pool_w) {
  const std::int64_t h = s.out_h() / 2;
  const std::int64_t w = s.out_w() / pool_w;
  Values map(s.N * s.K * s.out_h() * s.out_w());
  for (std::int64_t i = 0; i < std::int64_t(dy.size()); ++i) {
    if (index[i] == kKilledByRelu) continue;
    const std::int64_t row = i / w % h * 2 + index[i] / pool_w;
    map[(i / (h * w) * s.out_h() + row) * s.out_w() + i % w * pool_w + index[i] % pool_w] = dy[i];
  }
  conv2d_backward_weight_v0_plain(dweight.data(), map.data(), x.data(), s);
}

void check_shape(const Conv2dShape& s, std::int64_t pool_w) {
  CAPTURE(describe(s, pool_w));
  REQUIRE(conv2d_first_layer_supports(s, 2, pool_w));
  // Small integers: every sum is exact, so that both find the same maxima, ties included.
  const Values x = rounded(random_values(s.N * s.H * s.W, 1));
  const Values weight = rounded(random_values(s.K * s.R * s.S, 2));
  const Values bias = rounded(random_values(s.K, 3));
  const Pooled expected = plain_forward(x, weight, bias.data(), s, pool_w);
  CHECK(forward(x, weight, bias.data(), s, pool_w) == expected);
  CHECK(forward(x, weight, nullptr, s, pool_w) == plain_forward(x, weight, nullptr, s, pool_w));

  const Values real_x = random_values(x.size(), 4);
  const Values real_weight = random_values(weight.size(), 5);
  const Pooled close = plain_forward(real_x, real_weight, bias.data(), s, pool_w);
  CHECK(difference(forward(real_x, real_weight, bias.data(), s, pool_w).y, close.y) < kTolerance);

  const Values dy = random_values(expected.y.size(), 6);
  Values dweight = random_values(weight.size(), 7), dweight_expected = dweight;
  conv2d_relu_maxpool_backward_weight(dweight.data(), dy.data(), expected.index.data(),
                                      real_x.data(), s, 2, pool_w);
  plain_backward(dweight_expected, dy, expected.index, real_x, s, pool_w);
  CHECK(difference(dweight, dweight_expected) < kTolerance);
}

}  // namespace

TEST_CASE("conv2d first layer: all candidates of conv1 and conv2 and their union kernels") {
  for_each_isa([] {
    for (const auto& [r, s] : {std::pair{2, 8}, {2, 7}, {2, 6}, {1, 9}, {1, 10}, {3, 5}, {3, 10}}) {
      for (const std::int64_t pool_w : {1, 2}) {
        check_shape(same(2, 13, 41, 8, r, s), pool_w);
        check_shape(same(2, 22, 18, 8, s, r), pool_w);
      }
    }
  });
}

TEST_CASE("conv2d first layer: odd sizes, few and many channels, any padding") {
  const Conv2dShape odd[] = {
      same(1, 2, 2, 1, 1, 1),
      same(1, 2, 3, 1, 4, 4),  // kernel larger than the image
      same(3, 3, 5, 3, 2, 8),
      same(2, 9, 7, 9, 5, 3),  // narrower than a vector
      same(1, 70, 33, 8, 3, 2),
      {2, 1, 9, 12, 5, 3, 4, 1, 1, 0, 0, 0, 0},   // no padding
      {1, 1, 6, 70, 4, 3, 3, 1, 1, 2, 0, 0, 2},   // uneven padding
      {2, 1, 40, 19, 6, 4, 5, 1, 1, 1, 2, 4, 0},  // padding on the left only
  };
  for_each_isa([&] {
    for (const Conv2dShape& shape : odd) {
      for (const std::int64_t pool_w : {1, 2}) {
        if (shape.out_w() >= pool_w) check_shape(shape, pool_w);
      }
    }
    for (std::int64_t k = 1; k <= 9; ++k) check_shape(same(1, 8, 35, k, 3, 3), 1);
  });
}

TEST_CASE("conv2d first layer: what it does not take") {
  CHECK(conv2d_first_layer_supports(same(1, 8, 8, 8, 2, 8), 2, 1));
  CHECK_FALSE(conv2d_first_layer_supports(same(1, 8, 8, 8, 2, 8), 4, 1));
  CHECK_FALSE(conv2d_first_layer_supports(same(1, 8, 8, 8, 2, 8), 1, 1));
  CHECK_FALSE(conv2d_first_layer_supports(same(1, 8, 8, 8, 2, 8), 2, 3));
  Conv2dShape shape = same(1, 8, 8, 8, 2, 8);
  shape.C = 2;
  CHECK_FALSE(conv2d_first_layer_supports(shape, 2, 1));
  shape = same(1, 8, 8, 8, 2, 8);
  shape.stride_w = 2;
  CHECK_FALSE(conv2d_first_layer_supports(shape, 2, 1));
}

TEST_CASE("conv2d first layer: a NaN reaches the windows that see it and no others") {
  for_each_isa([] {
    for (const auto& [r, s] : {std::pair{2, 8}, {8, 2}, {3, 3}, {1, 1}}) {
      for (const std::int64_t pool_w : {1, 2}) {
        const Conv2dShape shape = same(1, 20, 50, 8, r, s);
        CAPTURE(describe(shape, pool_w));
        Values x = rounded(random_values(20 * 50, 1));
        x[9 * 50 + 21] = std::numeric_limits<real>::quiet_NaN();
        const Values weight = rounded(random_values(8 * r * s, 2));
        const Pooled expected = plain_forward(x, weight, nullptr, shape, pool_w);
        const Pooled actual = forward(x, weight, nullptr, shape, pool_w);
        CHECK(actual.index == expected.index);
        bool equal = true;
        for (std::size_t i = 0; i < actual.y.size(); ++i) {
          equal &= actual.y[i] == expected.y[i] ||
                   (std::isnan(actual.y[i]) && std::isnan(expected.y[i]));
        }
        CHECK(equal);
      }
    }
  });
}

TEST_CASE("conv2d first layer: the same bits from one and two threads") {
  for_each_isa([] {
    for (const auto& [r, s] : {std::pair{2, 8}, {9, 1}}) {
      const Conv2dShape shape = same(2, 120, 83, 8, r, s);
      const Values x = random_values(2 * 120 * 83, 1);
      const Values weight = random_values(8 * r * s, 2);
      Values dweight[2];
      Pooled pooled[2];
      for (const int threads : {1, 2}) {
        cpu::set_threads(threads);
        Pooled& result = pooled[threads - 1];
        result = forward(x, weight, nullptr, shape, 1);
        const Values dy = random_values(result.y.size(), 3);
        Values& gradient = dweight[threads - 1];
        gradient.assign(weight.size(), 1);
        conv2d_relu_maxpool_backward_weight(gradient.data(), dy.data(), result.index.data(),
                                            x.data(), shape, 2, 1);
      }
      CHECK(pooled[0] == pooled[1]);
      CHECK(dweight[0] == dweight[1]);
    }
  });
}
