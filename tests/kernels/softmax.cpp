// Softmax and its logarithm in use against their definition, for every instruction set.

#include "kernels/elementwise/softmax.h"
#include "kernels/runtime/threads.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "tests/golden.h"
#include "tests/kernels/isa.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

constexpr double kTolerance = sizeof(real) == 8 ? 1e-14 : 2e-6;

struct Sizes {
  std::int64_t outer, axis, inner;
  Shape shape() const { return {outer, axis, inner}; }
  std::int64_t count() const { return outer * axis * inner; }
};

/// The axis last and in the middle; one, below, at and above a vector of any width.
const std::vector<Sizes> kSizes = {{1, 1, 1},  {3, 1, 5},    {5, 4, 1},   {7, 16, 1},
                                   {3, 33, 1}, {200, 64, 1}, {2, 5, 3},   {4, 9, 16},
                                   {3, 7, 37}, {1, 1000, 1}, {1, 300, 70}};

/// Gradients by their formulas, from the definition's values: dx + 1.
Tensor softmax_gradient(const Tensor& dy, const Tensor& y, const Sizes& s, bool logarithm) {
  Tensor dx = Tensor::ones(s.shape());
  for (std::int64_t lane = 0; lane < s.outer * s.inner; ++lane) {
    const std::int64_t start = lane / s.inner * s.axis * s.inner + lane % s.inner;
    double total = 0;
    for (std::int64_t k = 0; k < s.axis; ++k) {
      const std::int64_t at = start + k * s.inner;
      total += double(dy.data()[at]) * (logarithm ? 1 : double(y.data()[at]));
    }
    for (std::int64_t k = 0; k < s.axis; ++k) {
      const std::int64_t at = start + k * s.inner;
      const double d = double(dy.data()[at]), v = double(y.data()[at]);
      dx.data()[at] += real(logarithm ? d - std::exp(v) * total : v * (d - total));
    }
  }
  return dx;
}

}  // namespace

TEST_CASE("softmax in use agrees with its definition, forward and backward") {
  for_each_isa([] {
    for (const Sizes& s : kSizes) {
      INFO("axis ", s.axis, " inner ", s.inner);
      const Tensor x = random_tensor(s.shape(), 1, 3), dy = random_tensor(s.shape(), 2);
      Tensor y = Tensor::empty(s.shape()), expected = Tensor::empty(s.shape());
      cpu::softmax_forward(y.data(), x.data(), s.outer, s.axis, s.inner);
      cpu::softmax_forward_v0_plain(expected.data(), x.data(), s.outer, s.axis, s.inner);
      check_close(y, expected, "softmax", kTolerance);
      Tensor dx = Tensor::ones(s.shape());
      cpu::softmax_backward(dx.data(), dy.data(), y.data(), s.outer, s.axis, s.inner);
      check_close(dx, softmax_gradient(dy, expected, s, false), "gradient", kTolerance);

      cpu::log_softmax_forward(y.data(), x.data(), s.outer, s.axis, s.inner);
      cpu::log_softmax_forward_v0_plain(expected.data(), x.data(), s.outer, s.axis, s.inner);
      check_close(y, expected, "logarithm", kTolerance);
      dx = Tensor::ones(s.shape());
      cpu::log_softmax_backward(dx.data(), dy.data(), y.data(), s.outer, s.axis, s.inner);
      check_close(dx, softmax_gradient(dy, expected, s, true), "its gradient", 4 * kTolerance);
    }
  });
}

TEST_CASE("softmax may overwrite its input, and touches nothing beyond it") {
  for_each_isa([] {
    for (const Sizes& s : kSizes) {
      Tensor x = random_tensor({s.count() + 1}, 3);
      x.data()[s.count()] = 42;
      Tensor apart = Tensor::empty({s.count()});
      cpu::softmax_forward(apart.data(), x.data(), s.outer, s.axis, s.inner);
      cpu::softmax_forward(x.data(), x.data(), s.outer, s.axis, s.inner);
      check_close(x.slice(0, 0, s.count()), apart, "in place", 0);
      CHECK(x.data()[s.count()] == 42);
    }
  });
}

TEST_CASE("softmax: huge values do not overflow, infinity masks, NaN is seen in its lane only") {
  const real infinity = std::numeric_limits<real>::infinity();
  for_each_isa([&] {
    for (const std::int64_t inner : {1, 3}) {
      Tensor x = Tensor({2, 19, inner});
      const auto at = [&](std::int64_t o, std::int64_t k) { return (o * 19 + k) * inner; };
      x.data()[at(0, 5)] = 30000;
      x.data()[at(0, 18)] = -infinity;
      x.data()[at(1, 17)] = NAN;
      Tensor y = Tensor::empty(x.shape());
      cpu::softmax_forward(y.data(), x.data(), 2, 19, inner);
      CHECK(y.data()[at(0, 5)] == 1);
      CHECK(y.data()[at(0, 0)] == 0);
      CHECK(y.data()[at(0, 18)] == 0);
      for (std::int64_t k = 0; k < 19; ++k) CHECK(std::isnan(y.data()[at(1, k)]));
      if (inner > 1) CHECK(double(y.data()[at(1, 0) + 1]) == doctest::Approx(1.0 / 19));
      cpu::log_softmax_forward(y.data(), x.data(), 2, 19, inner);
      CHECK(y.data()[at(0, 5)] == 0);
      CHECK(y.data()[at(0, 0)] == -30000);
      CHECK(y.data()[at(0, 18)] == -infinity);
      for (std::int64_t k = 0; k < 19; ++k) CHECK(std::isnan(y.data()[at(1, k)]));
    }
  });
}

TEST_CASE("softmax gives the same bits with one thread and with two") {
  const int before = cpu::thread_count();
  for (const Sizes& s : {Sizes{9, 11, 700}, Sizes{3000, 64, 1}}) {
    const Tensor x = random_tensor(s.shape(), 6);
    const auto run = [&](int threads) {
      cpu::set_threads(threads);
      Tensor y = Tensor::empty(x.shape()), dx(x.shape());
      cpu::log_softmax_forward(y.data(), x.data(), s.outer, s.axis, s.inner);
      cpu::log_softmax_backward(dx.data(), x.data(), y.data(), s.outer, s.axis, s.inner);
      cpu::softmax_forward(y.data(), x.data(), s.outer, s.axis, s.inner);
      cpu::softmax_backward(dx.data(), x.data(), y.data(), s.outer, s.axis, s.inner);
      return dx.to_vector();
    };
    CHECK(run(1) == run(2));
  }
  cpu::set_threads(before);
}
