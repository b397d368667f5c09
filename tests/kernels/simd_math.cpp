// The vectorised functions of kernels/simd/math.h against the C++ library's in a longer format, in
// units in the last place, over their whole range.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/elementwise/cpu/math_simd.h"
#include "kernels/elementwise/pointwise.h"
#include "tests/kernels/isa.h"

using namespace serenade;

namespace {

/// Values between the bounds, denser around 0, with both signs where the bounds have them.
std::vector<real> points(double lowest, double highest) {
  constexpr int kCount = 40001;  // odd: the last vector is a part
  std::vector<real> x;
  for (int i = 0; i < kCount; ++i) {
    const double t = 2.0 * i / (kCount - 1) - 1;  // -1 .. 1
    const double spread = std::abs(t * t * t);
    x.push_back(static_cast<real>(t < 0 ? lowest * spread : highest * spread));
  }
  return x;
}

/// The largest distance in units in the last place of the correctly rounded result.
template <class Exact>
double worst_ulp(const std::vector<real>& x, const std::vector<real>& y, const Exact& exact) {
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const long double wanted = exact(static_cast<long double>(x[i]));
    const real rounded = static_cast<real>(wanted);
    const real next = std::nextafter(rounded, std::numeric_limits<real>::infinity());
    const long double ulp = static_cast<long double>(next) - static_cast<long double>(rounded);
    const auto error = static_cast<double>(std::abs(static_cast<long double>(y[i]) - wanted) / ulp);
    worst = error <= worst ? worst : error;  // keeps a NaN
  }
  return worst;
}

using Function = void (*)(real*, const real*, std::int64_t);

std::vector<real> apply(Function function, const std::vector<real>& x) {
  std::vector<real> y(x.size());
  function(y.data(), x.data(), static_cast<std::int64_t>(x.size()));
  return y;
}

template <class Check>
void on_every_isa(const Check& check) {
  for_each_isa([&] { check(cpu::math_simd()); });
}

template <class Formula>
std::vector<real> values(const Formula& formula, const std::vector<real>& x) {
  std::vector<real> y(x.size());
  cpu::unary_forward(y.data(), x.data(), static_cast<std::int64_t>(x.size()), formula);
  return y;
}

constexpr bool kDouble = sizeof(real) == 8;

}  // namespace

TEST_CASE("simd math: exp, sigmoid and tanh are exact to a few last digits") {
  on_every_isa([](const cpu::MathSimd& math) {
    const auto normal = points(kDouble ? -708 : -87.3, kDouble ? 709.7 : 88.7);
    CHECK(worst_ulp(normal, apply(math.exp, normal), [](auto x) { return std::exp(x); }) <= 2);
    const auto bounded = points(kDouble ? -700 : -87, 100);
    CHECK(worst_ulp(bounded, apply(math.sigmoid, bounded),
                    [](auto x) { return 1 / (1 + std::exp(-x)); }) <= 4);
    const auto all = points(-100, 100);
    CHECK(worst_ulp(all, apply(math.tanh, all), [](auto x) { return std::tanh(x); }) <= 5);
    // Every binade, and densely around 1, where the logarithm is small.
    std::vector<real> positive = points(kDouble ? -708 : -87.3, kDouble ? 709.7 : 88.7);
    for (real& x : positive) x = std::exp(x);
    for (int i = -2000; i <= 2000; ++i) positive.push_back(1 + static_cast<real>(i) / 2003);
    for (const real tiny : {real(0x1p-130), real(0x1.8p-140)}) {
      positive.push_back(kDouble ? tiny * real(0x1p-500) * real(0x1p-430) : tiny);
    }
    CHECK(worst_ulp(positive, apply(math.log, positive), [](auto x) { return std::log(x); }) <= 2);
  });
}

// Some have no table of their own: they are seen through formulas, which add little to their error.
TEST_CASE("simd math: expm1, log1p, erf and the normal distribution, by formulas made of them") {
  for_each_isa([] {
    const auto below = points(kDouble ? -700 : -87, -1e-30);
    CHECK(worst_ulp(below, values(formulas::Elu{1}, below), [](auto x) { return std::expm1(x); }) <=
          3);
    CHECK(worst_ulp(below, values(formulas::Softplus{1, 20}, below),
                    [](auto x) { return std::log1p(std::exp(x)); }) <= 3);
    const auto around = points(-6, 6);
    CHECK(worst_ulp(around, values(formulas::Erf{}, around), [](auto x) { return std::erf(x); }) <=
          3);
    const auto tails = points(kDouble ? -37 : -12.5, 8);
    CHECK(worst_ulp(tails, values(formulas::Gelu{}, tails),
                    [](auto x) { return x * (std::erfc(-x * std::sqrt(0.5L)) / 2); }) <= 10);
  });
}

TEST_CASE("simd math: ends of the range and not-a-number") {
  const real infinity = std::numeric_limits<real>::infinity();
  const std::vector<real> x = {infinity, -infinity, NAN, 0, -real(0), 1e6, -1e6};
  on_every_isa([&](const cpu::MathSimd& math) {
    const auto e = apply(math.exp, x), s = apply(math.sigmoid, x), t = apply(math.tanh, x);
    CHECK(e[0] == infinity);
    CHECK(e[1] == 0);
    CHECK(std::isnan(e[2]));
    CHECK(e[3] == 1);
    CHECK(e[5] == infinity);
    CHECK(e[6] == 0);
    CHECK(s[0] == 1);
    CHECK(s[1] == 0);
    CHECK(s[5] == 1);
    CHECK(s[6] == 0);
    CHECK(std::isnan(s[2]));
    CHECK(s[3] == real(0.5));
    CHECK(t[0] == 1);
    CHECK(t[1] == -1);
    CHECK(std::isnan(t[2]));
    CHECK(t[3] == 0);
  });
}

TEST_CASE("simd math: the logarithm's ends and what it is not defined for") {
  const real infinity = std::numeric_limits<real>::infinity();
  const std::vector<real> x = {0, -real(0), infinity, -infinity, NAN, -1, 1, -real(1e-30)};
  on_every_isa([&](const cpu::MathSimd& math) {
    const auto y = apply(math.log, x);
    CHECK(y[0] == -infinity);
    CHECK(y[1] == -infinity);
    CHECK(y[2] == infinity);
    for (const int i : {3, 4, 5, 7}) CHECK(std::isnan(y[i]));
    CHECK(y[6] == 0);
  });
}

TEST_CASE("simd math: subnormal results") {
  const std::vector<real> x = {kDouble ? real(-720) : real(-95), kDouble ? real(-744) : real(-103)};
  on_every_isa([&](const cpu::MathSimd& math) {
    CHECK(worst_ulp(x, apply(math.exp, x), [](auto v) { return std::exp(v); }) <= 1);
  });
}

TEST_CASE("simd math: parts of a vector touch nothing beyond them") {
  on_every_isa([](const cpu::MathSimd& math) {
    for (std::int64_t count = 0; count < 40; ++count) {
      std::vector<real> x(count + 1, real(0.25));
      x[count] = 42;
      math.exp(x.data(), x.data(), count);
      for (std::int64_t i = 0; i < count; ++i) {
        CHECK(x[i] == doctest::Approx(std::exp(0.25)).epsilon(1e-6));
      }
      CHECK(x[count] == 42);
    }
  });
}
