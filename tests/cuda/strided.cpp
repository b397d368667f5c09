#include "kernels/runtime/memory.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// Counts around whole Vec4s; 40'000 takes more than one round of the emulated grid's loop.
const std::int64_t kCounts[] = {0, 1, 3, 4, 259, 1024};

struct Strided {
  std::vector<std::int64_t> shape, strides;
  std::int64_t memory;  // elements that the view reaches over
};

// Contiguous, transposed, cut out of wider rows (with and without whole Vec4s), every other
// element, one element, empty, four axes out of order.
const Strided kViews[] = {{{3, 8}, {8, 1}, 24},          {{5, 7}, {1, 5}, 35},
                          {{3, 5}, {12, 1}, 29},         {{3, 8}, {12, 1}, 32},
                          {{6, 5}, {10, 2}, 59},         {{1, 1}, {1, 1}, 1},
                          {{3, 0, 2}, {2, 2, 1}, 1},     {{2, 3, 4, 5}, {1, 2, 30, 6}, 120},
                          {{2, 3, 8}, {64, 16, 1}, 104}, {{3, 8}, {10, 1}, 28}};

int dims_of(const Strided& view) { return static_cast<int>(view.shape.size()); }

std::int64_t count_of(const Strided& view) {
  std::int64_t count = 1;
  for (const std::int64_t size : view.shape) count *= size;
  return count;
}

}  // namespace

TEST_CASE("cuda strided: fill, accumulate, copy") {
  for (const std::int64_t count : kCounts) {
    CAPTURE(count);
    const Values before = random_values(count, 1), source = random_values(count, 2);
    const Values filled = run_repeatedly([&] {
      const DeviceValues y(static_cast<std::size_t>(count));
      cuda::fill(y.data(), real(1.5), count);
      return y.values();
    });
    CHECK(filled == Values(static_cast<std::size_t>(count), real(1.5)));
    const Values copied = run_repeatedly([&] {
      const DeviceValues y(static_cast<std::size_t>(count)), x(source);
      cuda::copy(y.data(), x.data(), count);
      return y.values();
    });
    CHECK(copied == source);
    Values expected = before;
    cpu::accumulate(expected.data(), source.data(), count);
    const Values sums = run_repeatedly([&] {
      const DeviceValues y(before), x(source);
      cuda::accumulate(y.data(), x.data(), count);
      return y.values();
    });
    CHECK(sums == expected);
  }
}

TEST_CASE("cuda strided: arrays not aligned to Vec4s") {
  const Values before = random_values(300, 1), source = random_values(300, 2);
  Values expected = before;
  cpu::copy(expected.data() + 281, source.data() + 4, 12);
  cpu::copy(expected.data() + 296, source.data() + 5, 4);
  cpu::fill(expected.data() + 1, 2, 10);
  cpu::accumulate(expected.data() + 13, source.data() + 2, 101);
  cpu::copy(expected.data() + 150, source.data() + 3, 130);
  const Values actual = run_repeatedly([&] {
    const DeviceValues y(before), x(source);
    cuda::copy(y.data() + 281, x.data() + 4, 12);
    cuda::copy(y.data() + 296, x.data() + 5, 4);
    cuda::fill(y.data() + 1, 2, 10);
    cuda::accumulate(y.data() + 13, x.data() + 2, 101);
    cuda::copy(y.data() + 150, x.data() + 3, 130);
    return y.values();
  });
  CHECK(actual == expected);
}

TEST_CASE("cuda strided: more elements than the grid has threads") {
  const std::int64_t count = 40'003;
  const Values source = random_values(count, 3);
  const DeviceValues x(source), y(static_cast<std::size_t>(count));
  cuda::copy(y.data(), x.data(), count);
  CHECK(y.values() == source);
}

TEST_CASE("cuda strided: gather") {
  for (const Strided& view : kViews) {
    CAPTURE(view.shape.size());
    const Values source = random_values(view.memory + 1, 4);
    for (const std::int64_t offset : {0, 1}) {
      Values expected(static_cast<std::size_t>(count_of(view)));
      cpu::gather_strided(expected.data(), source.data() + offset, view.shape.data(),
                          view.strides.data(), dims_of(view));
      const Values actual = run_repeatedly([&] {
        const DeviceValues y(expected.size()), x(source);
        cuda::gather_strided(y.data(), x.data() + offset, view.shape.data(), view.strides.data(),
                             dims_of(view));
        return y.values();
      });
      CHECK(actual == expected);
    }
  }
}

TEST_CASE("cuda strided: scatter and scatter_add") {
  for (const Strided& view : kViews) {
    CAPTURE(view.shape.size());
    const Values before = random_values(view.memory, 5);
    const Values source = random_values(count_of(view), 6);
    Values expected = before, expected_sum = before;
    cpu::scatter_strided(expected.data(), source.data(), view.shape.data(), view.strides.data(),
                         dims_of(view));
    cpu::scatter_add_strided(expected_sum.data(), source.data(), view.shape.data(),
                             view.strides.data(), dims_of(view));
    const Values actual = run_repeatedly([&] {
      const DeviceValues y(before), x(source);
      cuda::scatter_strided(y.data(), x.data(), view.shape.data(), view.strides.data(),
                            dims_of(view));
      return y.values();
    });
    CHECK(actual == expected);
    const Values sum = run_repeatedly([&] {
      const DeviceValues y(before), x(source);
      cuda::scatter_add_strided(y.data(), x.data(), view.shape.data(), view.strides.data(),
                                dims_of(view));
      return y.values();
    });
    CHECK(sum == expected_sum);
  }
}
