#include "kernels/elementwise/elementwise.h"
#include "tests/cuda/device_case.h"

using namespace serenade;
using namespace serenade::test;

namespace {

struct Case {
  const char* what;
  std::vector<std::int64_t> shape, stride_a, stride_b;

  Broadcast broadcast() const {
    Broadcast s;
    s.dims = static_cast<int>(shape.size());
    for (int axis = 0; axis < s.dims; ++axis) {
      const auto i = static_cast<std::size_t>(axis);
      s.shape[axis] = shape[i];
      s.stride_a[axis] = stride_a[i];
      s.stride_b[axis] = stride_b[i];
    }
    return s;
  }
};

// Elements from the first to the last that are reached.
std::int64_t reach(const Broadcast& s, const std::int64_t* strides) {
  std::int64_t last = 0;
  for (int axis = 0; axis < s.dims; ++axis) last += (s.shape[axis] - 1) * strides[axis];
  return last + 1;
}

// Each kernel of the sums: rows with and without Vec4s, groups of 1 to 32 lanes, one chunk and
// many; columns narrow and wide, alone and many chunks; nothing repeated.
const Case kCases[] = {
    {"one element", {1}, {1}, {1}},
    {"the same shape", {1030}, {1}, {1}},
    {"a number b", {261}, {1}, {0}},
    {"a number a", {260}, {0}, {1}},
    {"a number a, in chunks", {5000}, {0}, {1}},
    {"a bias per channel", {2, 3, 20}, {60, 20, 1}, {0, 1, 0}},
    {"a bias per channel as a", {2, 3, 20}, {0, 1, 0}, {60, 20, 1}},
    {"rows of no whole Vec4s", {3, 4, 7}, {0, 1, 0}, {28, 7, 1}},
    {"a bias per column", {6, 33}, {33, 1}, {0, 1}},
    {"a bias per column as a", {6, 33}, {0, 1}, {33, 1}},
    {"a bias of 8 columns, in chunks", {700, 8}, {0, 1}, {8, 1}},
    {"a wide bias over two axes", {2, 300, 3}, {0, 3, 1}, {3, 0, 1}},
    {"an outer product", {5, 12}, {1, 0}, {0, 1}},
    {"an outer product turned", {5, 12}, {0, 1}, {1, 0}},
    {"b cut out of wider rows", {5, 8}, {8, 1}, {12, 1}},
    {"b cut out, its rows no whole Vec4s", {5, 8}, {0, 1}, {10, 1}},
    {"b cut out, a repeated along its rows", {5, 8}, {1, 0}, {10, 1}},
    {"four axes, every other repeated", {2, 3, 4, 5}, {4, 0, 1, 0}, {0, 5, 0, 1}},
    {"short rows", {40, 3}, {1, 0}, {0, 1}},
    {"more rows than the grid's loop takes in one turn", {2500, 16}, {1, 0}, {16, 1}},
    {"channels in chunks that cross rows", {4, 3, 700}, {0, 1, 0}, {2100, 700, 1}},
    {"the same without whole Vec4s", {4, 3, 301}, {0, 1, 0}, {903, 301, 1}},
};

using Forward = void (*)(real*, const real*, const real*, const Broadcast&);

struct Operands {
  Values a, b, dy;
  explicit Operands(const Broadcast& s)
      : a(random_values(reach(s, s.stride_a), 1)),
        b(random_values(reach(s, s.stride_b), 2)),
        dy(random_values(s.count(), 3)) {
    for (real& v : b) v = v < 0 ? v - real(0.5) : v + real(0.5);  // divided by
  }
};

using Compute = std::function<void(real* result, const real* a, const real* b, const real* dy)>;

// Both sides of a gradient that is added to `before`.
void check_gradient(const Operands& x, const Values& before, const Compute& on_cpu,
                    const Compute& on_device) {
  Values expected = before;
  on_cpu(expected.data(), x.a.data(), x.b.data(), x.dy.data());
  const Values actual = run_repeatedly([&] {
    const DeviceValues result(before), a(x.a), b(x.b), dy(x.dy);
    on_device(result.data(), a.data(), b.data(), dy.data());
    return result.values();
  });
  CHECK(relative_error(actual, expected) < kGradientTolerance);
}

}  // namespace

TEST_CASE("cuda broadcast: forward") {
  const Forward on_cpu[] = {cpu::add_forward, cpu::sub_forward, cpu::mul_forward, cpu::div_forward};
  const Forward on_device[] = {cuda::add_forward, cuda::sub_forward, cuda::mul_forward,
                               cuda::div_forward};
  for (const Case& c : kCases) {
    CAPTURE(c.what);
    const Broadcast s = c.broadcast();
    const Operands x(s);
    for (int op = 0; op < 4; ++op) {
      CAPTURE(op);
      Values expected(x.dy.size());
      on_cpu[op](expected.data(), x.a.data(), x.b.data(), s);
      const Values actual = run_repeatedly([&] {
        const DeviceValues y(expected.size()), a(x.a), b(x.b);
        on_device[op](y.data(), a.data(), b.data(), s);
        return y.values();
      });
      CHECK(relative_error(actual, expected) < kForwardTolerance);
    }
  }
}

TEST_CASE("cuda broadcast: forward in place") {
  const Case c{"", {4, 9}, {9, 1}, {0, 1}};
  const Broadcast s = c.broadcast();
  const Operands x(s);
  Values expected = x.a, other = x.a;
  cpu::mul_forward(expected.data(), expected.data(), x.b.data(), s);
  cpu::sub_forward(other.data(), x.b.data(), other.data(), s.swapped());
  const Values actual = run_repeatedly([&] {
    const DeviceValues y(x.a), b(x.b);
    cuda::mul_forward(y.data(), y.data(), b.data(), s);
    return y.values();
  });
  CHECK(relative_error(actual, expected) < kForwardTolerance);
  const Values turned = run_repeatedly([&] {
    const DeviceValues y(x.a), b(x.b);
    cuda::sub_forward(y.data(), b.data(), y.data(), s.swapped());
    return y.values();
  });
  CHECK(relative_error(turned, other) < kForwardTolerance);
}

TEST_CASE("cuda broadcast: backward of operand a") {
  for (const Case& c : kCases) {
    CAPTURE(c.what);
    const Broadcast s = c.broadcast();
    const Operands x(s);
    const Values before = random_values(reach(s, s.stride_a), 4);
    for (const Write write : {Write::set, Write::add}) {
      check_gradient(
          x, before,
          [&](real* d, const real*, const real*, const real* dy) {
            cpu::add_backward(d, dy, real(-0.5), s, write);
          },
          [&](real* d, const real*, const real*, const real* dy) {
            cuda::add_backward(d, dy, real(-0.5), s, write);
          });
      check_gradient(
          x, before,
          [&](real* d, const real*, const real* b, const real* dy) {
            cpu::mul_backward(d, dy, b, s, write);
          },
          [&](real* d, const real*, const real* b, const real* dy) {
            cuda::mul_backward(d, dy, b, s, write);
          });
      check_gradient(
          x, before,
          [&](real* d, const real*, const real* b, const real* dy) {
            cpu::div_backward_numerator(d, dy, b, s, write);
          },
          [&](real* d, const real*, const real* b, const real* dy) {
            cuda::div_backward_numerator(d, dy, b, s, write);
          });
    }
  }
}

TEST_CASE("cuda broadcast: backward of the denominator") {
  for (const Case& c : kCases) {
    if (std::string(c.what).find("cut out") != std::string::npos) continue;  // db has no gaps
    CAPTURE(c.what);
    const Broadcast s = c.broadcast();
    const Operands x(s);
    for (const Write write : {Write::set, Write::add}) {
      check_gradient(
          x, random_values(reach(s, s.stride_b), 4),
          [&](real* d, const real* a, const real* b, const real* dy) {
            cpu::div_backward_denominator(d, dy, a, b, s, write);
          },
          [&](real* d, const real* a, const real* b, const real* dy) {
            cuda::div_backward_denominator(d, dy, a, b, s, write);
          });
    }
  }
}

TEST_CASE("cuda broadcast: an empty result") {
  const Case c{"", {3, 0}, {0, 1}, {0, 1}};
  const Broadcast s = c.broadcast();
  cuda::add_forward(nullptr, nullptr, nullptr, s);
  cuda::add_backward(nullptr, nullptr, 1, s, Write::add);
  cuda::mul_backward(nullptr, nullptr, nullptr, s, Write::set);
  cuda::div_backward_denominator(nullptr, nullptr, nullptr, nullptr, s, Write::add);
}
