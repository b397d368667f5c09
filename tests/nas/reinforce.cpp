// The policy and its gradient, exactly, over all architectures; the strategy by its own formula.

#include <doctest/doctest.h>

#include "nas/policy.h"
#include "tests/nas/score_table.h"

using namespace serenade;

namespace {

Policy random_policy(const SearchSpace& space) {
  Policy policy(space);
  std::uint64_t element = 0;
  for (std::vector<double>& row : policy.logits) {
    for (double& logit : row) logit = normal({1, Purpose::test, 0}, element++);
  }
  return policy;
}

double probability(const Policy& policy, const std::vector<std::int64_t>& x) {
  double p = 1;
  for (std::size_t l = 0; l < x.size(); ++l) {
    p *= policy.probabilities(l)[static_cast<std::size_t>(x[l])];
  }
  return p;
}

}  // namespace

TEST_CASE("reinforce: the expected step over all 5,184 architectures is pi_j (R_j - mean R)") {
  const SearchSpace space = large_space();
  const Policy policy = random_policy(space);
  Policy::Table step = Policy(space).logits;
  // Sums of pi(x) R(x) over all x, and over those that have candidate j of choice l; of pi(x).
  Policy::Table reward_of = step, weight_of = step;
  double total = 0, reward = 0;
  constexpr double kBaseline = 0.37;  // any: it must not matter
  for (std::int64_t i = 0; i < space.size(); ++i) {
    const std::vector<std::int64_t> x = choice_indices(genotype_at(space, i), space);
    const double p = probability(policy, x);
    const double r = uniform({2, Purpose::test, 0}, static_cast<std::uint64_t>(i));
    Policy moved = policy;
    moved.add(policy.log_gradient(x), r - kBaseline);
    for (std::size_t l = 0; l < step.size(); ++l) {
      for (std::size_t j = 0; j < step[l].size(); ++j) {
        step[l][j] += p * (moved.logits[l][j] - policy.logits[l][j]);
      }
      reward_of[l][static_cast<std::size_t>(x[l])] += p * r;
      weight_of[l][static_cast<std::size_t>(x[l])] += p;
    }
    total += p;
    reward += p * r;
  }
  CHECK(total == doctest::Approx(1).epsilon(1e-12));
  for (std::size_t l = 0; l < step.size(); ++l) {
    const std::vector<double> pi = policy.probabilities(l);
    for (std::size_t j = 0; j < step[l].size(); ++j) {
      CHECK(weight_of[l][j] == doctest::Approx(pi[j]).epsilon(1e-12));
      const double expected = pi[j] * (reward_of[l][j] / weight_of[l][j] - reward);
      CHECK(std::abs(step[l][j] - expected) < 1e-12);
      CHECK(std::abs(expected) > 1e-6);  // there is something to compare
    }
  }
}

TEST_CASE("policy: large logits, and how often a candidate is drawn") {
  const SearchSpace space = table_space();
  Policy policy(space);
  policy.logits = {{1000, 1001, -1000, 1000}, {0, 0, 0}};
  const double e = std::exp(1.0);
  CHECK(policy.probabilities(0)[1] == doctest::Approx(e / (e + 2)).epsilon(1e-12));
  CHECK(policy.probabilities(0)[2] == 0);
  policy = random_policy(space);
  Policy::Table counts = Policy(space).logits;
  constexpr int kDraws = 20000;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    const std::vector<std::int64_t> x = policy.draw({3, Purpose::test, draw});
    for (std::size_t l = 0; l < x.size(); ++l) ++counts[l][static_cast<std::size_t>(x[l])];
  }
  for (std::size_t l = 0; l < counts.size(); ++l) {
    for (std::size_t j = 0; j < counts[l].size(); ++j) {
      const double p = policy.probabilities(l)[j];
      CHECK(std::abs(counts[l][j] / kDraws - p) < 4 * std::sqrt(p * (1 - p) / kDraws));
    }
  }
}

TEST_CASE("reinforce: a seeded trace, by hand") {
  const SearchSpace space = large_space();
  Table table(sum_of_choices(space), space);
  const StrategyOptions options = {
      .seed = 8, .trials = 40, .policy_learning_rate = 1.5, .baseline_decay = 0.75};
  run(*make_strategy("reinforce", space, options), table);
  Policy::Table theta = Policy(space).logits;
  double baseline = 0;
  for (std::size_t id = 0; id < 40; ++id) {
    const std::vector<std::int64_t> x = table.indices(id);
    const double reward = table.score_of(table.trials[id]);
    if (id == 0) baseline = reward;  // the first teaches nothing
    for (std::size_t l = 0; l < x.size(); ++l) {
      double sum = 0;
      for (const double logit : theta[l]) sum += std::exp(logit);
      // Which candidate: the first whose cumulated probability lies above the number drawn.
      const double drawn = uniform({8, Purpose::architecture, id}, l);
      double cumulated = 0;
      std::size_t j = 0;
      while ((cumulated += std::exp(theta[l][j]) / sum) <= drawn) ++j;
      CHECK(static_cast<std::int64_t>(j) == x[l]);
      std::vector<double> moved = theta[l];
      for (std::size_t k = 0; k < moved.size(); ++k) {
        const double pi = std::exp(theta[l][k]) / sum;
        moved[k] += 1.5 * (reward - baseline) * ((k == j ? 1 : 0) - pi);
      }
      theta[l] = moved;
    }
    baseline = 0.75 * baseline + 0.25 * reward;
  }
}

TEST_CASE("reinforce: in the end it asks for what scores well") {
  const SearchSpace space = large_space();
  double first = 0, last = 0;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Table table(sum_of_choices(space), space);
    run(*make_strategy("reinforce", space, {.seed = seed, .trials = 300}), table);
    for (std::size_t i = 0; i < 10; ++i) {
      first += table.score_of(table.trials[i]) / 50;
      last += table.score_of(table.trials[290 + i]) / 50;
    }
  }
  CHECK(first < 0.62);
  CHECK(last > 0.8);
}
