// NASP against the same ten steps in plain arithmetic.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr std::array<double, 3> kWeights = {-0.25, -0.5, 0.75};
constexpr std::array<std::array<double, 2>, 2> kTrain = {{{1.0, 1.5}, {0.5, -1.0}}};  // x, t
constexpr std::array<std::array<double, 2>, 2> kValidation = {{{1.0, 1.0}, {-2.0, 0.5}}};

SearchSpace powers_space() {
  return {.choices = {{.name = "power", .candidates = {"1", "2", "3"}}}};
}

// Candidate i: w x^(i + 1).
struct Power : Layer {
  int exponent;
  Variable w;
  explicit Power(int e)
      : exponent(e),
        w(register_parameter(
            "w", Tensor::full({1}, static_cast<real>(kWeights[static_cast<std::size_t>(e - 1)])))) {
  }
  Variable forward(const Variable& x) override {
    Variable power = x;
    for (int i = 1; i < exponent; ++i) power = mul(power, x);
    return mul(power, w);
  }
};

struct Powers : Module {
  std::unique_ptr<Layer> choice;
  explicit Powers(Builder& builder)
      : choice(builder.choose("power", [](const std::string& name, real) {
          return std::make_unique<Power>(std::stoi(name));
        })) {
    register_module("choice", *choice);
  }
  LossFunction loss(const std::array<std::array<double, 2>, 2>& data) {
    return [this, &data] {
      std::vector<real> x, t;
      for (const auto& [in, out] : data) {
        x.push_back(static_cast<real>(in));
        t.push_back(static_cast<real>(out));
      }
      return mse_loss(choice->forward(Tensor::from(x, {2, 1})), Tensor::from(t, {2, 1}));
    };
  }
};

// Adam for one number, by its definition.
struct PlainAdam {
  double m = 0, v = 0;
  int t = 0;
  double step(double g, double rate) {
    ++t;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    return rate * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
  }
};

// d loss / dh . (w_i x^(i+1)), summed over the data, where h is candidate k alone.
double slope(const std::array<std::array<double, 2>, 2>& data, const std::array<double, 3>& w,
             std::size_t k, std::size_t i) {
  double total = 0;
  for (const auto& [x, t] : data) {
    const double h = w[k] * std::pow(x, k + 1.0);
    total += (h - t) * w[i] * std::pow(x, i + 1.0);  // 2 (h - t) / 2 points
  }
  return total;
}

}  // namespace

TEST_CASE("nasp: ten steps are those of plain arithmetic") {
  const double weight_rate = 0.05, alpha_rate = 0.15;
  const auto method =
      make_one_shot("nasp", powers_space(),
                    {.epochs = 1, .learning_rate = weight_rate, .alpha_learning_rate = alpha_rate});
  Builder builder(*method);
  Powers net(builder);
  SupernetSearch search(net, *method);

  std::array<double, 3> w = kWeights, a = {0.5, 0.5, 0.5};
  std::array<PlainAdam, 3> adam_w, adam_a;
  const auto best = [&] {
    return static_cast<std::size_t>(std::max_element(a.begin(), a.end()) - a.begin());
  };
  std::array<int, 3> updates = {0, 0, 0};
  bool at_0 = false, at_1 = false;
  for (int step = 0; step < 10; ++step) {
    const StepRecord architecture = search.architecture_step(net.loss(kValidation));
    const StepRecord weight = search.weight_step(net.loss(kTrain));

    const std::size_t before = best();
    std::array<double, 3> moved = a;
    for (std::size_t i = 0; i < 3; ++i) {
      const double g = slope(kValidation, w, before, i);
      moved[i] = std::clamp(a[i] - adam_a[i].step(g, alpha_rate), 0.0, 1.0);
    }
    a = moved;
    const std::size_t k = best();
    w[k] -= adam_w[k].step(slope(kTrain, w, k, k) / w[k], weight_rate);
    ++updates[k];
    for (const double x : a) {
      at_0 = at_0 || x == 0;
      at_1 = at_1 || x == 1;
    }

    INFO("step " << step);
    CHECK(architecture.paths[0].to_string() == "111");
    CHECK(weight.paths[0].active_count() == 1);
    CHECK(weight.paths[0].first_active() == static_cast<std::int64_t>(k));
    const std::vector<double> alphas = search.alphas()[0];
    const StateDict state = net.state_dict();
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(0.5 + alphas[i] == doctest::Approx(a[i]).epsilon(1e-4));
      const real own = state.at("choice.ops." + std::to_string(i) + ".w").item();
      CHECK(static_cast<double>(own) == doctest::Approx(w[i]).epsilon(1e-4));
    }
  }
  // The trace has been to both ends, and to more than one candidate.
  CHECK(at_0);
  CHECK(at_1);
  CHECK(std::count_if(updates.begin(), updates.end(), [](int u) { return u > 0; }) >= 2);
}

TEST_CASE("nasp: all candidates have a gradient at exactly one of them") {
  const auto method = make_one_shot("nasp", toy_space(), {});
  const Variable alpha(Tensor::from({real(0.1), real(-0.2), real(0.3), real(0.3)}, {4}), true);
  const Path path = method->draw({.phase = Phase::architecture, .candidates = 4, .alpha = alpha});
  const Variable c = coefficients(path, alpha);
  CHECK(c.value().to_vector() == std::vector<real>{0, 0, 1, 0});  // the first of two
  const Tensor d = Tensor::from({1, 2, 3, 4}, {4});
  CHECK(grad(sum(mul(c, d)), {alpha})[0].value().to_vector() == d.to_vector());
  CHECK(method->draw({.candidates = 4, .alpha = alpha}).to_string() == "0010");
}
