#include "kernels/elementwise/pointwise.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// The kinks themselves among them.
Values arguments(std::int64_t count, bool positive) {
  Values x = random_values(count, 1);
  if (positive) {
    for (real& v : x) v = std::abs(v) + real(0.1);
  } else if (count > 3) {
    x[0] = 0, x[1] = 1, x[2] = -1;
  }
  return x;
}

template <class Formula>
void check_unary(const Formula& formula, bool positive = false) {
  for (const std::int64_t count : {0, 1, 3, 4, 1030}) {
    CAPTURE(count);
    const Values x = arguments(count, positive);
    const Values dy = random_values(count, 2), before = random_values(count, 3);
    Values expected(x.size());
    cpu::unary_forward(expected.data(), x.data(), count, formula);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(x.size()), in(x);
      cuda::unary_forward(out.data(), in.data(), count, formula);
      return out.values();
    });
    CHECK(relative_error(y, expected) < kForwardTolerance);
    for (const Write write : {Write::set, Write::add}) {
      Values expected_dx = before;
      cpu::unary_backward(expected_dx.data(), dy.data(), x.data(), count, write, formula);
      const Values dx = run_repeatedly([&] {
        const DeviceValues out(before), d(dy), in(x);
        cuda::unary_backward(out.data(), d.data(), in.data(), count, write, formula);
        return out.values();
      });
      CHECK(relative_error(dx, expected_dx) < kGradientTolerance);
    }
  }
}

// Rows beside a column: [R, C] with a [R, 1] and b [R, C], or nothing repeated.
Broadcast pair_of(std::int64_t rows, std::int64_t columns, bool repeated) {
  Broadcast s;
  s.dims = 2;
  s.shape[0] = rows, s.shape[1] = columns;
  s.stride_a[0] = repeated ? 1 : columns, s.stride_a[1] = repeated ? 0 : 1;
  s.stride_b[0] = columns, s.stride_b[1] = 1;
  return s;
}

template <class Formula>
void check_binary_forward(const Formula& formula, const Values& a, const Values& b,
                          const Broadcast& s) {
  Values expected(static_cast<std::size_t>(s.count()));
  cpu::binary_forward(expected.data(), a.data(), b.data(), s, formula);
  const Values y = run_repeatedly([&] {
    const DeviceValues out(expected.size()), left(a), right(b);
    cuda::binary_forward(out.data(), left.data(), right.data(), s, formula);
    return out.values();
  });
  CHECK(relative_error(y, expected) < kForwardTolerance);
}

template <class Formula>
void check_binary(const Formula& formula, const Values& a, const Values& b, const Broadcast& s) {
  check_binary_forward(formula, a, b, s);
  const Values dy = random_values(s.count(), 5), before = random_values(s.count(), 6);
  for (const Operand by : {Operand::a, Operand::b}) {
    for (const Write write : {Write::set, Write::add}) {
      Values expected = before;
      cpu::binary_backward(expected.data(), dy.data(), a.data(), b.data(), s, write, formula, by);
      const Values g = run_repeatedly([&] {
        const DeviceValues out(before), d(dy), left(a), right(b);
        cuda::binary_backward(out.data(), d.data(), left.data(), right.data(), s, write, formula,
                              by);
        return out.values();
      });
      CHECK(relative_error(g, expected) < kGradientTolerance);
    }
  }
}

}  // namespace

TEST_CASE("cuda pointwise: functions of one number") {
  check_unary(formulas::Sqrt{}, true);
  check_unary(formulas::Rsqrt{}, true);
  check_unary(formulas::Abs{});
  check_unary(formulas::Sign{});
  check_unary(formulas::Clamp{-1, 1});
  check_unary(formulas::PowerOf{real(2.5)}, true);
  check_unary(formulas::PowerOf{0});
  check_unary(formulas::Erf{});
  check_unary(formulas::LeakyRelu{real(0.1)});
  check_unary(formulas::Elu{real(1.5)});
  check_unary(formulas::Gelu{});
  check_unary(formulas::GeluTanh{});
  check_unary(formulas::Silu{});
  check_unary(formulas::Softplus{2, 3});
  check_unary(formulas::Masked{true});
  check_unary(formulas::Masked{false});
}

TEST_CASE("cuda pointwise: functions of two numbers, and choices between them") {
  for (const bool repeated : {false, true}) {
    for (const std::int64_t columns : {1, 3, 270}) {
      CAPTURE(columns);
      const std::int64_t rows = 3;
      const Broadcast s = pair_of(rows, columns, repeated);
      Values a = random_values(repeated ? rows : rows * columns, 1);
      Values b = random_values(rows * columns, 2);
      b[0] = a[0];  // a tie
      check_binary(formulas::Maximum{}, a, b, s);
      check_binary(formulas::Minimum{}, a, b, s);
      check_binary_forward(formulas::Less{}, a, b, s);
      check_binary_forward(formulas::LessEqual{}, a, b, s);
      check_binary_forward(formulas::Equal{}, a, b, s);
      check_binary_forward(formulas::NotEqual{}, a, b, s);
      Values mask = random_values(rows * columns, 3), expected(mask.size());
      for (real& m : mask) m = m > 0 ? real(1) : real(0);
      cpu::select_forward(expected.data(), mask.data(), a.data(), b.data(), s);
      const Values chosen = run_repeatedly([&] {
        const DeviceValues out(mask.size()), m(mask), left(a), right(b);
        cuda::select_forward(out.data(), m.data(), left.data(), right.data(), s);
        return out.values();
      });
      CHECK(chosen == expected);
      for (real& v : a) v = std::abs(v) + real(0.1);
      check_binary(formulas::Power{}, a, b, s);
    }
  }
}
