#include "kernels/optim.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "tests/golden.h"

using namespace serenade;

TEST_CASE("adam_step gives the golden values and moments over five steps") {
  const Golden file = golden("adam");
  const double rate = std::stod(golden_attribute(file, "lr"));
  Tensor parameter = file.tensor("start").clone();
  Tensor m(parameter.shape()), v(parameter.shape());
  for (std::int64_t step = 0; step < 5; ++step) {
    const auto of_step = [&](const char* name) {
      return file.tensor(name).slice(0, step, 1).reshape(parameter.shape());
    };
    const Tensor gradient = of_step("grads");
    cpu::adam_step(parameter.data(), m.data(), v.data(), gradient.data(), parameter.numel(),
                   {.learning_rate = rate, .step = step + 1});
    check_close(parameter, of_step("values"), "values");
    check_close(m, of_step("first_moments"), "first moments");
    check_close(v, of_step("second_moments"), "second moments");
  }
}

TEST_CASE("weight decay adds the parameter to the gradient in both optimisers") {
  std::vector<real> with_decay = {2, -1}, by_hand = with_decay;
  const std::vector<real> gradient = {real(0.5), real(0.25)};
  const std::vector<real> total = {real(0.5) + real(0.25) * 2, real(0.25) - real(0.25)};
  std::vector<real> m(2), v(2), m2(2), v2(2);
  cpu::adam_step(with_decay.data(), m.data(), v.data(), gradient.data(), 2,
                 {.weight_decay = 0.25, .step = 1});
  cpu::adam_step(by_hand.data(), m2.data(), v2.data(), total.data(), 2, {.step = 1});
  CHECK(with_decay == by_hand);
  cpu::sgd_step(with_decay.data(), nullptr, gradient.data(), 2, {.weight_decay = 0});
  CHECK(with_decay != by_hand);
}

TEST_CASE("sgd_step follows its formula: plain, momentum, nesterov, decay") {
  for (int variant = 0; variant < 4; ++variant) {
    CAPTURE(variant);
    const SgdStep options{.learning_rate = 0.1,
                          .momentum = variant == 0 ? 0.0 : 0.9,
                          .nesterov = variant == 2,
                          .weight_decay = variant == 3 ? 0.01 : 0.0};
    std::vector<real> parameter = {1}, velocity = {0};
    double p = 1, speed = 0;
    for (int step = 0; step < 4; ++step) {
      const std::vector<real> gradient = {static_cast<real>(0.5 - step)};
      cpu::sgd_step(parameter.data(), variant == 0 ? nullptr : velocity.data(), gradient.data(), 1,
                    options);
      const double g = 0.5 - step + options.weight_decay * p;
      speed = options.momentum * speed + g;
      p -= 0.1 * (options.nesterov ? g + options.momentum * speed : speed);
    }
    CHECK(static_cast<double>(parameter[0]) == doctest::Approx(p).epsilon(1e-6));
  }
}
