// What happens on the device without the host looking: losses are fetched late, and a
// non-finite one stops all updates there and then.

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/supernet_search.h"
#include "nn/async_scalar.h"
#include "nn/captured_step.h"
#include "nn/linear.h"
#include "nn/optim.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

SearchSpace space() { return {{{.name = "layer", .candidates = {"2", "3"}, .kind = "width"}}}; }

struct Supernet : Module {
  std::unique_ptr<Layer> layer;
  Supernet() {
    Builder builder(space());
    layer = builder.choose("layer", {.in_channels = 4});
    register_module("layer", *layer);
  }
};

Variable loss_of(Supernet& net, const Variable& x, real factor) {
  const Variable y = net.layer->forward(x);
  return affine(mean(y * y), factor);
}

}  // namespace

TEST_CASE("device: an asynchronous scalar is what the device had when it was requested") {
  Tensor x = Tensor::from({2}, {1}, Device::cuda);
  const AsyncScalar before(x);
  x.copy_(Tensor::from({3}, {1}, Device::cuda));
  const AsyncScalar after(x), forgotten(x);
  CHECK(after.get() == 3);
  CHECK(before.get() == 2);
  CHECK(before.get() == 2);
}

TEST_CASE("device: a non-finite loss stops a search, and nothing has changed") {
  for (const std::string mode : {"joint", "dropout"}) {
    Supernet net;
    net.to(Device::cuda);
    const Variable x(random_tensor({5, 4}, 1).to(Device::cuda));
    const auto method = make_one_shot(mode, space(), {});
    SupernetSearch search(net, *method);
    search.weight_step([&] { return loss_of(net, x, 1); });
    const StateDict good = net.state_dict();
    const std::vector<real> weights = good.at("layer.ops.1.weight").to_vector();
    const auto keep_stepping = [&] {
      search.weight_step([&] { return loss_of(net, x, std::numeric_limits<real>::infinity()); });
      search.weight_step([&] { return loss_of(net, x, 1); });
      if (mode == "dropout") search.architecture_step([&] { return loss_of(net, x, 1); });
      search.end_epoch();
    };
    CHECK_THROWS_WITH_AS(keep_stepping(), doctest::Contains("in step 1"), NonFiniteLoss);
    for (const auto& [name, tensor] : net.state_dict()) {
      CAPTURE(name);
      for (const real value : tensor.to_vector()) CHECK(std::isfinite(value));
    }
    CHECK(net.state_dict().at("layer.ops.1.weight").to_vector() == weights);
  }
}

TEST_CASE("device: a captured step with its update is that of the CPU") {
  std::vector<real> results[2];
  for (const Device device : {Device::cpu, Device::cuda}) {
    manual_seed(3);
    Linear layer({.in_features = 4, .out_features = 3});
    layer.to(device);
    const Variable x(random_tensor({5, 4}, 1).to(device));
    Adam adam(layer.named_parameters(), {});
    NonFiniteGuard guard(device);
    CapturedStep captured(device);
    for (int step = 0; step < 3; ++step) {
      adam.zero_grad();
      captured.run([&] {
        const Variable y = layer.forward(x), loss = mean(y * y);
        backward(loss);
        guard.watch(loss);
        adam.step(guard);
      });
    }
    CHECK_FALSE(guard.stopped());
    results[device == Device::cpu ? 0 : 1] = layer.weight.value().to_vector();
  }
  REQUIRE(results[0].size() == results[1].size());
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    CHECK(results[1][i] == doctest::Approx(results[0][i]).epsilon(1e-9));
  }
}
