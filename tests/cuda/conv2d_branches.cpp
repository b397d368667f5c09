// Branches of convolutions of the same x, side by side in one map, on the device against the CPU:
// the kernels of the first layer with all widths, ragged tiles and rows that cannot be written 4
// elements at a time; and other branches, which go one by one.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <memory>

#include "tests/cuda/conv2d_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Branches {
  std::vector<Conv2dShape> shapes;
  std::int64_t pool_h = 2, pool_w = 1;
  bool with_bias = true;
};

// Kernel R x S with the padding that keeps the size.
Conv2dShape same(std::int64_t N, std::int64_t C, std::int64_t H, std::int64_t W, std::int64_t K,
                 std::int64_t R, std::int64_t S) {
  return {.N = N,
          .C = C,
          .H = H,
          .W = W,
          .K = K,
          .R = R,
          .S = S,
          .pad_top = (R - 1) / 2,
          .pad_bottom = R - 1 - (R - 1) / 2,
          .pad_left = (S - 1) / 2,
          .pad_right = S - 1 - (S - 1) / 2};
}

// The arrays of a case and the branches that point into them. Gradients of the weights begin at
// random values. `Array`: DeviceValues, or on the host Values.
template <class Array>
struct Arrays {
  std::vector<std::unique_ptr<Array>> weight, bias, dweight, dbias;
  std::vector<Conv2dBranch> branches;
  std::int64_t channels = 0;

  Arrays(const Branches& c, bool wants_bias) {
    std::uint64_t seed = 10;
    for (const Conv2dShape& s : c.shapes) {
      const std::int64_t size = s.K * s.C * s.R * s.S;
      weight.push_back(std::make_unique<Array>(random_values(size, ++seed)));
      bias.push_back(std::make_unique<Array>(random_values(s.K, ++seed)));
      dweight.push_back(std::make_unique<Array>(random_values(size, ++seed)));
      dbias.push_back(std::make_unique<Array>(random_values(s.K, ++seed)));
      branches.push_back({.shape = s,
                          .first_channel = channels,
                          .weight = weight.back()->data(),
                          .bias = c.with_bias ? bias.back()->data() : nullptr,
                          .dweight = dweight.back()->data(),
                          .dbias = wants_bias ? dbias.back()->data() : nullptr});
      channels += s.K;
    }
  }
};

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

void check_branches(const Branches& c) {
  const Conv2dShape& s = c.shapes[0];
  CAPTURE(text(ConvCase{s, c.pool_h, c.pool_w}));
  const Values x = random_values(s.N * s.C * s.H * s.W, 1);
  const Values dx_before = random_values(std::ssize(x), 2);
  Arrays<Values> host(c, c.with_bias);
  const std::int64_t count = std::ssize(host.branches), channels = host.channels;
  const std::int64_t size = s.N * channels * (s.out_h() / c.pool_h) * (s.out_w() / c.pool_w);
  const Values dy = random_values(size, 3);
  Values y(dy.size()), dx = dx_before;
  std::vector<std::uint8_t> index(dy.size());
  cpu::conv2d_relu_maxpool_branches_forward(y.data(), index.data(), x.data(), host.branches.data(),
                                            count, channels, c.pool_h, c.pool_w);
  cpu::conv2d_relu_maxpool_branches_backward(dx.data(), host.branches.data(), count, dy.data(),
                                             index.data(), x.data(), channels, c.pool_h, c.pool_w);

  const DeviceValues device_x(x), device_dy(dy);
  const DeviceVector<std::uint8_t> winners(index);
  std::vector<std::uint8_t> actual_index;
  const Values actual_y = run_repeatedly([&] {
    const Arrays<DeviceValues> device(c, c.with_bias);
    const DeviceValues to(y.size());
    const DeviceVector<std::uint8_t> to_index(index.size());
    cuda::conv2d_relu_maxpool_branches_forward(to.data(), to_index.data(), device_x.data(),
                                               device.branches.data(), count, channels, c.pool_h,
                                               c.pool_w);
    actual_index = to_index.values();
    return to.values();
  });
  CHECK(relative_error(actual_y, y) < kForwardTolerance);
  CHECK(actual_index == index);

  // All gradients one after the other: of x, then the weight and bias of each branch.
  for (const bool wants_dx : {true, false}) {
    const Values actual = run_repeatedly([&] {
      const Arrays<DeviceValues> device(c, c.with_bias);
      const DeviceValues to(dx_before);
      cuda::conv2d_relu_maxpool_branches_backward(
          wants_dx ? to.data() : nullptr, device.branches.data(), count, device_dy.data(),
          winners.data(), device_x.data(), channels, c.pool_h, c.pool_w);
      Values all = to.values();
      for (std::size_t b = 0; b < device.branches.size(); ++b) {
        append(all, device.dweight[b]->values());
        append(all, device.dbias[b]->values());
      }
      return all;
    });
    auto from = actual.begin();
    const auto check_next = [&](const Values& expected) {
      const auto end = from + std::ssize(expected);
      CHECK(relative_error(Values(from, end), expected) < kGradientTolerance);
      from = end;
    };
    check_next(wants_dx ? dx : dx_before);
    for (std::size_t b = 0; b < host.branches.size(); ++b) {
      check_next(*host.dweight[b]);
      check_next(*host.dbias[b]);
    }
  }
}

}  // namespace

TEST_CASE("cuda conv2d_branches: a first layer as on the CPU") {
  check_branches({{same(1, 1, 67, 36, 8, 2, 8), same(1, 1, 67, 36, 8, 8, 2)}});
  check_branches({{same(2, 1, 5, 7, 8, 3, 10), same(2, 1, 5, 7, 8, 10, 3)}, 2, 1, false});
  check_branches({{same(1, 1, 2, 1, 1, 1, 1)}});
  check_branches({{same(3, 1, 6, 9, 3, 1, 9), same(3, 1, 6, 9, 8, 9, 1), same(3, 1, 6, 9, 5, 3, 5),
                   same(3, 1, 6, 9, 1, 5, 3)}});
}

TEST_CASE("cuda conv2d_branches: every width of a kernel") {
  for (std::int64_t S = 1; S <= 10; S += 3) {
    CAPTURE(S);
    check_branches(
        {{same(1, 1, 4, 8, 2, 2, S), same(1, 1, 4, 8, 3, 3, std::min<std::int64_t>(S + 1, 10))}});
  }
  check_branches({{same(1, 1, 4, 8, 2, 1, 3), same(1, 1, 4, 8, 2, 2, 6)}});
}

TEST_CASE("cuda conv2d_branches: more strips of tiles than blocks") {
  check_branches({{same(133, 1, 4, 33, 2, 2, 3)}});
}

TEST_CASE("cuda conv2d_branches: NaN stays visible") {
  const Branches c{{same(1, 1, 12, 16, 8, 2, 8), same(1, 1, 12, 16, 8, 8, 2)}};
  Values x = random_values(12 * 16, 1);
  x[5 * 16 + 7] = std::numeric_limits<real>::quiet_NaN();
  const std::int64_t size = 16 * 6 * 16;
  const Arrays<Values> host(c, true);
  Values y(size);
  std::vector<std::uint8_t> index(size);
  cpu::conv2d_relu_maxpool_branches_forward(y.data(), index.data(), x.data(), host.branches.data(),
                                            2, 16, 2, 1);
  const Arrays<DeviceValues> device(c, true);
  const DeviceValues device_x(x), to(size);
  const DeviceVector<std::uint8_t> to_index(size);
  cuda::conv2d_relu_maxpool_branches_forward(to.data(), to_index.data(), device_x.data(),
                                             device.branches.data(), 2, 16, 2, 1);
  const Values actual = to.values();
  CHECK(std::any_of(y.begin(), y.end(), [](real v) { return std::isnan(v); }));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(std::isnan(actual[i]) == std::isnan(y[i]));
}

TEST_CASE("cuda conv2d_branches: other branches one by one") {
  check_branches({{same(2, 1, 9, 8, 4, 2, 3), same(2, 1, 9, 8, 9, 3, 2)}});
  check_branches({{same(2, 3, 8, 5, 4, 2, 3), same(2, 3, 8, 5, 3, 3, 9)}, 2, 2});
}
