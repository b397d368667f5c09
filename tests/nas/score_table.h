#pragma once
// A problem of three lines for tests of black-box strategies: the scores of all architectures are
// in a table.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "nas/strategy.h"

namespace serenade {

inline SearchSpace table_space() {
  return {.choices = {{"a", {"1", "2", "3", "4"}}, {"b", {"1", "2", "3"}}}, .system = "table"};
}

/// Scores of table_space(): no two alike; the best is number 7, a=3 b=2.
inline const std::vector<double> kScores = {0.1, 0.3, 0.2, 0.4,  0.6,  0.5,
                                            0.7, 0.9, 0.8, 0.45, 0.65, 0.35};

/// As many choices and candidates as the space of Wu et al. has: 6 * 6 * 6 * 6 * 4 = 5,184.
inline SearchSpace large_space() {
  const std::vector<std::string> six = {"a", "b", "c", "d", "e", "f"};
  return {.choices = {{"one", six},
                      {"two", six},
                      {"three", six},
                      {"four", six},
                      {"five", {"a", "b", "c", "d"}}},
          .system = "large"};
}

struct Table : Problem {
  SearchSpace searched;
  std::vector<double> scores;
  std::vector<Trial> trials;
  explicit Table(std::vector<double> table, SearchSpace space = table_space())
      : searched(std::move(space)), scores(std::move(table)) {}

  const SearchSpace& space() const override { return searched; }
  Outcome evaluate(const Trial& trial) override {
    trials.push_back(trial);
    return {.score = score_of(trial), .cost = 1};
  }
  double score_of(const Trial& trial) const {
    return scores[static_cast<std::size_t>(genotype_index(trial.genotype, searched))];
  }
  std::vector<std::int64_t> indices(std::size_t trial) const {
    return choice_indices(trials[trial].genotype, searched);
  }
};

/// Scores in which every choice has its say: 0 .. 1, the last candidates being the best.
inline std::vector<double> sum_of_choices(const SearchSpace& space) {
  std::vector<double> scores;
  for (const Genotype& genotype : enumerate_genotypes(space)) {
    double sum = 0;
    const std::vector<std::int64_t> x = choice_indices(genotype, space);
    for (std::size_t l = 0; l < x.size(); ++l) {
      sum += static_cast<double>(x[l]) / static_cast<double>(space.choices[l].size() - 1);
    }
    scores.push_back(sum / static_cast<double>(x.size()));
  }
  return scores;
}

inline void run(Strategy& strategy, Problem& problem) {
  while (strategy.advance(problem)) {
  }
}

/// The number of choices in which two architectures differ.
inline int distance(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  int differ = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differ += a[i] == b[i] ? 0 : 1;
  return differ;
}

}  // namespace serenade
