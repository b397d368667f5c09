// Paths: what the search modes promise about the coefficients of a mixed layer.

#include "nas/path.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "autograd/engine.h"
#include "autograd/functions.h"
#include "nas/diagnostics.h"

using namespace serenade;

namespace {

constexpr std::uint64_t kSeed = 11;

Path draw(const PathOptions& options, std::int64_t n, std::uint64_t step, std::uint64_t layer = 0) {
  return draw_path(options, Phase::weights, n, kSeed, step, layer);
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

TEST_CASE("path: dropout masks exactly m candidates") {
  for (const std::int64_t n : {1, 2, 4, 6, 11}) {
    for (std::int64_t m = 0; m < n; ++m) {
      for (std::uint64_t step = 0; step < 50; ++step) {
        const Path path = draw({.mode = Mode::dropout, .masked = m}, n, step);
        REQUIRE(static_cast<std::int64_t>(path.active.size()) == n);
        REQUIRE(path.active_count() == n - m);
        REQUIRE(path.uses_alpha);
        REQUIRE(path.scale == doctest::Approx(double(n) / double(n - m)));
      }
    }
  }
}

TEST_CASE("path: sampling takes one candidate, joint and the architecture phase take all") {
  for (std::uint64_t step = 0; step < 50; ++step) {
    const Path one = draw({.mode = Mode::sampling}, 6, step);
    CHECK(one.active_count() == 1);
    CHECK_FALSE(one.uses_alpha);
    CHECK(draw({.mode = Mode::joint}, 6, step).to_string() == "111111");
    for (const Mode mode : {Mode::joint, Mode::sampling, Mode::dropout}) {
      const Path all = draw_path({.mode = mode}, Phase::architecture, 6, kSeed, step, 0);
      CHECK(all.to_string() == "111111");
      CHECK(all.uses_alpha);
      CHECK(all.scale == 1);
    }
  }
}

TEST_CASE("path: what cannot be drawn is refused") {
  CHECK_THROWS_AS(draw({.mode = Mode::none}, 6, 0), std::invalid_argument);
  CHECK_THROWS_AS(draw({.mode = Mode::random}, 6, 0), std::invalid_argument);
  CHECK_THROWS_AS(draw({.mode = Mode::dropout, .masked = 6}, 6, 0), std::invalid_argument);
  CHECK_THROWS_AS(draw({.mode = Mode::dropout, .masked = -1}, 6, 0), std::invalid_argument);
  CHECK_THROWS_AS(draw({.mode = Mode::joint}, 0, 0), std::invalid_argument);
  CHECK_THROWS_AS(single_path(3, 3), std::invalid_argument);
  CHECK_THROWS_AS(coefficients(full_path(3), some_alpha()), std::invalid_argument);
  CHECK_THROWS_AS(coefficients({.active = std::vector<bool>(6, false)}, some_alpha()),
                  std::invalid_argument);
  CHECK_THROWS_AS(parse_mode("darts"), std::invalid_argument);
  for (const Mode mode : {Mode::none, Mode::random, Mode::joint, Mode::sampling, Mode::dropout}) {
    CHECK(parse_mode(to_string(mode)) == mode);
  }
}

TEST_CASE("path: candidates are drawn uniformly and layers independently") {
  // A chi-square test that is right falls below p = 0.05 in one seed of twenty: 10 of 200 on
  // average, with a standard deviation of 3.1.
  constexpr int kSeeds = 200, kLimit = 23;
  constexpr std::uint64_t kSteps = 500;
  std::vector<int> rejected(4, 0);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::vector<std::int64_t> sampled(6, 0), masked(6, 0), layers(36, 0), pairs(15, 0);
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      const auto drawn = [&](const PathOptions& options, std::uint64_t layer) {
        return draw_path(options, Phase::weights, 6, seed, step, layer);
      };
      const auto first = drawn({.mode = Mode::sampling}, 0).first_active();
      const auto second = drawn({.mode = Mode::sampling}, 1).first_active();
      ++sampled[static_cast<std::size_t>(second)];
      ++layers[static_cast<std::size_t>(6 * first + second)];
      const Path one = drawn({.mode = Mode::dropout, .masked = 1}, 2);
      const Path two = drawn({.mode = Mode::dropout, .masked = 2}, 3);
      for (std::size_t i = 0, pair = 0; i < 6; ++i) {
        masked[i] += !one.active[i];
        for (std::size_t j = i + 1; j < 6; ++j, ++pair) {
          pairs[pair] += !two.active[i] && !two.active[j];
        }
      }
    }
    const std::vector<std::vector<std::int64_t>> counts = {sampled, masked, layers, pairs};
    for (std::size_t k = 0; k < 4; ++k) rejected[k] += update_fairness(counts[k]).p_value < 0.05;
  }
  for (const int count : rejected) CHECK(count < kLimit);
}

TEST_CASE("path: a draw is a function of seed, step and layer alone") {
  const PathOptions dropout{.mode = Mode::dropout, .masked = 2};
  std::vector<std::string> expected;
  for (std::uint64_t step = 0; step < 200; ++step) {
    expected.push_back(draw(dropout, 6, step, step % 5).to_string());
  }
  CHECK(std::set<std::string>(expected.begin(), expected.end()).size() == 15);
  // Four threads, each from the last step to the first.
  std::vector<std::vector<std::string>> drawn(4, std::vector<std::string>(expected.size()));
  std::vector<std::thread> threads;
  for (auto& own : drawn) {
    threads.emplace_back([&own, &dropout] {
      for (std::size_t step = own.size(); step-- > 0;) {
        own[step] = draw(dropout, 6, step, step % 5).to_string();
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
    std::vector<double> mean(6, 0);
    const NoGrad no_graph;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      const Path path = draw({.mode = Mode::dropout, .masked = m}, 6, step);
      const std::vector<real> c = coefficients(path, alpha).value().to_vector();
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
  Path dropped = full_path(6);
  dropped.active[1] = dropped.active[4] = false;
  dropped.scale = real(1.5);
  const std::vector<real> scaled = values(dropped);
  dropped.renormalize = true;
  const std::vector<real> renormalized = values(dropped);
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
  const std::vector<real> all = gradient(full_path(6)).to_vector();
  double mean = 0;
  for (std::size_t i = 0; i < 6; ++i) mean += a[i] * static_cast<double>(d.to_vector()[i]);
  for (std::size_t j = 0; j < 6; ++j) {
    const double expected = a[j] * (static_cast<double>(d.to_vector()[j]) - mean);
    CHECK(all[j] == doctest::Approx(expected).epsilon(1e-4));
  }
  CHECK_FALSE(gradient(single_path(6, 3)).defined());  // sampling does not see alpha
  // Divided by the survivors' sum, the masked candidates drop out of the softmax altogether.
  Path renormalized = full_path(6);
  renormalized.active[0] = false;
  renormalized.renormalize = true;
  CHECK(gradient(renormalized).to_vector()[0] == doctest::Approx(0).epsilon(1e-6));
}
