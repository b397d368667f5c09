// The steps of the convolution ladder against the plain one, for every instruction set that this
// processor has and for one and two threads; pooling; the merged kernel of mixed convolutions.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/mixed/mixed.h"
#include "kernels/pool/pool.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"
#include "tensor/random.h"
#include "tests/kernels/conv2d_case.h"

using namespace serenade;
using namespace serenade::cpu;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-12 : 2e-5;

std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (isa_supported(isa)) isas.push_back(isa);
  }
  return isas;
}

// The kernels of the two systems, small, and then everything that is odd.
const std::vector<Conv2dShape> kShapes = {
    same(2, 16, 11, 50, 16, 5, 5),
    same(1, 16, 30, 37, 16, 6, 6),
    same(2, 1, 21, 40, 8, 2, 8),
    same(2, 1, 21, 40, 8, 8, 2),
    same(1, 1, 13, 33, 8, 3, 10),
    same(1, 1, 23, 19, 8, 10, 3),
    same(3, 5, 7, 9, 3, 1, 1),
    same(2, 70, 40, 30, 64, 1, 1),  // 1x1, a sample in several units
    {2, 9, 7, 9, 5, 1, 1, 2, 1, 0, 0, 0, 0},
    same(1, 1, 1, 1, 1, 1, 1),
    same(2, 3, 1, 17, 9, 4, 6),
    same(2, 2, 40, 1, 3, 5, 1),
    same(2, 2, 2, 3, 3, 6, 4),                    // larger than the image
    {2, 3, 9, 12, 5, 3, 4, 1, 1, 0, 0, 0, 0},     // no padding
    {1, 2, 6, 7, 4, 3, 3, 1, 1, 2, 0, 0, 2},      // uneven padding
    {1, 2, 5, 6, 4, 2, 3, 1, 1, 4, 3, 5, 6},      // padding wider than the kernel
    {7, 16, 6, 10, 64, 5, 5, 4, 2, 1, 2, 1, 2},   // primary capsules
    {2, 3, 9, 11, 4, 2, 3, 3, 5, 0, 1, 0, 2},     // stride wider than the kernel
    {3, 1, 64, 21, 70, 1, 2, 2, 1, 0, 0, 0, 0},   // many channels out of one
    {1, 70, 8, 24, 2, 3, 3, 1, 1, 1, 1, 1, 1},    // few out of many
    {2, 2, 25, 24, 3, 20, 21, 2, 3, 1, 0, 2, 2},  // a channel's taps in two blocks
    {9, 60, 13, 12, 40, 3, 3, 2, 2, 1, 1, 1, 1},  // several blocks, samples and rows of panels
    {2, 3, 70, 90, 33, 3, 2, 2, 1, 0, 1, 1, 0},   // a sample in several units, partial sums
};

std::string describe(const Conv2dShape& s) {
  std::string text;
  for (const auto size : {s.N, s.C, s.H, s.W, s.K, s.R, s.S, s.stride_h, s.stride_w}) {
    text += std::to_string(size) + " ";
  }
  return text;
}

// Inputs of one case and what the plain version makes of them.
struct Case {
  Conv2dShape shape;
  Values x, weight, bias, dy;
  Values y, dx, dweight, dbias;

  explicit Case(const Conv2dShape& s) : shape(s) {
    x = random_values(s.N * s.C * s.H * s.W, 1);
    weight = random_values(s.K * s.C * s.R * s.S, 2);
    bias = random_values(s.K, 3);
    dy = random_values(s.N * s.K * s.out_h() * s.out_w(), 4);
    y.resize(dy.size());
    conv2d_forward_v0_plain(y.data(), x.data(), weight.data(), bias.data(), s);
    dx = random_values(x.size(), 5);  // gradients are added to what is there
    conv2d_backward_input_v0_plain(dx.data(), dy.data(), weight.data(), s);
    dweight = random_values(weight.size(), 6);
    conv2d_backward_weight_v0_plain(dweight.data(), dy.data(), x.data(), s);
    dbias = random_values(s.K, 7);
    const std::int64_t pixels = s.out_h() * s.out_w();
    for (std::int64_t i = 0; i < std::int64_t(dy.size()); ++i) dbias[i / pixels % s.K] += dy[i];
  }
};

struct Results {
  Values y, dx, dweight;
  bool operator==(const Results&) const = default;
};

Results run(Conv2dVersion version, const Case& c) {
  Results r = {Values(c.y.size()), random_values(c.x.size(), 5), random_values(c.weight.size(), 6)};
  const RowSink y = {.data = r.y.data()};
  const RowSource dy = {.data = c.dy.data()};
  if (version == Conv2dVersion::im2col) {
    conv2d_forward_v1_im2col(y, c.x.data(), c.weight.data(), c.bias.data(), c.shape);
    conv2d_backward_input_v1_im2col(r.dx.data(), dy, c.weight.data(), c.shape);
    conv2d_backward_weight_v1_im2col(r.dweight.data(), dy, c.x.data(), c.shape);
  } else if (version == Conv2dVersion::implicit) {
    conv2d_forward_v4_implicit(y, c.x.data(), c.weight.data(), c.bias.data(), c.shape);
    conv2d_backward_input_v4_implicit(r.dx.data(), dy, c.weight.data(), c.shape);
    conv2d_backward_weight_v4_implicit(r.dweight.data(), dy, c.x.data(), c.shape);
  } else {
    conv2d_forward_v2_direct(y, c.x.data(), c.weight.data(), c.bias.data(), c.shape);
    conv2d_backward_input_v2_direct(r.dx.data(), dy, c.weight.data(), c.shape);
    conv2d_backward_weight_v2_direct(r.dweight.data(), dy, c.x.data(), c.shape);
  }
  return r;
}

void check_results(const Results& r, const Case& c) {
  CHECK(difference(r.y, c.y) < kTolerance);
  CHECK(difference(r.dx, c.dx) < kTolerance);
  CHECK(difference(r.dweight, c.dweight) < kTolerance);
}

}  // namespace

TEST_CASE("conv2d: every version computes what the plain one does") {
  const Restore restore;
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    const Case c(shape);
    check_results(run(Conv2dVersion::im2col, c), c);
    for (const Isa isa : available_isas()) {
      CAPTURE(to_string(isa));
      set_active_isa(isa);
      check_results(run(Conv2dVersion::implicit, c), c);
      if (conv2d_direct_supports(shape)) check_results(run(Conv2dVersion::direct, c), c);
    }
  }
}

TEST_CASE("conv2d: the version in use, with and without bias, and the bias gradient") {
  for (const Conv2dShape& shape : kShapes) {
    CAPTURE(describe(shape));
    const Case c(shape);
    Values y(c.y.size());
    conv2d_forward(y.data(), c.x.data(), c.weight.data(), c.bias.data(), shape);
    CHECK(difference(y, c.y) < kTolerance);
    Values expected(c.y.size());
    conv2d_forward_v0_plain(expected.data(), c.x.data(), c.weight.data(), nullptr, shape);
    conv2d_forward(y.data(), c.x.data(), c.weight.data(), nullptr, shape);
    CHECK(difference(y, expected) < kTolerance);
    Values dbias = random_values(shape.K, 7);
    conv2d_backward_bias(dbias.data(), c.dy.data(), shape);
    CHECK(difference(dbias, c.dbias) < kTolerance);
  }
}

TEST_CASE("conv2d: which version is in use") {
  const auto forward = Conv2dPass::forward;
  CHECK(conv2d_version(same(16, 16, 100, 200, 16, 5, 5), forward) == Conv2dVersion::winograd);
  CHECK(conv2d_version(same(16, 16, 16, 100, 16, 1, 9), forward) == Conv2dVersion::direct);
  const Conv2dShape first = same(16, 1, 200, 200, 8, 10, 3);
  CHECK(conv2d_version(first, forward) == Conv2dVersion::direct);
  CHECK(conv2d_version(first, Conv2dPass::backward_weight) == Conv2dVersion::direct);
  CHECK(conv2d_version(first, Conv2dPass::backward_input) == Conv2dVersion::implicit);
  const Conv2dShape wide = same(32, 64, 56, 56, 256, 1, 1);
  CHECK(conv2d_version(wide, forward) == Conv2dVersion::implicit);
  CHECK(conv2d_version(wide, Conv2dPass::backward_input) == Conv2dVersion::im2col);
  CHECK(conv2d_version(wide, Conv2dPass::backward_weight) == Conv2dVersion::im2col);
  CHECK(conv2d_version(same(32, 16, 56, 56, 64, 1, 1), forward) == Conv2dVersion::direct);
  const Conv2dShape primary = {7, 16, 6, 10, 64, 5, 5, 4, 2, 1, 2, 1, 2};
  CHECK(conv2d_version(primary, forward) == Conv2dVersion::implicit);
  CHECK(conv2d_version(same(1, 2, 2, 3, 3, 6, 4), forward) == Conv2dVersion::implicit);
  const Conv2dShape digits = {100, 1, 28, 28, 256, 9, 9};
  CHECK(conv2d_version(digits, forward) == Conv2dVersion::implicit);
  CHECK(conv2d_version(digits, Conv2dPass::backward_weight) == Conv2dVersion::implicit);
}

TEST_CASE("conv2d: the same bits from one and two threads") {
  const Restore restore;
  // Large enough for several chunks per sample and several partial weight gradients.
  for (const Conv2dShape& shape : {same(3, 4, 61, 70, 8, 5, 5), same(2, 1, 90, 83, 8, 2, 8),
                                   same(1, 2, 150, 90, 3, 3, 3), same(3, 80, 60, 50, 30, 1, 1)}) {
    const Case c(shape);
    for (const Conv2dVersion version :
         {Conv2dVersion::im2col, Conv2dVersion::direct, Conv2dVersion::implicit}) {
      cpu::set_threads(1);
      const Results one = run(version, c);
      check_results(one, c);
      cpu::set_threads(2);
      CHECK(run(version, c) == one);
    }
  }
}

TEST_CASE("conv2d: a NaN in the input reaches the outputs that see it and no others") {
  const Conv2dShape shape = same(1, 2, 9, 40, 3, 3, 3);
  Case c(shape);
  c.x[4 * 40 + 20] = std::numeric_limits<real>::quiet_NaN();
  conv2d_forward(c.y.data(), c.x.data(), c.weight.data(), c.bias.data(), shape);
  std::int64_t count = 0;
  for (const real value : c.y) count += std::isnan(value);
  CHECK(count == 3 * 9);
}

namespace {

struct Pooled {
  Values y;
  std::vector<std::uint8_t> index;
  bool operator==(const Pooled&) const = default;
};

// The definition of the fused kernel, from the plain convolution's output.
Pooled pool_plain(const Values& map, const Conv2dShape& s, std::int64_t ph, std::int64_t pw) {
  const PoolShape pool = {s.N * s.K, s.out_h(), s.out_w(), ph, pw};
  const std::int64_t count = pool.planes * pool.out_h() * pool.out_w();
  Pooled result = {Values(count), std::vector<std::uint8_t>(count)};
  std::vector<std::int32_t> where(count);
  max_pool2d_forward(result.y.data(), where.data(), map.data(), pool);
  for (std::int64_t i = 0; i < count; ++i) {
    result.index[i] = result.y[i] > 0 ? static_cast<std::uint8_t>(where[i]) : kKilledByRelu;
    result.y[i] = std::max(result.y[i], real(0));
  }
  return result;
}

// Gradient of the map before ReLU and pooling.
Values unpool(const Values& dy, const std::vector<std::uint8_t>& index, const Conv2dShape& s,
              std::int64_t ph, std::int64_t pw) {
  Values map(s.N * s.K * s.out_h() * s.out_w());
  const std::int64_t pooled_h = s.out_h() / ph;
  const std::int64_t pooled_w = s.out_w() / pw;
  for (std::int64_t i = 0; i < std::int64_t(dy.size()); ++i) {
    if (index[i] == kKilledByRelu) continue;
    const std::int64_t plane = i / (pooled_h * pooled_w);
    const std::int64_t row = i / pooled_w % pooled_h * ph + index[i] / pw;
    const std::int64_t column = i % pooled_w * pw + index[i] % pw;
    map[(plane * s.out_h() + row) * s.out_w() + column] = dy[i];
  }
  return map;
}

void check_fused(Case c, std::int64_t ph, std::int64_t pw) {
  const Conv2dShape& s = c.shape;
  // Small integers: every sum is exact, so that all versions find the same maxima, ties included.
  for (Values* values : {&c.x, &c.weight, &c.bias}) {
    for (real& value : *values) value = std::round(value);
  }
  conv2d_forward_v0_plain(c.y.data(), c.x.data(), c.weight.data(), c.bias.data(), s);
  const Pooled expected = pool_plain(c.y, s, ph, pw);
  Pooled actual = {Values(expected.y.size(), -1), std::vector<std::uint8_t>(expected.y.size())};
  conv2d_relu_maxpool_forward(actual.y.data(), actual.index.data(), c.x.data(), c.weight.data(),
                              c.bias.data(), s, ph, pw);
  CHECK(actual == expected);

  const Values dy = random_values(expected.y.size(), 8);
  const Values map = unpool(dy, expected.index, s, ph, pw);
  Values dx = random_values(c.x.size(), 9), dx_expected = dx;
  conv2d_relu_maxpool_backward_input(dx.data(), dy.data(), actual.index.data(), c.weight.data(), s,
                                     ph, pw);
  conv2d_backward_input_v0_plain(dx_expected.data(), map.data(), c.weight.data(), s);
  CHECK(difference(dx, dx_expected) < kTolerance);
  Values dweight = random_values(c.weight.size(), 10), dweight_expected = dweight;
  conv2d_relu_maxpool_backward_weight(dweight.data(), dy.data(), actual.index.data(), c.x.data(), s,
                                      ph, pw);
  conv2d_backward_weight_v0_plain(dweight_expected.data(), map.data(), c.x.data(), s);
  CHECK(difference(dweight, dweight_expected) < kTolerance);
  Values dbias = random_values(s.K, 11), dbias_expected = dbias;
  conv2d_relu_maxpool_backward_bias(dbias.data(), dy.data(), actual.index.data(), s, ph, pw);
  conv2d_backward_bias(dbias_expected.data(), map.data(), s);
  CHECK(difference(dbias, dbias_expected) < kTolerance);
}

}  // namespace

TEST_CASE("conv2d_relu_maxpool: forward and backward against separate plain steps") {
  const Restore restore;
  for (const Isa isa : available_isas()) {
    set_active_isa(isa);
    CAPTURE(to_string(isa));
    for (const Conv2dShape& shape : kShapes) {
      // Exact sums are beyond Winograd's transforms; its fused form has tests of its own.
      if (conv2d_version(shape, Conv2dPass::forward) == Conv2dVersion::winograd) continue;
      CAPTURE(describe(shape));
      const Case c(shape);
      for (const auto& window : {std::pair{1, 1}, {2, 1}, {2, 2}, {4, 1}, {1, 3}, {3, 5}}) {
        const int ph = window.first, pw = window.second;
        if (shape.out_h() < ph || shape.out_w() < pw) continue;
        CAPTURE(ph);
        CAPTURE(pw);
        check_fused(c, ph, pw);
      }
    }
  }
}

TEST_CASE("conv2d_relu_maxpool: NaN stays visible") {
  const Restore restore;
  const Conv2dShape shape = same(1, 1, 6, 80, 1, 1, 1);
  Values x = random_values(6 * 80, 1);
  x[2 * 80 + 7] = std::numeric_limits<real>::quiet_NaN();
  const real one = 1;
  for (const Isa isa : available_isas()) {
    set_active_isa(isa);
    Values y(3 * 40);
    std::vector<std::uint8_t> index(y.size());
    conv2d_relu_maxpool_forward(y.data(), index.data(), x.data(), &one, nullptr, shape, 2, 2);
    for (std::int64_t i = 0; i < 3 * 40; ++i) CHECK(std::isnan(y[i]) == (i == 40 + 3));
  }
}

TEST_CASE("max_pool2d: first of equal elements, NaN before numbers, gradient adds") {
  const PoolShape shape = {1, 3, 5, 2, 2};
  const real nan = std::numeric_limits<real>::quiet_NaN();
  const Values x = {1, 1, 2, nan, 9,  //
                    1, 1, 3, 4,   9,  //
                    9, 9, 9, 9,   9};
  Values y(2), dx(15, 1);
  std::vector<std::int32_t> index(2);
  max_pool2d_forward(y.data(), index.data(), x.data(), shape);
  CHECK(y[0] == 1);
  CHECK(std::isnan(y[1]));
  CHECK(index == std::vector<std::int32_t>{0, 1});
  const Values dy = {5, 7};
  max_pool2d_backward(dx.data(), dy.data(), index.data(), shape);
  CHECK(dx == Values{6, 1, 1, 8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
}

TEST_CASE("mixed_kernel: two candidates merged by hand") {
  const Values wide = {1, 2, 3};  // 1 x 3 at row 1
  const Values tall = {4, 5};     // 2 x 1 at row 0, column 1
  Values dtall = {10, 10};
  const Values coefficients = {2, 100, -1};
  const MixedCandidate candidates[] = {
      {.weight = wide.data(), .kernel_h = 1, .kernel_w = 3, .offset_h = 1, .coefficient = 0},
      {.weight = tall.data(),
       .dweight = dtall.data(),
       .kernel_h = 2,
       .kernel_w = 1,
       .offset_w = 1,
       .coefficient = 2}};
  Values merged(6, 77);
  mixed_kernel_forward(merged.data(), candidates, 2, coefficients.data(), 1, 2, 3);
  CHECK(merged == Values{0, -4, 0, 2, 4 - 5, 6});
  const Values dmerged = {1, 2, 3, 4, 5, 6};
  Values dcoefficients(3, 1);
  mixed_kernel_backward(dcoefficients.data(), candidates, 2, dmerged.data(), coefficients.data(), 1,
                        2, 3);
  CHECK(dcoefficients == Values{1 + 4 + 10 + 18, 1, 1 + 8 + 25});
  CHECK(dtall == Values{10 - 2, 10 - 5});
}
