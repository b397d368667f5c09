#include "kernels/elementwise/reduce.h"

#include "kernels/elementwise/softmax.h"
#include "kernels/pool/pool.h"
#include "kernels/pool/windows.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct AxisShape {
  std::int64_t outer, axis, inner;
  std::int64_t count() const { return outer * axis * inner; }
  std::int64_t lanes() const { return outer * inner; }
};

// Rows of 1 to 32 lanes, of a warp that goes round, of a block; columns; empty.
const AxisShape kShapes[] = {{1, 1, 1},  {3, 1, 1},    {40, 3, 1},  {5, 8, 1},    {3, 33, 1},
                             {1, 70, 1}, {2, 1500, 1}, {3, 5, 7},   {2, 40, 130}, {1, 600, 3},
                             {0, 4, 2},  {2, 4, 0},    {300, 32, 1}};

using AxisForward = void (*)(real*, const real*, std::int64_t, std::int64_t, std::int64_t);
using AxisBackward = void (*)(real*, const real*, const real*, std::int64_t, std::int64_t,
                              std::int64_t);

Values on_device(AxisForward forward, const Values& x, std::int64_t results, const AxisShape& s) {
  return run_repeatedly([&] {
    const DeviceValues y(static_cast<std::size_t>(results)), in(x);
    forward(y.data(), in.data(), s.outer, s.axis, s.inner);
    return y.values();
  });
}

Values with_ties(Values x) {
  for (real& v : x) v = std::round(v);
  return x;
}

}  // namespace

TEST_CASE("cuda reduce: sum") {
  for (const AxisShape& s : kShapes) {
    CAPTURE(s.outer);
    CAPTURE(s.axis);
    CAPTURE(s.inner);
    const Values x = random_values(s.count(), 1), dy = random_values(s.lanes(), 2);
    const real factor = real(0.25);
    Values expected(dy.size()), expected_dx = x;
    cpu::sum_forward(expected.data(), x.data(), factor, s.outer, s.axis, s.inner);
    cpu::sum_backward(expected_dx.data(), dy.data(), factor, s.outer, s.axis, s.inner);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(dy.size()), in(x);
      cuda::sum_forward(out.data(), in.data(), factor, s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(relative_error(y, expected) < kForwardTolerance);
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(x), d(dy);
      cuda::sum_backward(out.data(), d.data(), factor, s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(relative_error(dx, expected_dx) < kGradientTolerance);
  }
}

TEST_CASE("cuda reduce: a sum over nothing is zero") {
  const DeviceValues y(6), x(std::size_t{0});
  cuda::sum_forward(y.data(), x.data(), 1, 2, 0, 3);
  CHECK(y.values() == Values(6, 0));
}

TEST_CASE("cuda reduce: maximum") {
  for (const AxisShape& s : kShapes) {
    CAPTURE(s.outer);
    CAPTURE(s.axis);
    CAPTURE(s.inner);
    Values x = with_ties(random_values(s.count(), 1));
    if (x.size() > 6) x[6] = static_cast<real>(std::nan(""));
    const Values dy = random_values(s.lanes(), 2), before = random_values(s.count(), 3);
    Values expected(dy.size()), expected_dx = before;
    cpu::max_forward(expected.data(), x.data(), s.outer, s.axis, s.inner);
    cpu::max_backward(expected_dx.data(), dy.data(), x.data(), expected.data(), s.outer, s.axis,
                      s.inner);
    Values y = run_repeatedly([&] {
      const DeviceValues out(dy.size()), in(x);
      cuda::max_forward(out.data(), in.data(), s.outer, s.axis, s.inner);
      return out.values();
    });
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK((y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]))));
    }
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(before), d(dy), in(x), best(expected);
      cuda::max_backward(out.data(), d.data(), in.data(), best.data(), s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(dx == expected_dx);
  }
}

TEST_CASE("cuda reduce: running sums") {
  for (const AxisShape& s : kShapes) {
    CAPTURE(s.outer);
    CAPTURE(s.axis);
    CAPTURE(s.inner);
    const Values x = random_values(s.count(), 1), before = random_values(s.count(), 3);
    Values expected(x.size()), expected_dx = before;
    cpu::cumsum_forward(expected.data(), x.data(), s.outer, s.axis, s.inner);
    cpu::cumsum_backward(expected_dx.data(), x.data(), s.outer, s.axis, s.inner);
    CHECK(on_device(cuda::cumsum_forward, x, s.count(), s) == expected);
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(before), d(x);
      cuda::cumsum_backward(out.data(), d.data(), s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(dx == expected_dx);
  }
}

TEST_CASE("cuda reduce: of equal values the first gets the gradient") {
  for (const AxisShape& s : {AxisShape{2, 5, 1}, AxisShape{2, 1500, 1}, AxisShape{2, 5, 2}}) {
    const auto lanes = static_cast<std::size_t>(s.lanes());
    const Values x(static_cast<std::size_t>(s.count()), 3), y(lanes, 3), dy(lanes, 1);
    Values expected(x.size());
    cpu::max_backward(expected.data(), dy.data(), x.data(), y.data(), s.outer, s.axis, s.inner);
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(Values(x.size(), 0)), d(dy), in(x), best(y);
      cuda::max_backward(out.data(), d.data(), in.data(), best.data(), s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(dx == expected);
  }
}

TEST_CASE("cuda reduce: softmax and its logarithm") {
  const AxisForward forward[][2] = {{cpu::softmax_forward, cuda::softmax_forward},
                                    {cpu::log_softmax_forward, cuda::log_softmax_forward}};
  const AxisBackward backward[][2] = {{cpu::softmax_backward, cuda::softmax_backward},
                                      {cpu::log_softmax_backward, cuda::log_softmax_backward}};
  for (const AxisShape& s : kShapes) {
    CAPTURE(s.outer);
    CAPTURE(s.axis);
    CAPTURE(s.inner);
    const Values x = random_values(s.count(), 1), dy = random_values(s.count(), 2);
    const Values before = random_values(s.count(), 3);
    for (int op = 0; op < 2; ++op) {
      CAPTURE(op);
      Values y(x.size()), expected_dx = before;
      forward[op][0](y.data(), x.data(), s.outer, s.axis, s.inner);
      CHECK(relative_error(on_device(forward[op][1], x, s.count(), s), y) < kForwardTolerance);
      backward[op][0](expected_dx.data(), dy.data(), y.data(), s.outer, s.axis, s.inner);
      const Values dx = run_repeatedly([&] {
        const DeviceValues out(before), d(dy), saved(y);
        backward[op][1](out.data(), d.data(), saved.data(), s.outer, s.axis, s.inner);
        return out.values();
      });
      CHECK(relative_error(dx, expected_dx) < kGradientTolerance);
    }
  }
}

TEST_CASE("cuda reduce: softmax in place, of large values, of NaN") {
  for (const AxisShape& s : {AxisShape{2, 9, 1}, AxisShape{1, 1100, 1}, AxisShape{2, 9, 3}}) {
    Values x = random_values(s.count(), 1);
    for (real& v : x) v = v * 300 + 10'000;
    Values expected(x.size());
    cpu::softmax_forward(expected.data(), x.data(), s.outer, s.axis, s.inner);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(x);
      cuda::softmax_forward(out.data(), out.data(), s.outer, s.axis, s.inner);
      return out.values();
    });
    CHECK(relative_error(y, expected) < kForwardTolerance);
    x[static_cast<std::size_t>(s.inner)] = static_cast<real>(std::nan(""));
    const DeviceValues out(x);
    cuda::log_softmax_forward(out.data(), out.data(), s.outer, s.axis, s.inner);
    const Values spoilt = out.values();
    for (std::int64_t k = 0; k < s.axis; ++k) {
      CHECK(std::isnan(spoilt[static_cast<std::size_t>(k * s.inner)]));
    }
    if (s.outer > 1) CHECK(std::isfinite(spoilt.back()));
  }
}

TEST_CASE("cuda pool: forward and backward") {
  // Whole Vec4s of columns, ragged ones, general windows, rows and columns left over, no window.
  const PoolShape shapes[] = {{1, 1, 1, 1, 1}, {3, 9, 8, 2, 1},   {2, 8, 7, 4, 1}, {3, 7, 9, 2, 2},
                              {2, 6, 8, 3, 4}, {2, 12, 36, 5, 1}, {2, 3, 8, 4, 1}};
  for (const PoolShape& s : shapes) {
    CAPTURE(s.width);
    CAPTURE(s.window_h);
    CAPTURE(s.window_w);
    Values x = with_ties(random_values(s.planes * s.height * s.width, 1));
    const auto results = static_cast<std::size_t>(s.planes * s.out_h() * s.out_w());
    const Values before = random_values(static_cast<std::int64_t>(x.size()), 2);
    const Values dy = random_values(static_cast<std::int64_t>(results), 3);
    for (const std::int64_t at : {std::int64_t{5}, s.width + 1, 3 * s.width}) {
      if (at < s.height * s.width)
        x[static_cast<std::size_t>(at)] = static_cast<real>(std::nan(""));
    }
    Values expected(results), expected_dx = before;
    std::vector<std::int32_t> index(results);
    cpu::max_pool2d_forward(expected.data(), index.data(), x.data(), s);
    cpu::max_pool2d_backward(expected_dx.data(), dy.data(), index.data(), s);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(results), in(x);
      const DeviceVector<std::int32_t> places(results);
      cuda::max_pool2d_forward(out.data(), places.data(), in.data(), s);
      CHECK(places.values() == index);
      return out.values();
    });
    for (std::size_t i = 0; i < results; ++i) {
      CHECK((y[i] == expected[i] || (std::isnan(y[i]) && std::isnan(expected[i]))));
    }
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(before), d(dy);
      const DeviceVector<std::int32_t> places(index);
      cuda::max_pool2d_backward(out.data(), d.data(), places.data(), s);
      return out.values();
    });
    CHECK(dx == expected_dx);
  }
}

TEST_CASE("cuda pool: windows of every kind") {
  const auto axis = [](std::int64_t size, std::int64_t window, std::int64_t stride,
                       std::int64_t padding, std::int64_t dilation) -> WindowAxis {
    const std::int64_t reach = dilation * (window - 1) + 1;
    return {size, (size + 2 * padding - reach) / stride + 1, window, stride, padding, dilation};
  };
  const WindowShape shapes[] = {
      {2, axis(5, 3, 1, 1, 1), axis(9, 3, 1, 1, 1), true},
      {3, axis(6, 2, 3, 0, 1), axis(7, 4, 2, 2, 1), false},
      {1, axis(8, 3, 1, 2, 2), axis(40, 1, 1, 0, 1), true},
      {2, {.size = 5, .out = 3, .window = 0}, {.size = 7, .out = 9, .window = 0}, false}};
  for (const WindowShape& s : shapes) {
    CAPTURE(s.rows.window);
    const auto results = static_cast<std::size_t>(s.planes * s.rows.out * s.columns.out);
    const Values x = with_ties(random_values(s.planes * s.rows.size * s.columns.size, 1));
    const Values before = random_values(static_cast<std::int64_t>(x.size()), 2);
    const Values dy = random_values(static_cast<std::int64_t>(results), 3);
    Values largest(results), largest_dx = before, mean(results), mean_dx = before;
    std::vector<std::int32_t> index(results);
    cpu::window_max_forward(largest.data(), index.data(), x.data(), s);
    cpu::window_max_backward(largest_dx.data(), dy.data(), index.data(), s);
    CHECK(run_repeatedly([&] {
            const DeviceValues out(results), in(x);
            const DeviceVector<std::int32_t> places(results);
            cuda::window_max_forward(out.data(), places.data(), in.data(), s);
            CHECK(places.values() == index);
            return out.values();
          }) == largest);
    const Values dx = run_repeatedly([&] {
      const DeviceValues out(before), d(dy);
      const DeviceVector<std::int32_t> places(index);
      cuda::window_max_backward(out.data(), d.data(), places.data(), s);
      return out.values();
    });
    CHECK(relative_error(dx, largest_dx) < kGradientTolerance);
    if (s.rows.dilation > 1) continue;
    cpu::window_mean_forward(mean.data(), x.data(), s);
    cpu::window_mean_backward(mean_dx.data(), dy.data(), s);
    const Values y = run_repeatedly([&] {
      const DeviceValues out(results), in(x);
      cuda::window_mean_forward(out.data(), in.data(), s);
      return out.values();
    });
    CHECK(relative_error(y, mean) < kForwardTolerance);
    const Values dmean = run_repeatedly([&] {
      const DeviceValues out(before), d(dy);
      cuda::window_mean_backward(out.data(), d.data(), s);
      return out.values();
    });
    CHECK(relative_error(dmean, mean_dx) < kGradientTolerance);
  }
}
