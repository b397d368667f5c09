// A candidate of a mixed layer brought to the scale that the mixture has.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "autograd/functions.h"
#include "nas/builder.h"
#include "nas/mixed_layer.h"
#include "nn/fused.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

TEST_CASE("mixed layer: one candidate is brought to the scale of the mixture") {
  const auto rms = [](const Variable& y) {
    return std::sqrt(static_cast<double>(mean(mul(y, y)).item()));
  };
  const Tensor images = random_tensor({2, 2, 5, 5}, 8);
  const SearchSpace space{.choices = {{.name = "conv",
                                       .candidates = {"5x5", "5x4", "4x5", "4x4", "4x6", "6x4"},
                                       .kind = "conv"}}};
  Builder builder(space);
  const std::unique_ptr<Layer> layer =
      builder.choose("conv", {.in_channels = 2, .out_channels = 3});
  auto* mixed = dynamic_cast<MixedLayer*>(layer.get());
  CHECK_THROWS_WITH_AS(mixed->set_scale(MixedLayer::Scale::matched),
                       doctest::Contains("none was kept"), std::invalid_argument);
  const Tensor free = mixed->forward(images).value();
  mixed->set_scale(MixedLayer::Scale::kept);
  CHECK_FALSE(mixed->linear_form());
  CHECK(mixed->forward(images).value().to_vector() == free.to_vector());
  mixed->choice().set_path(single_path(6, 2));
  mixed->set_scale(MixedLayer::Scale::matched);
  const Variable y = mixed->forward(images), alone = mixed->candidate(2).forward(images);
  CHECK(rms(alone) != doctest::Approx(rms(free)).epsilon(0.05));
  CHECK(rms(y) == doctest::Approx(rms(free)));
  check_close(y.value(), affine(alone, static_cast<real>(rms(free) / rms(alone))).value(),
              "a multiple of the candidate's", 1e-5);
  // Also where a ReLU and a pool follow, which are else one pass with the convolution.
  const Variable pooled = relu_maxpool(*mixed, images, {2, 2});
  check_close(pooled.value(), max_pool2d(relu(y), {2, 2}).value(), "pooled");
  for (const Variable& parameter : mixed->candidate(2).parameters()) {
    Variable(parameter).value().fill_(0);
  }
  CHECK(rms(mixed->forward(images)) == 0);
  mixed->set_scale(MixedLayer::Scale::free);
  CHECK(mixed->linear_form());
}
