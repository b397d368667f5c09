// Regularised evolution: who the parent is, what the child changes, who dies.

#include <doctest/doctest.h>

#include <map>

#include "tests/nas/score_table.h"

using namespace serenade;

namespace {

Table evolve(const StrategyOptions& options, const std::vector<double>& scores) {
  Table table(scores, large_space());
  run(*make_strategy("evolution", large_space(), options), table);
  return table;
}

// A problem that gives the scores in the order of asking.
struct Course : Problem {
  SearchSpace searched = large_space();
  std::vector<double> scores;
  std::vector<std::vector<std::int64_t>> asked;
  const SearchSpace& space() const override { return searched; }
  Outcome evaluate(const Trial& trial) override {
    asked.push_back(choice_indices(trial.genotype, searched));
    return {.score = scores.at(static_cast<std::size_t>(trial.id)), .cost = 1};
  }
};

}  // namespace

TEST_CASE("evolution: a seeded trace, by hand") {
  constexpr std::int64_t kPopulation = 6, kTournament = 3;
  const std::vector<double> scores = sum_of_choices(large_space());
  const Table table = evolve(
      {.seed = 5, .trials = 60, .population = kPopulation, .tournament = kTournament}, scores);
  REQUIRE(table.trials.size() == 60);
  for (std::size_t id = 0; id < table.trials.size(); ++id) {
    const RandomKey key{5, Purpose::architecture, id};
    if (id < kPopulation) {
      CHECK(table.trials[id].genotype == random_genotype(large_space(), key));
      continue;
    }
    // The draws, in their order: the tournament, the choice, the other candidate.
    std::size_t parent = 0;
    for (std::uint64_t i = 0; i < kTournament; ++i) {
      const std::size_t drawn =
          id - kPopulation + static_cast<std::size_t>(random_integer(key, i, kPopulation));
      if (i == 0 || table.score_of(table.trials[drawn]) > table.score_of(table.trials[parent])) {
        parent = drawn;
      }
    }
    CHECK(distance(table.indices(id), table.indices(parent)) == 1);
    const auto choice = static_cast<std::size_t>(random_integer(key, kTournament, 5));
    CHECK(table.indices(id)[choice] != table.indices(parent)[choice]);
  }
}

TEST_CASE("evolution: the oldest dies, however good it is, and is remembered") {
  // The first is by far the best, then each is better than the one before it; with a tournament of
  // 200 draws the parent is the best that lives.
  Course course;
  course.scores = {100};
  for (int i = 1; i < 30; ++i) course.scores.push_back(i);
  const auto strategy = make_strategy(
      "evolution", large_space(), {.seed = 1, .trials = 30, .population = 4, .tournament = 200});
  run(*strategy, course);
  CHECK(distance(course.asked[4], course.asked[0]) == 1);  // the first one lives until here
  for (std::size_t id = 5; id < 30; ++id) {
    CHECK(distance(course.asked[id], course.asked[id - 1]) == 1);
  }
  CHECK(strategy->recommend() == make_genotype(large_space(), course.asked[0]));
}

TEST_CASE("evolution: the choice, its new candidate and the parent are drawn evenly") {
  // A population of one is a random walk: every step tells which choice was changed, to what.
  const Table walk = evolve({.seed = 2, .trials = 5001, .population = 1, .tournament = 1},
                            sum_of_choices(large_space()));
  std::map<std::size_t, int> changed;
  std::map<std::int64_t, int> steps;  // of the first choice, modulo 6
  for (std::size_t id = 1; id < walk.trials.size(); ++id) {
    const auto from = walk.indices(id - 1), to = walk.indices(id);
    REQUIRE(distance(from, to) == 1);
    for (std::size_t l = 0; l < from.size(); ++l) changed[l] += from[l] == to[l] ? 0 : 1;
    if (from[0] != to[0]) ++steps[(to[0] - from[0] + 6) % 6];
  }
  for (std::size_t l = 0; l < 5; ++l) CHECK(std::abs(changed[l] - 1000) < 4 * 28.3);  // 4 sigma
  CHECK(steps.size() == 5);
  for (const auto& [step, count] : steps) CHECK(std::abs(count - 200) < 4 * 13);
}

TEST_CASE("evolution: a choice without an alternative is left alone") {
  const SearchSpace space = {.choices = {{"fixed", {"x"}}, {"free", {"1", "2", "3"}}}};
  Table table({0, 1, 2}, space);
  run(*make_strategy("evolution", space, {.seed = 1, .trials = 20, .population = 2}), table);
  for (std::size_t id = 0; id < 20; ++id) CHECK(table.indices(id)[0] == 0);
}

TEST_CASE("evolution: finds what random search of the same cost does not") {
  double evolved = 0, drawn = 0;
  const std::vector<double> scores = sum_of_choices(large_space());
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    for (const char* name : {"evolution", "random"}) {
      Table table(scores, large_space());
      const auto strategy = make_strategy(name, large_space(), {.seed = seed, .trials = 80});
      run(*strategy, table);
      (name[0] == 'e' ? evolved : drawn) += table.score_of({.genotype = strategy->recommend()});
    }
  }
  CHECK(evolved / 20 > 0.9);
  CHECK(drawn / 20 < evolved / 20);
}
