#include "kernels/elementwise/index.h"

#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

// Rows and columns, an element that all name, nothing chosen, nothing to choose from beside it.
const IndexShape kShapes[] = {{1, 1, 1, 1},  {1, 9, 70, 20}, {3, 5, 1, 7},
                              {2, 4, 3, 40}, {2, 3, 2, 0},   {0, 3, 2, 4}};

using Kernel = void (*)(real*, const real*, const std::int64_t*, const IndexShape&);

// What the device adds to `before`, or writes, is bit for bit what the host does.
void check_same(Kernel on_host, Kernel on_device, std::int64_t results, const Values& x,
                const std::vector<std::int64_t>& indices, const IndexShape& s) {
  const Values before = random_values(results, 4);
  Values expected = before;
  on_host(expected.data(), x.data(), indices.data(), s);
  const Values y = run_repeatedly([&] {
    const DeviceValues out(before), in(x);
    on_device(out.data(), in.data(), indices.data(), s);
    return out.values();
  });
  CHECK(y == expected);
}

}  // namespace

TEST_CASE("cuda index: rows, elements, and what is added back to them") {
  for (const IndexShape& s : kShapes) {
    CAPTURE(s.count);
    CAPTURE(s.inner);
    const std::int64_t whole = s.outer * s.axis * s.inner, chosen = s.outer * s.count * s.inner;
    const Values x = random_values(whole, 1), dy = random_values(chosen, 2);
    std::vector<std::int64_t> rows, elements;
    for (std::int64_t k = 0; k < s.count; ++k) rows.push_back(k * k % s.axis);
    for (std::int64_t k = 0; k < chosen; ++k) elements.push_back(k * k % s.axis);
    check_same(cpu::index_select_forward, cuda::index_select_forward, chosen, x, rows, s);
    check_same(cpu::index_select_backward, cuda::index_select_backward, whole, dy, rows, s);
    check_same(cpu::gather_forward, cuda::gather_forward, chosen, x, elements, s);
    check_same(cpu::gather_add, cuda::gather_add, chosen, x, elements, s);
    check_same(cpu::scatter_add, cuda::scatter_add, whole, dy, elements, s);
  }
}
