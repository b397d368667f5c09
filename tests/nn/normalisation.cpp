// Layers that normalise: parameters, buffers, what training moves, what evaluation takes.

#include "nn/normalisation.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "autograd/gradcheck.h"
#include "nn/checkpoint.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

std::vector<std::string> names_of(const NamedParameters& all) {
  std::vector<std::string> names;
  for (const auto& [name, variable] : all) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("batch norm: parameters and buffers, training and evaluation") {
  BatchNorm2d layer({.num_features = 3, .momentum = 1});
  CHECK(names_of(layer.named_parameters()) == std::vector<std::string>{"weight", "bias"});
  CHECK(names_of(layer.named_buffers()) == std::vector<std::string>{"running_mean", "running_var"});
  const Variable x(random_tensor({4, 3, 2, 5}, 1, 2));
  const Tensor trained = layer.forward(x).value();
  for (std::int64_t channel = 0; channel < 3; ++channel) {  // mean 0, variance 1
    double sum = 0, squares = 0;
    for (const real v : trained.slice(1, channel, 1).contiguous().to_vector()) {
      sum += static_cast<double>(v);
      squares += static_cast<double>(v) * static_cast<double>(v);
    }
    CHECK(std::abs(sum / 40) < 1e-6);
    CHECK(squares / 40 == doctest::Approx(1).epsilon(1e-4));
  }
  // With momentum 1 the running statistics are those of the batch, the variance corrected by
  // 40 / 39: in evaluation the same batch comes out that much smaller.
  layer.eval();
  const Tensor evaluated = layer.forward(x).value();
  CHECK(static_cast<double>(evaluated.data()[7] / trained.data()[7]) ==
        doctest::Approx(std::sqrt(39.0 / 40)).epsilon(1e-4));
  const Tensor before = layer.running_mean.value().clone();
  layer.forward(Tensor::ones({2, 3, 1, 1}));
  CHECK(layer.running_mean.value().to_vector() == before.to_vector());

  BatchNorm2d copy({.num_features = 3});
  copy.load_state_dict(layer.state_dict());
  copy.eval();
  CHECK(copy.forward(x).value().to_vector() == evaluated.to_vector());
}

TEST_CASE("batch norm without running statistics or parameters, and of sequences") {
  BatchNorm1d plain({.num_features = 4, .affine = false, .track_running_stats = false});
  CHECK(plain.named_parameters().empty());
  CHECK(plain.named_buffers().empty());
  const Variable x(random_tensor({3, 4, 30}, 2));
  const Tensor trained = plain.forward(x).value();
  plain.eval();
  CHECK(plain.forward(x).value().to_vector() == trained.to_vector());
  CHECK(plain.forward(random_tensor({6, 4}, 3)).shape() == Shape{6, 4});
}

TEST_CASE("layers that normalise: gradients of all parameters") {
  const Variable x(random_tensor({3, 4, 2, 3}, 4));
  const auto check = [&](Layer& layer, std::size_t parameters) {
    CHECK(layer.parameters().size() == parameters);
    if (sizeof(real) == 4) return;
    const GradcheckResult result = gradcheck([&] { return layer.forward(x); }, layer.parameters());
    CHECK_MESSAGE(result.ok, result.message);
  };
  BatchNorm2d batch({.num_features = 4});
  LayerNorm layer({.normalized_shape = {2, 3}}), unbiased({.normalized_shape = {3}, .bias = false});
  RMSNorm rms({.normalized_shape = {3}});
  GroupNorm group({.num_groups = 2, .num_channels = 4});
  InstanceNorm instance({.num_features = 4, .affine = true}), bare({.num_features = 4});
  check(batch, 2);
  check(layer, 2);
  check(unbiased, 1);
  check(rms, 1);
  check(group, 2);
  check(instance, 2);
  CHECK(bare.parameters().empty());
  CHECK(bare.forward(x).shape() == x.shape());
}

TEST_CASE("layers that normalise refuse wrong options and inputs") {
  const auto refused = [](const char* message, auto f) {
    CHECK_THROWS_WITH_AS(f(), message, std::invalid_argument);
  };
  refused("BatchNorm2d: num_features must be positive; got 0", [] { BatchNorm2d{{}}; });
  refused("BatchNorm2d: the input must be [N, 3, ..]; got [2, 4, 1, 1]", [] {
    BatchNorm2d({.num_features = 3}).forward(Tensor({2, 4, 1, 1}));
  });
  refused("BatchNorm1d: the input must have 2 to 3 axes; got [2, 3, 1, 1]", [] {
    BatchNorm1d({.num_features = 3}).forward(Tensor({2, 3, 1, 1}));
  });
  refused("LayerNorm: normalized_shape must hold an element; got []", [] { LayerNorm{{}}; });
  refused("RMSNorm: normalized_shape must hold an element; got [0]",
          [] { RMSNorm({.normalized_shape = {0}}); });
  refused("GroupNorm: num_groups must divide num_channels, both positive; got 2 and 3",
          [] { GroupNorm({.num_groups = 2, .num_channels = 3}); });
  refused("InstanceNorm: num_features must be positive; got -1",
          [] { InstanceNorm({.num_features = -1}); });
}
