// First-order DARTS, the default of one-shot strategies, is path dropout with none masked.

#include <doctest/doctest.h>

#include <memory>

#include "nas/history.h"
#include "nas/one_shot.h"
#include "nas/supernet_search.h"
#include "tests/nas/toy.h"

using namespace serenade;

TEST_CASE("darts: equals dropout without a masked candidate, bit for bit") {
  const StrategyOptions options{
      .seed = 4, .epochs = 3, .learning_rate = 0.02, .alpha_learning_rate = 0.02, .num_masked = 0};
  const auto darts = make_one_shot("darts", toy_space(), options);
  const auto dropout = make_one_shot("dropout", toy_space(), options);
  for (const std::int64_t n : {1, 4, 7}) CHECK(darts->initial_gain(n) == dropout->initial_gain(n));
  ToyProblem problem, other;
  while (darts->advance(problem)) {
  }
  while (dropout->advance(other)) {
  }
  CHECK(problem.losses.size() == 3 * kToySteps);
  CHECK(problem.losses == other.losses);
  CHECK(darts->search()->alphas() == dropout->search()->alphas());
  CHECK(darts->search()->alphas() != std::vector<std::vector<double>>(2, {0, 0, 0, 0}));
  CHECK(history_json(darts->search()->history()) == history_json(dropout->search()->history()));
  CHECK(same_numbers(problem.net->state_dict(), other.net->state_dict()));
}
