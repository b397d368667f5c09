// Successive halving: budgets, survivors, cost.

#include <doctest/doctest.h>

#include "tests/nas/score_table.h"

using namespace serenade;

namespace {

// What is good after few epochs need not be after many.
struct Growing : Problem {
  SearchSpace searched = large_space();
  std::int64_t whole = 20;
  std::vector<Trial> trials;
  std::vector<double> scores;
  double cost = 0;     ///< in trainings
  double growth = -1;  ///< of scores, per epoch
  const SearchSpace& space() const override { return searched; }
  Outcome evaluate(const Trial& trial) override {
    const auto index = static_cast<std::uint64_t>(genotype_index(trial.genotype, searched));
    const auto epochs = static_cast<std::uint64_t>(trial.epochs);
    trials.push_back(trial);
    scores.push_back(uniform({9, Purpose::test, epochs}, index) +
                     growth * static_cast<double>(epochs));
    const double share = static_cast<double>(trial.epochs) / static_cast<double>(whole);
    cost += share;
    return {.score = scores.back(), .cost = share};
  }
};

using Budgets = std::vector<std::pair<std::int64_t, std::int64_t>>;  // architectures, epochs

Budgets budgets(std::int64_t trials, std::int64_t epochs, std::int64_t reduction) {
  Growing problem;
  const auto strategy =
      make_strategy("halving", large_space(),
                    {.trials = trials, .training_epochs = epochs, .reduction = reduction});
  run(*strategy, problem);
  CHECK(strategy->planned_steps() == std::ssize(problem.trials));
  Budgets found;
  for (const Trial& trial : problem.trials) {
    if (found.empty() || found.back().second != trial.epochs) found.push_back({0, trial.epochs});
    ++found.back().first;
  }
  return found;
}

}  // namespace

TEST_CASE("halving: budgets, those of Hyperband's Table 1 among them") {
  CHECK(budgets(81, 81, 3) == Budgets{{81, 1}, {27, 3}, {9, 9}, {3, 27}, {1, 81}});
  CHECK(budgets(27, 81, 3) == Budgets{{27, 3}, {9, 9}, {3, 27}, {1, 81}});
  CHECK(budgets(9, 20, 3) == Budgets{{9, 2}, {3, 6}, {1, 20}});
  CHECK(budgets(11, 20, 3) == Budgets{{11, 2}, {3, 6}, {1, 20}});
  CHECK(budgets(16, 20, 2) == Budgets{{16, 1}, {8, 2}, {4, 5}, {2, 10}, {1, 20}});
  // Few epochs leave few rungs, and then more than one architecture is trained to the end.
  CHECK(budgets(40, 4, 3) == Budgets{{40, 1}, {13, 4}});
  CHECK(budgets(5, 1, 3) == Budgets{{5, 1}});
  CHECK(budgets(2, 20, 3) == Budgets{{2, 20}});
  CHECK(budgets(1, 20, 3) == Budgets{{1, 20}});
}

TEST_CASE("halving: survivors of a seeded trace, the answer, and the whole cost") {
  // Whoever compares across rungs is found out by one or the other.
  for (const double growth : {-1.0, 1.0}) {
    Growing problem;
    problem.growth = growth;
    const auto strategy = make_strategy("halving", large_space(), {.seed = 6, .trials = 9});
    run(*strategy, problem);
    REQUIRE(problem.trials.size() == 13);
    const std::vector<Genotype> drawn =
        random_genotypes(large_space(), 9, {6, Purpose::architecture, 0});
    for (std::size_t i = 0; i < 9; ++i) CHECK(problem.trials[i].genotype == drawn[i]);
    // Those of the second rung: each beats the next, and all that are not among them.
    const auto place = [&](std::size_t begin, std::size_t end, std::size_t trial) {
      std::size_t better = 0, own = end;
      for (std::size_t i = begin; i < end; ++i) {
        if (problem.trials[i].genotype == problem.trials[trial].genotype) own = i;
      }
      REQUIRE(own < end);
      for (std::size_t i = begin; i < end; ++i) better += problem.scores[i] > problem.scores[own];
      return better;
    };
    for (std::size_t i = 0; i < 3; ++i) CHECK(place(0, 9, 9 + i) == i);
    CHECK(place(9, 12, 12) == 0);
    CHECK(strategy->recommend() == problem.trials[12].genotype);
    CHECK(problem.cost == doctest::Approx((9 * 2 + 3 * 6 + 1 * 20) / 20.0).epsilon(1e-12));
  }
}

TEST_CASE("halving: equals go on in the order in which they were drawn") {
  const std::vector<Genotype> drawn =
      random_genotypes(large_space(), 9, {6, Purpose::architecture, 0});
  Table flat(std::vector<double>(5184, 1), large_space());
  run(*make_strategy("halving", large_space(), {.seed = 6, .trials = 9}), flat);
  for (std::size_t i = 0; i < 3; ++i) CHECK(flat.trials[9 + i].genotype == drawn[i]);
  CHECK(flat.trials[12].genotype == drawn[0]);
}
