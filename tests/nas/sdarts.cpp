// SmoothDARTS: with nothing perturbed it is first-order DARTS; a perturbation stays in its box.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "autograd/engine.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

StrategyOptions options(double perturbation, std::int64_t steps) {
  return {.seed = 4,
          .epochs = 3,
          .learning_rate = 0.02,
          .alpha_learning_rate = 0.02,
          .perturbation = perturbation,
          .adversarial_steps = steps};
}

// The alphas at which a weight step saw the network, one list per call of the loss.
struct Seen {
  std::vector<std::vector<double>> alphas;
  std::vector<double> losses;
};

Seen weight_step(OneShot& method, std::int64_t epoch) {
  const std::unique_ptr<Toy> net = toy_supernet(method, 2);
  std::vector<Variable> weights, alphas;
  for (const auto& [name, parameter] : net->named_parameters()) {
    (contains(name, "alpha") ? alphas : weights).push_back(parameter);
  }
  alphas[0].value().copy_(random_tensor({4}, 5));
  const std::vector<real> before = alphas[0].value().to_vector();
  Seen seen;
  const LossFunction loss = [&] {
    std::vector<double> all;
    for (const Variable& alpha : alphas) {
      for (const real x : alpha.value().to_vector()) all.push_back(x);
    }
    for (std::size_t i = 0; i < 4; ++i) all[i] -= static_cast<double>(before[i]);
    seen.alphas.push_back(all);
    const Variable result = net->loss(1);
    seen.losses.push_back(result.item());
    return result;
  };
  const StepGradient gradient = method.weight_gradient(
      {.loss = loss, .trained = weights, .alphas = alphas, .step = 6, .epoch = epoch});
  CHECK(gradient.gradients.size() == weights.size());
  CHECK(gradient.loss.item() == doctest::Approx(seen.losses.back()));
  CHECK(alphas[0].value().to_vector() == before);  // as found
  for (const Variable& parameter : net->parameters()) CHECK_FALSE(parameter.grad().defined());
  return seen;
}

}  // namespace

TEST_CASE("sdarts: without a perturbation it is first-order DARTS, bit for bit") {
  const auto darts = make_one_shot("darts", toy_space(), options(0, 0));
  ToyProblem plain;
  while (darts->advance(plain)) {
  }
  for (const std::int64_t steps : {0, 7}) {
    const auto smooth = make_one_shot("sdarts", toy_space(), options(0, steps));
    ToyProblem problem;
    while (smooth->advance(problem)) {
    }
    CHECK(problem.losses == plain.losses);
    CHECK(smooth->search()->alphas() == darts->search()->alphas());
    CHECK(same_numbers(problem.net->state_dict(), plain.net->state_dict()));
  }
}

TEST_CASE("sdarts: the perturbation is uniform in its box, which grows") {
  for (const auto& [epoch, epsilon] : {std::pair{0, 0.05}, {1, 0.275}, {2, 0.5}}) {
    const auto random = make_one_shot("sdarts", toy_space(), options(0.5, 0));
    const Seen seen = weight_step(*random, epoch);
    REQUIRE(seen.alphas.size() == 1);
    const auto [low, high] = std::minmax_element(seen.alphas[0].begin(), seen.alphas[0].end());
    CHECK(*low >= -epsilon - 1e-6);
    CHECK(*high <= epsilon + 1e-6);
    CHECK(*high - *low > epsilon / 2);  // eight numbers do not all lie close to each other
  }
}

TEST_CASE("sdarts: the adversary climbs, and stays in the box") {
  for (const std::int64_t steps : {1, 7}) {
    const auto adversary = make_one_shot("sdarts", toy_space(), options(0.5, steps));
    const Seen seen = weight_step(*adversary, 2);
    REQUIRE(std::ssize(seen.losses) == steps + 1);
    CHECK(seen.losses.back() > seen.losses.front());
    for (const std::vector<double>& alphas : seen.alphas) {
      for (const double d : alphas) CHECK(std::abs(d) <= 0.5 + 1e-6);
    }
    if (steps < 7) continue;
    // Steps of 1/7 of the box's width add up to its corner, where the slopes keep their signs.
    const std::vector<double>& last = seen.alphas.back();
    CHECK(std::count_if(last.begin(), last.end(),
                        [](double d) { return std::abs(std::abs(d) - 0.5) < 1e-6; }) >= 6);
  }
}

TEST_CASE("sdarts: options that make no sense are refused") {
  const auto make = [](const StrategyOptions& wrong) {
    return message_of([&] { make_one_shot("sdarts", toy_space(), wrong); });
  };
  CHECK(contains(make(options(-1, 0)), "sdarts: perturbation must be 0 or more; got -1"));
  CHECK(contains(make(options(1, -1)), "sdarts: adversarial_steps must be 0 or more; got -1"));
}

TEST_CASE(
    "sdarts, operation_dropout: the history tells how far alpha is moved, and what is dropped") {
  for (const auto& [name, value] :
       {std::pair{"sdarts", "perturbation"}, {"operation_dropout", "drop_probability"}}) {
    const auto method = make_one_shot(name, toy_space(),
                                      {.epochs = 3, .drop_probability = 0.5, .perturbation = 0.5});
    ToyProblem problem;
    while (method->advance(problem)) {
    }
    const std::vector<SearchRecord>& history = method->search()->history();
    REQUIRE(history.size() == 3);
    const double first = value == std::string("perturbation") ? 0.05 : 0;
    CHECK(history[0].values.at(value) == doctest::Approx(first));
    CHECK(history[1].values.at(value) == doctest::Approx((first + 0.5) / 2));
    CHECK(history[2].values.at(value) == doctest::Approx(0.5));
  }
}
