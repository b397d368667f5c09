// The Gaussian process against numbers of another route, and the strategy.

#include <doctest/doctest.h>

#include <numbers>
#include <set>

#include "nas/gaussian_process.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

const std::vector<ChoiceIndices> kPoints = {{0, 0, 0}, {1, 0, 0}, {2, 1, 0},
                                            {0, 2, 1}, {1, 2, 2}, {2, 2, 1}};
const std::vector<double> kMeasured = {0.52, 0.55, 0.61, 0.47, 0.66, 0.58};
const HammingKernel kKernel = {.theta = {0.4, 0.9, 0.15}, .variance = 0.004, .noise = 0.0006};
constexpr double kMean = 0.56;

}  // namespace

TEST_CASE("gaussian process: posterior and expected improvement on six points") {
  // Computed in decimal arithmetic of 50 digits, the inverse of K + noise I by Gauss-Jordan:
  //   mean = m + k' K^-1 (y - m), variance = s2 - k' K^-1 k, z = (mean - 0.6) / sd,
  //   improvement = (mean - 0.6) Phi(z) + sd phi(z).
  struct Expected {
    ChoiceIndices x;
    double mean, variance, improvement;
  };
  const std::vector<Expected> expected = {
      {{0, 0, 0}, 0.5219163476909864, 0.0004723599217723423, 8.755558356908262e-07},
      {{2, 1, 0}, 0.6029685056490514, 0.0005096390726189165, 0.0105681992556878},
      {{1, 1, 1}, 0.5902381110542829, 0.002538100647259555, 0.01559372399340416},
      {{2, 0, 2}, 0.5649157911586411, 0.002304535342679333, 0.006507901822284201},
      {{0, 1, 2}, 0.5647221403598577, 0.002508900806355723, 0.007104650086313558},
      {{1, 2, 0}, 0.6126148167978753, 0.001214910399617189, 0.02111364363459642}};
  const GaussianProcess process(kKernel, kPoints, kMeasured, kMean);
  for (const Expected& point : expected) {
    const GaussianProcess::Posterior posterior = process.at(point.x);
    CHECK(std::abs(posterior.mean - point.mean) < 1e-12);
    CHECK(std::abs(posterior.variance - point.variance) < 1e-14);
    CHECK(std::abs(expected_improvement(posterior, 0.6) - point.improvement) < 1e-12);
  }
  CHECK(std::abs(process.log_likelihood() - 6.864656009205622) < 1e-10);
}

TEST_CASE("gaussian process: without noise it goes through the points") {
  HammingKernel kernel = kKernel;
  kernel.noise = 0;
  const GaussianProcess process(kernel, kPoints, kMeasured, kMean);
  for (std::size_t i = 0; i < kPoints.size(); ++i) {
    CHECK(process.at(kPoints[i]).mean == doctest::Approx(kMeasured[i]).epsilon(1e-12));
    CHECK(process.at(kPoints[i]).variance < 1e-15);
  }
  CHECK(contains(message_of([&] {
                   GaussianProcess(kernel, {{0, 0, 0}, {0, 0, 0}}, {1, 2}, 0);
                 }),
                 "gaussian_process: the kernel's matrix must be positive definite"));
  CHECK_THROWS_AS(GaussianProcess(kernel, {}, {}, 0), std::invalid_argument);
  CHECK_THROWS_AS(GaussianProcess(kernel, kPoints, {1}, 0), std::invalid_argument);
  CHECK_THROWS_AS(GaussianProcess(kernel, {{0, 0}}, {1}, 0), std::invalid_argument);
  CHECK_THROWS_AS(fit_gaussian_process({}, {}), std::invalid_argument);
}

TEST_CASE("expected improvement: the integral that it is, and its limits") {
  for (const double mean : {-0.3, 0.0, 0.02, 0.5}) {
    for (const double variance : {1e-4, 0.04, 1.0}) {
      const double deviation = std::sqrt(variance), best = 0.1;
      double integral = 0;  // of max(0, f - best) over the normal distribution of f
      constexpr int kSteps = 200000;
      for (int i = 0; i < kSteps; ++i) {
        const double z = -12 + 24 * (i + 0.5) / kSteps;
        integral += std::max(0.0, mean + deviation * z - best) * std::exp(-z * z / 2) * 24 / kSteps;
      }
      integral /= std::sqrt(2 * std::numbers::pi);
      CHECK(std::abs(expected_improvement({mean, variance}, best) - integral) < 1e-9);
    }
  }
  CHECK(expected_improvement({0.5, 0}, 0.1) == doctest::Approx(0.4));
  CHECK(expected_improvement({0.1, 0}, 0.5) == 0);
}

TEST_CASE(
    "gaussian process: the likelihood finds which choice matters, and how much noise there is") {
  // Only the first of three choices matters.
  std::vector<ChoiceIndices> x;
  std::vector<double> clean, noisy;
  for (std::int64_t i = 0; i < 64; ++i) {
    x.push_back({i % 4, i / 4 % 4, i / 16});
    clean.push_back(i % 4 == 2 ? 0.3 : 0.1 * static_cast<double>(i % 4));
    noisy.push_back(clean.back() +
                    0.2 * normal({4, Purpose::test, 0}, static_cast<std::uint64_t>(i)));
  }
  const GaussianProcess sure = fit_gaussian_process(x, clean);
  CHECK(sure.kernel().theta[0] >= 10 * sure.kernel().theta[1]);
  CHECK(sure.kernel().theta[0] >= 10 * sure.kernel().theta[2]);
  CHECK(sure.kernel().noise < 0.02 * sure.kernel().variance);
  const GaussianProcess unsure = fit_gaussian_process(x, noisy);
  CHECK(unsure.kernel().noise > 0.1 * unsure.kernel().variance);
  // s2 has its closed form: there fit() is the number of points, and no other s2 does better.
  CHECK(unsure.fit() == doctest::Approx(64).epsilon(1e-9));
  double mean = 0;
  for (const double y : noisy) mean += y / 64;
  for (const double factor : {0.9, 1.1}) {
    HammingKernel kernel = unsure.kernel();
    kernel.variance *= factor;
    kernel.noise *= factor;
    CHECK(GaussianProcess(kernel, x, noisy, mean).log_likelihood() < unsure.log_likelihood());
  }
}

TEST_CASE("bayesian: every trial has the largest expected improvement, and none is repeated") {
  Table table(kScores);
  const auto strategy =
      make_strategy("bayesian", table_space(), {.seed = 2, .trials = 100, .random_trials = 3});
  CHECK(strategy->planned_steps() == 12);  // no more than there are
  run(*strategy, table);
  REQUIRE(table.trials.size() == 12);
  std::set<std::string> distinct;
  std::vector<ChoiceIndices> x;
  std::vector<double> y;
  for (std::size_t id = 0; id < 12; ++id) {
    if (id >= 3) {
      const GaussianProcess process = fit_gaussian_process(x, y);
      double best = -1;
      for (const ChoiceIndices& known : x) best = std::max(best, process.at(known).mean);
      const double asked = expected_improvement(process.at(table.indices(id)), best);
      for (const Genotype& other : enumerate_genotypes(table_space())) {
        if (distinct.count(other.summary()) == 1) continue;
        const ChoiceIndices at = choice_indices(other, table_space());
        CHECK(asked >= expected_improvement(process.at(at), best));
      }
    }
    CHECK(distinct.insert(table.trials[id].genotype.summary()).second);
    x.push_back(table.indices(id));
    y.push_back(table.score_of(table.trials[id]));
  }
  CHECK(strategy->recommend().summary() == "a=3 b=2");
}

TEST_CASE("bayesian: finds in few trials what random search does not") {
  const std::vector<double> scores = sum_of_choices(large_space());
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    Table table(scores, large_space());
    const auto strategy = make_strategy("bayesian", large_space(), {.seed = seed, .trials = 40});
    run(*strategy, table);
    CHECK(table.score_of({.genotype = strategy->recommend()}) > 0.9);
  }
}

TEST_CASE("bayesian: a space that is too large to list is sampled") {
  SearchSpace space;
  for (int i = 0; i < 40; ++i) space.choices.push_back({"c" + std::to_string(i), {"x", "y", "z"}});
  CHECK_FALSE(space.is_countable());
  const auto strategy = make_strategy("bayesian", space, {.trials = 30, .random_trials = 10});
  auto& black_box = dynamic_cast<BlackBox&>(*strategy);
  const auto count_x = [](const Genotype& genotype) {
    double count = 0;
    for (const Genotype::Decision& decision : genotype.decisions)
      count += decision.candidate == "x";
    return count;
  };
  std::set<std::string> distinct;
  while (const auto trial = black_box.ask()) {
    CHECK(distinct.insert(trial->genotype.summary()).second);
    black_box.tell(*trial, {.score = count_x(trial->genotype), .cost = 1});
  }
  CHECK(distinct.size() == 30);
  CHECK(count_x(strategy->recommend()) > 25);  // of 40; 13.3 +- 3 is to be expected
}
