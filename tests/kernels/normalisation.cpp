// Normalisation in use against its definition, for every instruction set.

#include "kernels/normalisation/normalisation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "tests/golden.h"
#include "tests/kernels/isa.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-13 : 4e-6;

// Planes of one element, below, at and above a vector of any width and a block; batch, group and
// instance.
const std::vector<PlaneNorm> kPlanes = {{5, 3, 1, 0, real(1e-5)},    {1, 2, 2, 1, real(1e-5)},
                                        {2, 4, 33, 2, real(1e-3)},   {3, 2, 64, 0, real(1e-5)},
                                        {2, 3, 1024, 1, 0},          {2, 6, 130, 3, real(1e-5)},
                                        {1, 1, 3001, 0, real(1e-5)}, {32, 4, 49, 0, real(1e-5)}};
const std::vector<RowNorm> kRows = {{1, 1, true, real(1e-5)},     {3, 5, true, real(1e-5)},
                                    {4, 16, false, real(1e-5)},   {200, 64, true, real(1e-5)},
                                    {7, 1500, false, real(1e-6)}, {900, 70, true, real(1e-5)}};

struct Answer {
  Tensor y, mean, variance;
};

Answer planes(decltype(cpu::plane_norm_forward)* forward, const Tensor& x, const Tensor& weight,
              const Tensor& bias, const PlaneNorm& s) {
  Answer a{Tensor::empty(x.shape()), Tensor::empty({s.sets()}), Tensor::empty({s.sets()})};
  forward(a.y.data(), a.mean.data(), a.variance.data(), x.data(), weight.data(), bias.data(), s);
  return a;
}

Answer rows(decltype(cpu::row_norm_forward)* forward, const Tensor& x, const Tensor& weight,
            const Tensor& bias, const RowNorm& s) {
  Answer a{Tensor::empty(x.shape()), Tensor::empty({s.rows}), Tensor::empty({s.rows})};
  forward(a.y.data(), a.mean.data(), a.variance.data(), x.data(), weight.data(), bias.data(), s);
  return a;
}

void check_same(const Answer& actual, const Answer& expected, double tolerance = kTolerance) {
  check_close(actual.mean, expected.mean, "mean", tolerance);
  check_close(actual.variance, expected.variance, "variance", tolerance);
  check_close(actual.y, expected.y, "y", tolerance);
}

}  // namespace

TEST_CASE("normalisation in use agrees with its definition") {
  for_each_isa([] {
    for (const PlaneNorm& s : kPlanes) {
      INFO("planes ", s.N, " x ", s.C, " x ", s.inner, ", group ", s.group);
      const Tensor x = random_tensor({s.N, s.C, s.inner}, 1, 3);
      const Tensor weight = random_tensor({s.C}, 2), bias = random_tensor({s.C}, 3);
      const Answer expected = planes(cpu::plane_norm_forward_v0_plain, x, weight, bias, s);
      const Answer actual = planes(cpu::plane_norm_forward, x, weight, bias, s);
      check_same(actual, expected);
      Tensor y = Tensor::empty(x.shape());
      cpu::plane_norm_apply(y.data(), x.data(), actual.mean.data(), actual.variance.data(),
                            weight.data(), bias.data(), s);
      check_close(y, actual.y, "given statistics", 0);
    }
    for (const RowNorm& s : kRows) {
      INFO("rows ", s.rows, " x ", s.size);
      const Tensor x = random_tensor({s.rows, s.size}, 1, 3);
      const Tensor weight = random_tensor({s.size}, 2), bias = random_tensor({s.size}, 3);
      check_same(rows(cpu::row_norm_forward, x, weight, bias, s),
                 rows(cpu::row_norm_forward_v0_plain, x, weight, bias, s));
    }
  });
}

TEST_CASE("normalisation: a large mean costs no digits of the variance") {
  for_each_isa([] {
    const PlaneNorm s{4, 2, 500, 0, 0};
    Tensor x = random_tensor({s.N, s.C, s.inner}, 1);
    Tensor weight = Tensor::ones({s.C}), bias = Tensor({s.C});
    // In float, numbers near 10,000 are 1/1024 apart: these are exact, and so is their mean.
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      x.data()[i] = real(std::round(static_cast<double>(x.data()[i]) * 64) / 64 + 10000);
    }
    x.data()[0] = 10100;  // sums are formed around the first element, which may be far out
    const Answer expected = planes(cpu::plane_norm_forward_v0_plain, x, weight, bias, s);
    const Answer actual = planes(cpu::plane_norm_forward, x, weight, bias, s);
    check_close(actual.variance, expected.variance, "variance", sizeof(real) == 8 ? 1e-13 : 1e-6);
    // y is off by the rounding of the mean, at most half of 1/1024.
    const double deviation = std::sqrt(static_cast<double>(expected.variance.data()[1]));
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      CHECK(std::abs(static_cast<double>(actual.y.data()[i] - expected.y.data()[i])) <=
            0.0006 / std::min(1.0, deviation));
    }
  });
}

TEST_CASE("normalisation: a gradient is set to what would be added to zeros") {
  const PlaneNorm planes{.N = 3, .C = 5, .inner = 37, .group = 0, .epsilon = real(1e-5)};
  const RowNorm rows{7, 41, true, real(1e-5)};
  const Tensor x = random_tensor({3, 5, 37}, 1), dy = random_tensor({3, 5, 37}, 2);
  const Tensor mean = random_tensor({7}, 3), variance = Tensor::full({7}, real(0.7));
  const Tensor weight = random_tensor({41}, 4);
  for_each_isa([&] {
    for (const real* w : {weight.data(), static_cast<const real*>(nullptr)}) {
      Tensor zeros(x.shape()), junk = Tensor::full(x.shape(), std::nan(""));
      const auto leave_planes = [&](Tensor& dx, Write write) {
        cpu::plane_norm_backward(dx.data(), nullptr, nullptr, dy.data(), x.data(), mean.data(),
                                 variance.data(), w, planes, false, write);
      };
      leave_planes(zeros, Write::add), leave_planes(junk, Write::set);
      CHECK(zeros.to_vector() == junk.to_vector());
      zeros.fill_(0), junk.fill_(std::nan(""));
      const auto leave_rows = [&](Tensor& dx, Write write) {
        cpu::row_norm_backward(dx.data(), nullptr, nullptr, dy.data(), x.data(), mean.data(),
                               variance.data(), w, rows, write);
      };
      leave_rows(zeros, Write::add), leave_rows(junk, Write::set);
      const auto count = static_cast<std::ptrdiff_t>(rows.rows * rows.size);
      const std::vector<real> added = zeros.to_vector(), set = junk.to_vector();
      CHECK(std::equal(added.begin(), added.begin() + count, set.begin()));
    }
  });
}

TEST_CASE("normalisation: the same bits on one thread and on three") {
  for_each_isa([] {
    const PlaneNorm s{9, 7, 800, 0, real(1e-5)};
    const RowNorm r{700, 96, true, real(1e-5)};
    const Tensor x = random_tensor({s.N, s.C, s.inner}, 1), dy = random_tensor(x.shape(), 2);
    const Tensor row = random_tensor({r.rows, r.size}, 3), drow = random_tensor(row.shape(), 4);
    const Tensor weight = random_tensor({r.size}, 5), bias = random_tensor({r.size}, 6);
    std::vector<std::vector<real>> results;
    for (const int threads : {1, 3}) {
      cpu::set_threads(threads);
      const Answer a = planes(cpu::plane_norm_forward, x, weight, bias, s);
      const Answer b = rows(cpu::row_norm_forward, row, weight, bias, r);
      Tensor dx(x.shape()), dw({r.size}), db({r.size}), drows(row.shape());
      cpu::plane_norm_backward(dx.data(), dw.data(), db.data(), dy.data(), x.data(), a.mean.data(),
                               a.variance.data(), weight.data(), s, false, Write::add);
      cpu::row_norm_backward(drows.data(), dw.data(), db.data(), drow.data(), row.data(),
                             b.mean.data(), b.variance.data(), weight.data(), r, Write::add);
      results.emplace_back();
      for (const Tensor& t : {a.y, b.y, dx, drows, dw, db}) {
        const std::vector<real> values = t.to_vector();
        results.back().insert(results.back().end(), values.begin(), values.end());
      }
    }
    CHECK(results[0] == results[1]);
  });
}
