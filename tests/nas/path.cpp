// Paths: what the one-shot strategies promise about the coefficients of a mixed layer.

#include "nas/path.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/diagnostics.h"
#include "nas/one_shot.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr std::uint64_t kSeed = 11;

// A space of one choice of n candidates.
SearchSpace space_of(std::int64_t n) {
  Choice choice{.name = "choice", .candidates = {}};
  for (std::int64_t i = 0; i < n; ++i) choice.candidates.push_back(std::to_string(i));
  return {.choices = {choice}};
}

std::unique_ptr<OneShot> sampling(std::int64_t n) {
  return make_one_shot("sampling", space_of(n), {});
}

std::unique_ptr<OneShot> dropout(std::int64_t n, std::int64_t num_masked) {
  return make_one_shot("dropout", space_of(n), {.num_masked = num_masked});
}

// The path of a weight step.
Path draw(const OneShot& method, std::uint64_t step, std::uint64_t choice = 0,
          std::uint64_t seed = kSeed) {
  return method.draw({.phase = Phase::weights,
                      .candidates = method.space().choices[0].size(),
                      .choice = choice,
                      .step = step,
                      .seed = seed});
}

Variable some_alpha() {
  return Variable(Tensor::from({real(0.3), real(-1), real(0.8), 0, real(0.1), -2}, {6}), true);
}

std::vector<double> softmax_of(const Variable& alpha) {
  std::vector<double> a;
  double total = 0;
  for (const real x : alpha.value().to_vector()) a.push_back(std::exp(static_cast<double>(x)));
  for (const double x : a) total += x;
  for (double& x : a) x /= total;
  return a;
}

}  // namespace

TEST_CASE("path: dropout masks exactly m candidates and scales the others by n / (n - m)") {
  for (const std::int64_t n : {1, 2, 4, 6, 11}) {
    const Variable alike(Tensor({n}));  // softmax: 1 / n each
    for (std::int64_t m = 0; m < n; ++m) {
      const std::unique_ptr<OneShot> method = dropout(n, m);
      for (std::uint64_t step = 0; step < 50; ++step) {
        const Path path = draw(*method, step);
        REQUIRE(static_cast<std::int64_t>(path.active.size()) == n);
        REQUIRE(path.active_count() == n - m);
        REQUIRE(path.uses_alpha());
        const std::vector<real> c = coefficients(path, alike).value().to_vector();
        for (std::size_t i = 0; i < c.size(); ++i) {
          REQUIRE(c[i] == doctest::Approx(path.active[i] ? 1.0 / static_cast<double>(n - m) : 0));
        }
      }
    }
  }
}

TEST_CASE("path: sampling takes one candidate, joint and the architecture phase take all") {
  const Variable alpha = some_alpha();
  const std::vector<double> a = softmax_of(alpha);
  const std::unique_ptr<OneShot> one = sampling(6), joint = make_one_shot("joint", space_of(6), {});
  for (std::uint64_t step = 0; step < 50; ++step) {
    const Path path = draw(*one, step);
    CHECK(path.active_count() == 1);
    CHECK_FALSE(path.uses_alpha());
    CHECK(draw(*joint, step).to_string() == "111111");
    for (const char* name : {"joint", "sampling", "dropout"}) {
      const Path all = make_one_shot(name, space_of(6), {})
                           ->draw({.phase = Phase::architecture, .candidates = 6, .step = step});
      CHECK(all.to_string() == "111111");
      CHECK(all.uses_alpha());
      const std::vector<real> c = coefficients(all, alpha).value().to_vector();
      for (std::size_t i = 0; i < 6; ++i) CHECK(c[i] == doctest::Approx(a[i]));
    }
  }
}

TEST_CASE("path: every strategy draws paths that a mixed layer can take") {
  const Variable alpha(Tensor({4}), true);
  for (const std::string& name : supernet_strategies()) {
    const std::unique_ptr<OneShot> method = make_one_shot(name, toy_space(), {});
    for (const Phase phase : {Phase::weights, Phase::architecture}) {
      for (std::uint64_t step = 0; step < 50; ++step) {
        for (std::uint64_t choice = 0; choice < 2; ++choice) {
          INFO(name << " " << to_string(phase) << " " << step << " " << choice);
          const Draw here{.phase = phase,
                          .candidates = 4,
                          .choice = choice,
                          .step = step,
                          .epoch = static_cast<std::int64_t>(step / 5),
                          .epochs = 10,
                          .seed = kSeed};
          const Path path = method->draw(here);
          REQUIRE(path.active.size() == 4);
          REQUIRE((path.uses_alpha() || path.active_count() == 1));
          const std::vector<real> c = coefficients(path, alpha).value().to_vector();
          REQUIRE(c.size() == 4);
          for (const real x : c) CHECK(std::isfinite(x));
          const Path again = method->draw(here);
          CHECK(again.active == path.active);
          CHECK(coefficients(again, alpha).value().to_vector() == c);
        }
      }
    }
  }
}

TEST_CASE("path: what cannot be drawn is refused") {
  const SearchSpace space = space_of(6);
  CHECK_THROWS_WITH_AS(make_one_shot("none", space, {.baseline = genotype_at(space, 0)}),
                       doctest::Contains("'none' does not"), std::invalid_argument);
  CHECK_THROWS_WITH_AS(make_one_shot("random", space, {}), doctest::Contains("'random' does not"),
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(dropout(6, 6), doctest::Contains("got 6 of the 6 of 'choice'"),
                       std::invalid_argument);
  CHECK_THROWS_AS(dropout(6, -1), std::invalid_argument);
  CHECK_THROWS_AS(dropout(1, 1), std::invalid_argument);
  CHECK_THROWS_AS(sampling(0), std::invalid_argument);
  CHECK_THROWS_AS(single_path(3, 3), std::invalid_argument);
  CHECK_THROWS_AS(single_path(3, -1), std::invalid_argument);
  CHECK_THROWS_AS(coefficients(full_path(3), some_alpha()), std::invalid_argument);
  CHECK_THROWS_AS(coefficients({.active = std::vector<bool>(6, false), .relax = {}}, some_alpha()),
                  std::invalid_argument);
  CHECK_THROWS_AS(draw_subset(4, 3, {}, 0), std::invalid_argument);
  CHECK_THROWS_AS(draw_subset(1, 65536, {}, 0), std::invalid_argument);
}

TEST_CASE(
    "path: straight-through is one candidate, to the bit, with the gradient of something else") {
  const Variable alpha = some_alpha();
  const auto soft = [](const Variable& a) { return softmax(affine(a, 3), 0); };
  const Path path = straight_through_path(6, 4, soft);
  CHECK(path.to_string() == "111111");
  const Variable c = coefficients(path, alpha);
  CHECK(c.value().to_vector() == std::vector<real>{0, 0, 0, 0, 1, 0});
  const Tensor d = random_tensor({6}, 3);
  CHECK(grad(sum(mul(c, d)), {alpha})[0].value().to_vector() ==
        grad(sum(mul(soft(alpha), d)), {alpha})[0].value().to_vector());
  CHECK_THROWS_AS(straight_through_path(3, 3, soft), std::invalid_argument);
}

TEST_CASE("path: candidates are drawn uniformly and choices independently") {
  // A chi-square test that is right falls below p = 0.05 in one seed of twenty: 10 of 200 on
  // average, with a standard deviation of 3.1.
  constexpr int kSeeds = 200, kLimit = 23;
  constexpr std::uint64_t kSteps = 500;
  const std::unique_ptr<OneShot> sample = sampling(6), mask = dropout(6, 1),
                                 mask_two = dropout(6, 2);
  std::vector<int> rejected(4, 0);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::vector<std::int64_t> sampled(6, 0), masked(6, 0), choices(36, 0), pairs(15, 0);
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      const auto first = draw(*sample, step, 0, seed).first_active();
      const auto second = draw(*sample, step, 1, seed).first_active();
      ++sampled[static_cast<std::size_t>(second)];
      ++choices[static_cast<std::size_t>(6 * first + second)];
      const Path one = draw(*mask, step, 2, seed), two = draw(*mask_two, step, 3, seed);
      for (std::size_t i = 0, pair = 0; i < 6; ++i) {
        masked[i] += !one.active[i];
        for (std::size_t j = i + 1; j < 6; ++j, ++pair) {
          pairs[pair] += !two.active[i] && !two.active[j];
        }
      }
    }
    const std::vector<std::vector<std::int64_t>> counts = {sampled, masked, choices, pairs};
    for (std::size_t k = 0; k < 4; ++k) rejected[k] += update_fairness(counts[k]).p_value < 0.05;
  }
  for (const int count : rejected) CHECK(count < kLimit);
}

TEST_CASE("path: a draw is a function of seed, step and choice alone") {
  const std::unique_ptr<OneShot> method = dropout(6, 2);
  std::vector<std::string> expected;
  for (std::uint64_t step = 0; step < 200; ++step) {
    expected.push_back(draw(*method, step, step % 5).to_string());
  }
  CHECK(std::set<std::string>(expected.begin(), expected.end()).size() == 15);
  // Four threads, each from the last step to the first.
  std::vector<std::vector<std::string>> drawn(4, std::vector<std::string>(expected.size()));
  std::vector<std::thread> threads;
  for (auto& own : drawn) {
    threads.emplace_back([&own, &method] {
      for (std::size_t step = own.size(); step-- > 0;) {
        own[step] = draw(*method, step, step % 5).to_string();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& own : drawn) CHECK(own == expected);
}

TEST_CASE("path: dropout keeps the coefficients on average, E[c] = a") {
  const Variable alpha = some_alpha();
  const std::vector<double> a = softmax_of(alpha);
  for (const std::int64_t m : {1, 3, 5}) {
    constexpr std::uint64_t kSteps = 20000;
    const std::unique_ptr<OneShot> method = dropout(6, m);
    std::vector<double> mean(6, 0);
    const NoGrad no_graph;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      const std::vector<real> c = coefficients(draw(*method, step), alpha).value().to_vector();
      for (std::size_t i = 0; i < 6; ++i) mean[i] += static_cast<double>(c[i]) / kSteps;
    }
    for (std::size_t i = 0; i < 6; ++i) {
      // c_i is a_i N / (N - m) with probability (N - m) / N, so its variance is a_i^2 m / (N - m).
      const double error = a[i] * std::sqrt(double(m) / double(6 - m) / kSteps);
      CHECK(std::abs(mean[i] - a[i]) < 4.5 * error);
    }
  }
}

TEST_CASE("path: coefficients of every kind") {
  const Variable alpha = some_alpha();
  const std::vector<double> a = softmax_of(alpha);
  const auto values = [&alpha](const Path& path) {
    return coefficients(path, alpha).value().to_vector();
  };
  const std::vector<real> all = values(full_path(6)), one = values(single_path(6, 2));
  const std::vector<bool> active = {true, false, true, true, false, true};
  const std::vector<real> scaled = values(scaled_path(active, real(1.5)));
  const std::vector<real> renormalized = values(renormalized_path(active));
  CHECK(values(scaled_path(std::vector<bool>(6, true), 1)) == all);  // the same bits
  const double survivors = 1 - a[1] - a[4];
  for (std::size_t i = 0; i < 6; ++i) {
    const double z = i == 1 || i == 4 ? 0 : 1;
    CHECK(all[i] == doctest::Approx(a[i]));
    CHECK(one[i] == (i == 2 ? 1 : 0));
    CHECK(scaled[i] == doctest::Approx(1.5 * z * a[i]));
    CHECK(renormalized[i] == doctest::Approx(z * a[i] / survivors));
  }
}

TEST_CASE("path: the gradient of alpha is a_j (d_j - sum_i a_i d_i)") {
  const Variable alpha = some_alpha();
  const std::vector<double> a = softmax_of(alpha);
  const Tensor d = Tensor::from({1, -2, real(0.5), 3, -1, 2}, {6});
  const auto gradient = [&](const Path& path) {
    const Variable other(Tensor::ones({1}), true);  // the loss depends on more than alpha
    return grad(sum(mul(mul(coefficients(path, alpha), d), other)), {alpha})[0];
  };
  const std::vector<real> all = gradient(full_path(6)).value().to_vector();
  double mean = 0;
  for (std::size_t i = 0; i < 6; ++i) mean += a[i] * static_cast<double>(d.to_vector()[i]);
  for (std::size_t j = 0; j < 6; ++j) {
    const double expected = a[j] * (static_cast<double>(d.to_vector()[j]) - mean);
    CHECK(all[j] == doctest::Approx(expected).epsilon(1e-4));
  }
  CHECK_FALSE(gradient(single_path(6, 3)).defined());  // sampling does not see alpha
  // Divided by the survivors' sum, the masked candidates drop out of the softmax altogether.
  CHECK(gradient(renormalized_path({false, true, true, true, true, true})).value().to_vector()[0] ==
        doctest::Approx(0).epsilon(1e-6));
}

TEST_CASE("path: dropout divides by the survivors' sum where it is told to") {
  const Variable alpha = some_alpha();
  const StrategyOptions options{.num_masked = 2, .renormalize = true};
  const std::unique_ptr<OneShot> method = make_one_shot("dropout", space_of(6), options);
  for (std::uint64_t step = 0; step < 20; ++step) {
    const Path path = draw(*method, step);
    CHECK(path.active_count() == 4);
    CHECK(path.active == draw(*dropout(6, 2), step).active);
    CHECK(coefficients(path, alpha).value().to_vector() ==
          coefficients(renormalized_path(path.active), alpha).value().to_vector());
  }
}
