// Independent operation dropout: its scale, and how often it leaves a layer with nothing.

#include <doctest/doctest.h>

#include <cmath>
#include <memory>

#include "nas/mixed_layer.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "nn/fused.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr std::int64_t kEpochs = 5;

std::unique_ptr<OneShot> operation_dropout(double p) {
  return make_one_shot("operation_dropout", toy_space(),
                       {.epochs = kEpochs, .learning_rate = 0.02, .drop_probability = p});
}

Path draw(const OneShot& method, std::int64_t n, std::uint64_t step, std::int64_t epoch) {
  return method.draw({.candidates = n, .choice = 1, .step = step, .epoch = epoch, .seed = 7});
}

}  // namespace

TEST_CASE("operation_dropout: p rises, and a layer is left with nothing p^N of the time") {
  constexpr std::uint64_t kSteps = 40000;
  const auto method = operation_dropout(0.6);
  for (const std::int64_t n : {1, 2, 4, 6}) {
    for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
      const double p = 0.6 * static_cast<double>(epoch) / (kEpochs - 1);
      double empty = 0, dropped = 0;
      for (std::uint64_t step = 0; step < kSteps; ++step) {
        const std::int64_t left = draw(*method, n, step, epoch).active_count();
        empty += left == 0 ? 1 : 0;
        dropped += static_cast<double>(n - left);
      }
      INFO(n << " candidates, p = " << p);
      // Four standard deviations of a share: wrong once in 16,000.
      const auto close = [](double share, double expected, double trials) {
        CHECK(std::abs(share - expected) <=
              4 * std::sqrt(expected * (1 - expected) / trials) + 1e-12);
      };
      close(dropped / static_cast<double>(n * kSteps), p, static_cast<double>(n * kSteps));
      close(empty / kSteps, std::pow(p, n), kSteps);
    }
  }
}

TEST_CASE("operation_dropout: those that stay are scaled by 1 / (1 - p)") {
  const auto method = operation_dropout(0.6);
  const Variable alike(Tensor({4}));
  std::vector<double> mean(4, 0);
  for (std::uint64_t step = 0; step < 4000; ++step) {
    const Path path = draw(*method, 4, step, kEpochs - 1);
    const std::vector<real> c = coefficients(path, alike).value().to_vector();
    for (std::size_t i = 0; i < 4; ++i) {
      REQUIRE(c[i] == doctest::Approx(path.active[i] ? 0.25 / 0.4 : 0));
      mean[i] += static_cast<double>(c[i]) / 4000;
    }
  }
  for (const double m : mean) CHECK(m == doctest::Approx(0.25).epsilon(0.1));
  // In the first epoch, and for alpha, all take part.
  for (std::uint64_t step = 0; step < 50; ++step) {
    CHECK(draw(*method, 4, step, 0).to_string() == "1111");
    CHECK(method->draw({.phase = Phase::architecture, .candidates = 4, .step = step, .epoch = 4})
              .to_string() == "1111");
  }
}

TEST_CASE("operation_dropout: a layer with nothing gives zeros, and the search goes on") {
  const auto method = operation_dropout(0.99);
  const std::unique_ptr<Toy> net = toy_supernet(*method, 2);
  auto& across = dynamic_cast<MixedLayer&>(*net->across);
  Path nothing = scaled_path({false, false, false, false}, 1);
  across.choice().set_path(nothing);
  const Tensor x = random_tensor({2, 1, 9, 9}, 1);
  const Variable y = across.forward(x);
  CHECK(y.shape() == Shape{2, 1, 9, 9});
  CHECK_FALSE(y.requires_grad());
  for (const real value : y.value().to_vector()) CHECK(value == real(0));
  CHECK_FALSE(across.linear_form());
  const Variable pooled = relu_maxpool(across, x, {3, 3});
  CHECK(pooled.shape() == Shape{2, 1, 3, 3});
  for (const real value : pooled.value().to_vector()) CHECK(value == real(0));
  // Dense layers, too, whose width is that of the widest.
  SearchSpace dense{.choices = {{.name = "dense", .candidates = {"3", "5"}, .kind = "width"}}};
  Builder builder(dense);
  const std::unique_ptr<Layer> widths = builder.choose("dense", {.in_channels = 2});
  dynamic_cast<MixedLayer&>(*widths).choice().set_path(scaled_path({false, false}, 1));
  CHECK(widths->forward(random_tensor({4, 2}, 1)).shape() == Shape{4, 5});

  // With p = 0.99, nearly all layers of the last epoch are empty.
  ToyProblem problem;
  std::int64_t empty = 0;
  const auto search = operation_dropout(0.99);
  while (search->advance(problem)) {
  }
  for (std::uint64_t step = 0; step < kToySteps; ++step) {
    empty += search
                 ->draw({.candidates = 4,
                         .step = step + (kEpochs - 1) * kToySteps,
                         .epoch = kEpochs - 1,
                         .seed = 0})
                 .active_count() == 0;
  }
  CHECK(empty > 0);
  CHECK(problem.losses.size() == kEpochs * kToySteps);
  for (const double loss : problem.losses) CHECK(std::isfinite(loss));
}

TEST_CASE("operation_dropout: a probability that is none is refused") {
  for (const double p : {-0.1, 1.0, 2.0, std::nan("")}) {
    CHECK(contains(message_of([&] { operation_dropout(p); }),
                   "operation_dropout: drop_probability must be 0 <= p < 1; got "));
  }
}
