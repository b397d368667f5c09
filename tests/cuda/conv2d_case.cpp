// Steps of the convolution's ladder against the CPU (conv2d_case.h).

#include "tests/cuda/conv2d_case.h"

namespace serenade::test {

namespace {

// Rounding may turn another element of a window into the largest, where two are almost equal.
// `allowed` of the indices may differ.
void check_index(const std::vector<std::uint8_t>& actual, const std::vector<std::uint8_t>& expected,
                 double allowed) {
  std::size_t different = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) different += actual[i] != expected[i];
  CHECK(static_cast<double>(different) <= allowed * static_cast<double>(actual.size()));
}

}  // namespace

void check_steps(const ConvCase& c, const ConvSteps& steps) {
  CAPTURE(text(c));
  const ConvNumbers n(c);
  const DeviceValues x(n.x), weight(n.weight), bias(n.bias), dy(n.dy);
  const DeviceVector<std::uint8_t> winners(n.index);
  const std::int64_t pool_h = c.pooled() ? c.pool_h : 1, pool_w = c.pooled() ? c.pool_w : 1;
  const cuda::ConvSource source{dy.data(), c.pooled() ? winners.data() : nullptr, pool_h, pool_w};
  if (steps.forward != nullptr) {
    std::vector<std::uint8_t> index;
    const Values y = run_repeatedly([&] {
      DeviceValues to(n.y.size());
      DeviceVector<std::uint8_t> to_index(n.index.size());
      steps.forward({to.data(), c.pooled() ? to_index.data() : nullptr, pool_h, pool_w}, x.data(),
                    weight.data(), c.with_bias ? bias.data() : nullptr, c.shape);
      index = to_index.values();
      return to.values();
    });
    CHECK(relative_error(y, n.y) < steps.forward_tolerance);
    check_index(index, n.index, steps.forward_tolerance > 1e-4 ? 0.02 : 0);
  }
  if (steps.backward_input != nullptr) {
    const Values dx = run_repeatedly([&] {
      DeviceValues to(n.dx_before);
      steps.backward_input(to.data(), source, weight.data(), c.shape);
      return to.values();
    });
    CHECK(relative_error(dx, n.dx) < steps.gradient_tolerance);
  }
  if (steps.backward_weight != nullptr) {
    Values dweight = run_repeatedly([&] {
      DeviceValues to(n.dweight_before);
      steps.backward_weight(to.data(), source, x.data(), c.shape);
      return to.values();
    });
    for (std::size_t i = 0; i < dweight.size(); ++i) {
      if (is_unused(c.shape, i)) dweight[i] = n.dweight[i];
    }
    CHECK(relative_error(dweight, n.dweight) < steps.gradient_tolerance);
  }
}

}  // namespace serenade::test
