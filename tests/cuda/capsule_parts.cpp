#include "kernels/capsule/squash.h"
#include "kernels/capsule/unfold.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Capsules {
  std::int64_t count, size;
  std::int64_t elements() const { return count * size; }
};

// Groups of 1 to 32 lanes, idle lanes, capsules longer than a warp, several blocks, several rounds
// of their loop.
const Capsules kCapsules[] = {{1, 1}, {3, 5}, {70, 8}, {9, 16}, {3, 45}, {0, 8}, {2, 0}, {1100, 8}};

// The first capsule is the zero vector.
Values capsules_of(const Capsules& c, std::uint64_t seed) {
  Values v = random_values(c.elements(), seed);
  for (std::int64_t k = 0; k < c.size && c.count > 1; ++k) v[static_cast<std::size_t>(k)] = 0;
  return v;
}

using Compute = std::function<void(real* result)>;

void check_overwritten(std::int64_t count, const Compute& on_cpu, const Compute& on_device) {
  Values expected(static_cast<std::size_t>(count));
  on_cpu(expected.data());
  const Values actual = run_repeatedly([&] {
    const DeviceValues result(expected.size());
    on_device(result.data());
    return result.values();
  });
  CHECK(relative_error(actual, expected) < kForwardTolerance);
}

void check_added(std::int64_t count, const Compute& on_cpu, const Compute& on_device) {
  const Values before = random_values(count, 99);
  Values expected = before;
  on_cpu(expected.data());
  const Values actual = run_repeatedly([&] {
    const DeviceValues result(before);
    on_device(result.data());
    return result.values();
  });
  CHECK(relative_error(actual, expected) < kGradientTolerance);
}

}  // namespace

TEST_CASE("cuda capsule parts: squash") {
  for (const Capsules& c : kCapsules) {
    CAPTURE(c.count);
    CAPTURE(c.size);
    const Values s = capsules_of(c, 1), dv = random_values(c.elements(), 2);
    const DeviceValues s_device(s), dv_device(dv);
    check_overwritten(
        c.elements(), [&](real* v) { cpu::squash_forward(v, s.data(), c.count, c.size); },
        [&](real* v) { cuda::squash_forward(v, s_device.data(), c.count, c.size); });
    check_added(
        c.elements(),
        [&](real* ds) { cpu::squash_backward(ds, dv.data(), s.data(), c.count, c.size); },
        [&](real* ds) {
          cuda::squash_backward(ds, dv_device.data(), s_device.data(), c.count, c.size);
        });
  }
}

TEST_CASE("cuda capsule parts: norms") {
  for (const Capsules& c : kCapsules) {
    CAPTURE(c.count);
    CAPTURE(c.size);
    const Values v = capsules_of(c, 1), dnorms = random_values(c.count, 2);
    const DeviceValues v_device(v), d_device(dnorms);
    check_overwritten(
        c.count, [&](real* y) { cpu::capsule_norm_forward(y, v.data(), c.count, c.size); },
        [&](real* y) { cuda::capsule_norm_forward(y, v_device.data(), c.count, c.size); });
    check_added(
        c.elements(),
        [&](real* dv) { cpu::capsule_norm_backward(dv, dnorms.data(), v.data(), c.count, c.size); },
        [&](real* dv) {
          cuda::capsule_norm_backward(dv, d_device.data(), v_device.data(), c.count, c.size);
        });
  }
}

TEST_CASE("cuda capsule parts: rows followed by their norms") {
  for (const Capsules& c : kCapsules) {
    for (const std::int64_t rows : {1, 5}) {
      CAPTURE(c.count);
      CAPTURE(c.size);
      const std::int64_t values = rows * c.elements(), all = values + rows * c.count;
      const Values v = random_values(values, 1), dy = random_values(all, 2);
      const DeviceValues v_device(v), dy_device(dy);
      check_overwritten(
          all, [&](real* y) { cpu::append_norms_forward(y, v.data(), rows, c.count, c.size); },
          [&](real* y) { cuda::append_norms_forward(y, v_device.data(), rows, c.count, c.size); });
      check_added(
          values,
          [&](real* dv) {
            cpu::append_norms_backward(dv, dy.data(), v.data(), rows, c.count, c.size);
          },
          [&](real* dv) {
            cuda::append_norms_backward(dv, dy_device.data(), v_device.data(), rows, c.count,
                                        c.size);
          });
    }
  }
}

TEST_CASE("cuda capsule parts: unfold") {
  // Overlapping, side by side, with gaps, past the end, wholly past the end, one step, no steps.
  const UnfoldShape shapes[] = {{2, 3, 20, 6, 5, 3}, {1, 2, 12, 3, 4, 4}, {2, 2, 20, 3, 4, 7},
                                {2, 5, 9, 4, 5, 2},  {1, 2, 4, 4, 3, 3},  {1, 1, 1, 1, 1, 1},
                                {1, 2, 0, 2, 3, 1},  {0, 2, 5, 2, 3, 1}};
  for (const UnfoldShape& s : shapes) {
    CAPTURE(s.steps);
    CAPTURE(s.step);
    const std::int64_t count = s.samples * s.rows * s.steps;
    const std::int64_t results = s.samples * s.count * s.rows * s.size;
    const Values x = random_values(count, 1), dy = random_values(results, 2);
    const DeviceValues x_device(x), dy_device(dy);
    check_overwritten(
        results, [&](real* y) { cpu::unfold_forward(y, x.data(), s); },
        [&](real* y) { cuda::unfold_forward(y, x_device.data(), s); });
    check_added(
        count, [&](real* dx) { cpu::unfold_backward(dx, dy.data(), s); },
        [&](real* dx) { cuda::unfold_backward(dx, dy_device.data(), s); });
  }
}
