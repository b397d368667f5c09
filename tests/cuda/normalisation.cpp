#include "kernels/normalisation/normalisation.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// One element; below and above a warp and a block; batch, group and instance.
const PlaneNorm kPlanes[] = {{3, 2, 1, 0, real(1e-5)},
                             {2, 4, 33, 2, real(1e-3)},
                             {3, 2, 64, 0, real(1e-5)},
                             {2, 3, 300, 1, real(1e-5)}};
const RowNorm kRows[] = {{1, 1, true, real(1e-5)},
                         {3, 5, true, real(1e-5)},
                         {70, 40, false, real(1e-5)},
                         {2, 300, true, real(1e-5)}};

void append(Values& all, const Values& more) { all.insert(all.end(), more.begin(), more.end()); }

}  // namespace

TEST_CASE("cuda normalisation: planes") {
  for (const PlaneNorm& s : kPlanes) {
    CAPTURE(s.inner);
    CAPTURE(s.group);
    const std::int64_t count = s.N * s.C * s.inner;
    const Values x = random_values(count, 1), dy = random_values(count, 2);
    const Values weight = random_values(s.C, 3), bias = random_values(s.C, 4);
    const Values before = random_values(count, 5), parameters = random_values(s.C, 6);
    const auto sets = static_cast<std::size_t>(s.sets());
    Values y(x.size()), mean(sets), variance(sets);
    cpu::plane_norm_forward(y.data(), mean.data(), variance.data(), x.data(), weight.data(),
                            bias.data(), s);
    Values forward = y;
    append(forward, mean);
    append(forward, variance);
    const Values actual = run_repeatedly([&] {
      const DeviceValues out(x.size()), m(sets), v(sets), in(x), w(weight), b(bias);
      cuda::plane_norm_forward(out.data(), m.data(), v.data(), in.data(), w.data(), b.data(), s);
      Values all = out.values();
      append(all, m.values());
      append(all, v.values());
      return all;
    });
    CHECK(relative_error(actual, forward) < kForwardTolerance);
    for (const bool given : {false, true}) {
      for (const Write write : {Write::set, Write::add}) {
        Values dx = before, dw = parameters, db = parameters;
        cpu::plane_norm_backward(dx.data(), dw.data(), db.data(), dy.data(), x.data(), mean.data(),
                                 variance.data(), weight.data(), s, given, write);
        append(dx, dw);
        append(dx, db);
        const Values gradient = run_repeatedly([&] {
          const DeviceValues a(before), b(parameters), c(parameters), d(dy), in(x), m(mean),
              v(variance), w(weight);
          cuda::plane_norm_backward(a.data(), b.data(), c.data(), d.data(), in.data(), m.data(),
                                    v.data(), w.data(), s, given, write);
          Values all = a.values();
          append(all, b.values());
          append(all, c.values());
          return all;
        });
        CHECK(relative_error(gradient, dx) < kGradientTolerance);
      }
    }
  }
}

TEST_CASE("cuda normalisation: rows") {
  for (const RowNorm& s : kRows) {
    CAPTURE(s.rows);
    CAPTURE(s.size);
    const std::int64_t count = s.rows * s.size;
    const Values x = random_values(count, 1), dy = random_values(count, 2);
    const Values weight = random_values(s.size, 3), bias = random_values(s.size, 4);
    const Values before = random_values(count, 5), parameters = random_values(s.size, 6);
    const auto rows = static_cast<std::size_t>(s.rows);
    Values y(x.size()), mean(rows), variance(rows);
    cpu::row_norm_forward(y.data(), mean.data(), variance.data(), x.data(), weight.data(),
                          bias.data(), s);
    const Values actual = run_repeatedly([&] {
      const DeviceValues out(x.size()), m(rows), v(rows), in(x), w(weight), b(bias);
      cuda::row_norm_forward(out.data(), m.data(), v.data(), in.data(), w.data(), b.data(), s);
      return out.values();
    });
    CHECK(relative_error(actual, y) < kForwardTolerance);
    for (const Write write : {Write::set, Write::add}) {
      Values dx = before, dw = parameters, db = parameters;
      cpu::row_norm_backward(dx.data(), dw.data(), db.data(), dy.data(), x.data(), mean.data(),
                             variance.data(), weight.data(), s, write);
      append(dx, dw);
      append(dx, db);
      const Values gradient = run_repeatedly([&] {
        const DeviceValues a(before), b(parameters), c(parameters), d(dy), in(x), m(mean),
            v(variance), w(weight);
        cuda::row_norm_backward(a.data(), b.data(), c.data(), d.data(), in.data(), m.data(),
                                v.data(), w.data(), s, write);
        Values all = a.values();
        append(all, b.values());
        append(all, c.values());
        return all;
      });
      CHECK(relative_error(gradient, dx) < kGradientTolerance);
    }
  }
}
