#include "kernels/elementwise/elementwise.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

using Forward = void (*)(real* y, const real* x, std::int64_t count);
using Backward = void (*)(real* dx, const real* dy, const real* saved, std::int64_t count,
                          Write write);

struct Function {
  const char* name;
  Forward cpu_forward, forward;
  Backward cpu_backward, backward;
};

#define FUNCTION(name) \
  { #name, cpu::name##_forward, cuda::name##_forward, cpu::name##_backward, cuda::name##_backward }
const Function kFunctions[] = {FUNCTION(relu), FUNCTION(sigmoid), FUNCTION(tanh), FUNCTION(exp),
                               FUNCTION(log)};
#undef FUNCTION

// Positive ones only, for the logarithm.
Values arguments(const Function& function, std::int64_t count, std::uint64_t seed) {
  Values x = random_values(count, seed);
  if (function.forward == static_cast<Forward>(cuda::log_forward)) {
    for (real& v : x) v = std::abs(v) + real(0.01);
  }
  return x;
}

// The same values, rounding aside, at the same positions.
void check_close(const Values& actual, const Values& expected, double tolerance) {
  CHECK(relative_error(actual, expected) < tolerance);
}

}  // namespace

TEST_CASE("cuda elementwise: activations") {
  for (const Function& function : kFunctions) {
    CAPTURE(function.name);
    for (const std::int64_t count : {0, 1, 3, 4, 1030}) {
      CAPTURE(count);
      const Values x = arguments(function, count, 1);
      Values expected(x.size());
      function.cpu_forward(expected.data(), x.data(), count);
      const Values y = run_repeatedly([&] {
        const DeviceValues out(x.size()), in(x);
        function.forward(out.data(), in.data(), count);
        return out.values();
      });
      check_close(y, expected, kForwardTolerance);

      const Values dy = random_values(count, 2), before = random_values(count, 3);
      const Values saved = arguments(function, count, 4);
      for (const Write write : {Write::set, Write::add}) {
        expected = before;
        function.cpu_backward(expected.data(), dy.data(), saved.data(), count, write);
        const Values dx = run_repeatedly([&] {
          const DeviceValues out(before), d(dy), s(saved);
          function.backward(out.data(), d.data(), s.data(), count, write);
          return out.values();
        });
        check_close(dx, expected, kGradientTolerance);
      }
    }
  }
}

TEST_CASE("cuda elementwise: in place, and not aligned to Vec4s") {
  const Values x = random_values(200, 1);
  Values expected = x;
  cpu::tanh_forward(expected.data(), expected.data(), 100);
  cpu::exp_forward(expected.data() + 101, expected.data() + 101, 50);
  const Values y = run_repeatedly([&] {
    const DeviceValues out(x);
    cuda::tanh_forward(out.data(), out.data(), 100);
    cuda::exp_forward(out.data() + 101, out.data() + 101, 50);
    return out.values();
  });
  check_close(y, expected, kForwardTolerance);
}

TEST_CASE("cuda elementwise: affine") {
  for (const std::int64_t count : {0, 1, 261}) {
    const Values x = random_values(count, 1), before = random_values(count, 2);
    Values expected(x.size());
    cpu::affine_forward(expected.data(), x.data(), real(0.5), -2, count);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(x.size()), in(x);
      cuda::affine_forward(out.data(), in.data(), real(0.5), -2, count);
      return out.values();
    });
    check_close(y, expected, kForwardTolerance);
    for (const Write write : {Write::set, Write::add}) {
      Values expected_dx = before;
      cpu::affine_backward(expected_dx.data(), x.data(), real(0.5), count, write);
      const Values dx = run_repeatedly([&] {
        const DeviceValues out(before), in(x);
        cuda::affine_backward(out.data(), in.data(), real(0.5), count, write);
        return out.values();
      });
      check_close(dx, expected_dx, kGradientTolerance);
    }
  }
}

TEST_CASE("cuda elementwise: NaN and infinities pass through as on the CPU") {
  const real nan = std::nan(""), infinity = HUGE_VAL;
  const Values x = {nan, infinity, -infinity, 0, real(-0.5), 200, -200};
  for (const Function& function : kFunctions) {
    CAPTURE(function.name);
    Values expected(x.size());
    function.cpu_forward(expected.data(), x.data(), 7);
    const DeviceValues out(x.size()), in(x);
    function.forward(out.data(), in.data(), 7);
    const Values y = out.values();
    for (std::size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      CHECK(std::isnan(y[i]) == std::isnan(expected[i]));
      CHECK(std::isinf(y[i]) == std::isinf(expected[i]));
      if (std::isfinite(expected[i])) CHECK(y[i] == doctest::Approx(expected[i]).epsilon(1e-5));
    }
  }
}

TEST_CASE("cuda elementwise: dropout drops what the CPU drops") {
  const DropoutKey key{0x123456789ABCDEFull, 7, 0x200000003ull};
  for (const double p : {0.0, 0.3, 0.9}) {
    for (const std::int64_t count : {0, 1, 5, 1027}) {
      for (const std::int64_t offset : {0, 1}) {
        CAPTURE(count);
        const Values x = random_values(count + offset, 1);
        const Values before = random_values(count + offset, 2);
        Values expected = before;
        cpu::dropout_forward(expected.data() + offset, x.data() + offset, p, key, count);
        const Values y = run_repeatedly([&] {
          const DeviceValues out(before), in(x);
          cuda::dropout_forward(out.data() + offset, in.data() + offset, p, key, count);
          return out.values();
        });
        CHECK(y == expected);
        for (const Write write : {Write::set, Write::add}) {
          Values expected_dx = before;
          cpu::dropout_backward(expected_dx.data() + offset, x.data() + offset, p, key, count,
                                write);
          const Values dx = run_repeatedly([&] {
            const DeviceValues out(before), in(x);
            cuda::dropout_backward(out.data() + offset, in.data() + offset, p, key, count, write);
            return out.values();
          });
          check_close(dx, expected_dx, kGradientTolerance);
        }
      }
    }
  }
}
