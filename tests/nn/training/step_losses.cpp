// Losses of steps, on a device that runs ahead and on one that does not.

#include "nn/training/step_losses.h"

#include <doctest/doctest.h>

#include <vector>

using namespace serenade;

TEST_CASE("step losses: looked at in their order, on a device one step later") {
  for (const Device device : {Device::cpu, Device::cuda}) {
    std::vector<double> seen;
    StepLosses losses(device, [&](std::int64_t step, double loss, std::int64_t samples) {
      CHECK(step == static_cast<std::int64_t>(seen.size()));
      CHECK(samples == 10 + step);
      seen.push_back(loss);
    });
    const std::size_t late = device == Device::cpu ? 0 : 1;
    for (std::size_t step = 0; step < 4; ++step) {
      losses.add(AsyncScalar(Tensor::scalar(static_cast<real>(step))),
                 10 + static_cast<std::int64_t>(step));
      CHECK(seen.size() == step + 1 - late);
    }
    losses.finish();
    losses.finish();
    CHECK(seen == std::vector<double>{0, 1, 2, 3});
  }
}
