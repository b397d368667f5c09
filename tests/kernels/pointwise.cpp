// The vectorised formulas against the same formulas in long double, on every instruction set:
// kinks, tails, infinities and what is not a number among the arguments.

#include "kernels/elementwise/pointwise.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "tests/kernels/isa.h"

using namespace serenade;

namespace {

struct Exact {
  using Number = long double;
  static Number select(bool condition, Number yes, Number no) { return condition ? yes : no; }
  static Number all(real x) { return x; }
  static Number abs(Number x) { return std::abs(x); }
  static Number sqrt(Number x) { return std::sqrt(x); }
  static Number exp(Number x) { return std::exp(x); }
  static Number expm1(Number x) { return std::expm1(x); }
  static Number log(Number x) { return std::log(x); }
  static Number log1p(Number x) { return std::log1p(x); }
  static Number pow(Number x, Number y) { return std::pow(x, y); }
  static Number tanh(Number x) { return std::tanh(x); }
  static Number erf(Number x) { return std::erf(x); }
  static Number bell(Number x) { return std::exp(-x * x / 2); }
  static Number phi(Number x) { return std::erfc(-x * std::sqrt(0.5L)) / 2; }
};

constexpr real kInfinity = std::numeric_limits<real>::infinity();
constexpr real kNaN = std::numeric_limits<real>::quiet_NaN();

// Dense around 0, to the ends of e^x and of the tails; `from` -1 or 0.
std::vector<real> points(int from, double farthest) {
  std::vector<real> x = {0, 1, real(0.5), 2, 3, kInfinity, kNaN};
  if (from < 0) x.insert(x.end(), {real(-0.0), -1, real(-0.5), -2, -3, -kInfinity});
  for (int i = from * 4000; i <= 4000; ++i) {
    const double t = i / 4000.0;
    x.push_back(static_cast<real>(farthest * t * t * t));
  }
  return x;
}

/// Within `last_digits` units of the exact value's last place, `slack` beside it: what cancels.
void check_close(real got, long double exact, double last_digits, long double slack) {
  if (std::isnan(exact)) {
    CHECK(std::isnan(got));
    return;
  }
  const auto rounded = static_cast<real>(exact);
  if (std::isinf(rounded)) {
    CHECK(got == rounded);
    return;
  }
  if (!std::isfinite(slack)) slack = 2;
  const long double unit = std::numeric_limits<real>::epsilon() * (std::abs(exact) + slack) +
                           std::numeric_limits<real>::denorm_min();
  const auto error = static_cast<double>(std::abs(static_cast<long double>(got) - exact) / unit);
  CHECK(error <= last_digits);
}

const real kJunk = static_cast<real>(std::nan(""));  // before Write::set

template <class Formula>
void check_unary(const Formula& formula, double last_digits, int from = -1, double farthest = 100,
                 long double slack = 0) {
  const std::vector<real> x = points(from, farthest);
  const auto count = static_cast<std::int64_t>(x.size());
  for_each_isa([&] {
    std::vector<real> y(x.size()), dx(x.size(), 1), alone(x.size(), kJunk), dy(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) dy[i] = real(i % 7) / 4 - real(0.8);
    cpu::unary_forward(y.data(), x.data(), count, formula);
    cpu::unary_backward(dx.data(), dy.data(), x.data(), count, Write::add, formula);
    cpu::unary_backward(alone.data(), dy.data(), x.data(), count, Write::set, formula);
    for (std::size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      const long double at = x[i], d = dy[i];
      check_close(y[i], formula.template value<Exact>(at), last_digits, 0);
      const long double gradient = formula.template gradient<Exact>(d, at);
      check_close(dx[i], 1 + gradient, last_digits, std::abs(gradient) + 1 + slack);
      check_close(alone[i], gradient, last_digits, std::abs(gradient) + 1 + slack);
    }
  });
}

// Rows of 37 numbers beside as many, beside one of each row, and one of each row beside them.
template <class Formula>
void check_binary(const Formula& formula, double last_digits, int from_a, int from_b,
                  double farthest = 100) {
  const std::vector<real> values_a = points(from_a, farthest), values_b = points(from_b, farthest);
  constexpr std::int64_t rows = 60, columns = 37;
  for (const bool a_moves : {true, false}) {
    for (const bool b_moves : {true, false}) {
      Broadcast s;
      s.dims = 2;
      s.shape[0] = rows, s.shape[1] = columns;
      s.stride_a[0] = a_moves ? columns : 1, s.stride_a[1] = a_moves ? 1 : 0;
      s.stride_b[0] = b_moves ? columns : 1, s.stride_b[1] = b_moves ? 1 : 0;
      std::vector<real> a(rows * columns), b(a.size()), dy(a.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        a[i] = values_a[i < 13 ? i : i * 3 % values_a.size()];
        b[i] = i % 11 == 5 ? a[i] : values_b[i * 7 % values_b.size()];  // ties
        if (from_b == 0 && b[i] < 0) b[i] = -b[i];
        dy[i] = real(i % 7) / 4 - real(0.8);
      }
      for_each_isa([&] {
        std::vector<real> y(a.size());
        cpu::binary_forward(y.data(), a.data(), b.data(), s, formula);
        for (const Operand by : {Operand::a, Operand::b}) {
          std::vector<real> g(a.size(), 1), alone(a.size(), kJunk);
          if constexpr (requires { formula.template gradient_a<Exact>(0, 0, 0); }) {
            const auto leave = [&](std::vector<real>& to, Write write) {
              cpu::binary_backward(to.data(), dy.data(), a.data(), b.data(), s, write, formula, by);
            };
            leave(g, Write::add), leave(alone, Write::set);
          }
          for (std::size_t i = 0; i < a.size(); ++i) {
            const long double u = a[a_moves ? i : i / columns], v = b[b_moves ? i : i / columns];
            CAPTURE(u);
            CAPTURE(v);
            check_close(y[i], formula.template value<Exact>(u, v), last_digits,
                        std::abs(u) + std::abs(u * v));
            if constexpr (requires { formula.template gradient_a<Exact>(0, 0, 0); }) {
              const long double d = dy[i];
              const long double gradient = by == Operand::a
                                               ? formula.template gradient_a<Exact>(d, u, v)
                                               : formula.template gradient_b<Exact>(d, u, v);
              const long double slack = std::abs(gradient) + 1 + std::abs(u);
              check_close(g[i], 1 + gradient, last_digits, slack);
              check_close(alone[i], gradient, last_digits, slack);
            }
          }
        }
      });
    }
  }
}

}  // namespace

TEST_CASE("pointwise: vectors of functions of one number agree with long double") {
  check_unary(formulas::Sqrt{}, 2, 0, 1e6);
  check_unary(formulas::Rsqrt{}, 2, 0, 1e6);
  check_unary(formulas::Abs{}, 0.5);
  check_unary(formulas::Sign{}, 0.5);
  check_unary(formulas::Clamp{-1, 2}, 0.5);
  check_unary(formulas::PowerOf{2}, 1);
  check_unary(formulas::PowerOf{real(2.5)}, 3, 0, 1e4);
  check_unary(formulas::PowerOf{0}, 0.5);
  check_unary(formulas::Erf{}, 4, -1, 6);
  check_unary(formulas::LeakyRelu{real(0.25)}, 1);
  check_unary(formulas::Elu{real(1.5)}, 6);
  check_unary(formulas::Gelu{}, 8, -1, 13);
  check_unary(formulas::Silu{}, 6, -1, 60, 10);
  check_unary(formulas::Softplus{1, 20}, 8, -1, 60);
  check_unary(formulas::Softplus{2, 3}, 8, -1, 40);
  check_unary(formulas::Masked{true}, 0.5);
  check_unary(formulas::Masked{false}, 0.5);
}

TEST_CASE("pointwise: the tanh form of gelu agrees with long double where tanh does not cancel") {
  check_unary(formulas::GeluTanh{}, 10, 0, 13, 20);
}

TEST_CASE("pointwise: vectors of functions of two numbers agree with long double") {
  check_binary(formulas::Power{}, 12, 0, -1, 2);  // b - 1 is rounded
  check_binary(formulas::Maximum{}, 0.5, -1, -1);
  check_binary(formulas::Minimum{}, 0.5, -1, -1);
  check_binary(formulas::SquaredDifference{}, 4, -1, -1);
  check_binary(formulas::AbsoluteDifference{}, 1, -1, -1);
  check_binary(formulas::HuberDifference{real(1.5), 2}, 4, -1, -1);
  check_binary(formulas::BinaryCrossEntropy{}, 6, -1, -1, 3);
  check_binary(formulas::Divergence{}, 6, -1, 0, 3);
  check_binary(formulas::LogDivergence{}, 6, -1, -1, 3);
  check_binary(formulas::Less{}, 0.5, -1, -1);
  check_binary(formulas::LessEqual{}, 0.5, -1, -1);
  check_binary(formulas::Equal{}, 0.5, -1, -1);
  check_binary(formulas::NotEqual{}, 0.5, -1, -1);
}
