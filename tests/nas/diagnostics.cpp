// Entropy, fairness of updates, and the warnings: each said when it is due and not otherwise.

#include "nas/diagnostics.h"

#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>

#include "nas/one_shot.h"

using namespace serenade;

namespace {

ChoiceRecord healthy_choice(const std::string& name) {
  ChoiceRecord choice{.name = name,
                      .candidates = {"5x5", "4x4", "4x6"},
                      .alphas = {0, 1, -1},
                      .probabilities = {0.24, 0.67, 0.09},
                      .best = 1,
                      .updates = {100, 105, 95},
                      .activation_rms = 0.5,
                      .gradient_norm = 1};
  choice.entropy = entropy(choice.probabilities);
  return choice;
}

std::vector<SearchRecord> healthy_history(std::size_t epochs) {
  std::vector<SearchRecord> history;
  for (std::size_t e = 0; e < epochs; ++e) {
    history.push_back({.epoch = static_cast<std::int64_t>(e),
                       .choices = {healthy_choice("conv3"), healthy_choice("conv4")}});
  }
  return history;
}

void check_only_warning(const std::vector<SearchRecord>& history, const std::string& expected) {
  const std::vector<std::string> warnings = search_warnings(history);
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == expected);
}

}  // namespace

TEST_CASE("entropy in nats") {
  CHECK(entropy({1, 0, 0}) == 0);
  CHECK(entropy({0.25, 0.25, 0.25, 0.25}) == doctest::Approx(std::log(4.0)));
  CHECK(entropy({0.5, 0.25, 0.25}) == doctest::Approx(1.5 * std::log(2.0)));
}

TEST_CASE("chi-square tail against printed tables") {
  CHECK(chi_square_tail(0, 3) == 1);
  CHECK(chi_square_tail(3.841459, 1) == doctest::Approx(0.05).epsilon(1e-5));
  CHECK(chi_square_tail(11.070498, 5) == doctest::Approx(0.05).epsilon(1e-5));
  CHECK(chi_square_tail(20.515006, 5) == doctest::Approx(0.001).epsilon(1e-5));
  CHECK(chi_square_tail(1.145476, 5) == doctest::Approx(0.95).epsilon(1e-5));
  CHECK(chi_square_tail(124.342113, 100) == doctest::Approx(0.05).epsilon(1e-5));
  CHECK(chi_square_tail(4, 2) == doctest::Approx(std::exp(-2.0)));  // exact for two degrees
  CHECK_THROWS_AS(chi_square_tail(-1, 2), std::invalid_argument);
  CHECK_THROWS_AS(chi_square_tail(1, 0), std::invalid_argument);
}

TEST_CASE("fairness of updates") {
  const UpdateFairness even = update_fairness({50, 50, 50});
  CHECK(even.ratio == 1);
  CHECK(even.chi_square == 0);
  CHECK(even.p_value == 1);
  const UpdateFairness uneven = update_fairness({30, 60, 90});
  CHECK(uneven.least == 30);
  CHECK(uneven.most == 90);
  CHECK(uneven.ratio == 3);
  CHECK(uneven.chi_square == doctest::Approx(30));
  CHECK(uneven.p_value < 1e-6);
  CHECK(std::isinf(update_fairness({0, 5}).ratio));
  CHECK(update_fairness({0, 0}).ratio == 1);
  CHECK(update_fairness({7}).p_value == 1);
  CHECK_THROWS_AS(update_fairness({}), std::invalid_argument);
}

TEST_CASE("warnings: silent on a healthy search") {
  CHECK(search_warnings({}).empty());
  CHECK(search_warnings(healthy_history(1)).empty());
  CHECK(search_warnings(healthy_history(60)).empty());
}

TEST_CASE("warnings: one sentence per problem") {
  std::vector<SearchRecord> history = healthy_history(20);
  ChoiceRecord& last = history.back().choices[0];
  SUBCASE("uneven updates") {
    last.updates = {100, 300, 200};
    check_only_warning(history, "candidate 4x4 of conv3 received 3 times the updates of 5x5");
  }
  SUBCASE("uneven by chance: too few updates to say so") {
    last.updates = {1, 3, 2};
    CHECK(search_warnings(history).empty());
  }
  SUBCASE("never trained") {
    last.updates = {100, 0, 100};
    check_only_warning(history, "candidate 4x4 of conv3 was never trained: nothing is known of it");
  }
  SUBCASE("a tie") {
    last.probabilities = {0.4, 0.401, 0.199};
    check_only_warning(
        history, "the choice of conv3 is nearly a tie: 4x4 has probability 0.401, 5x5 has 0.4");
  }
  SUBCASE("an exact tie") {
    last.probabilities = {0.4, 0.4, 0.2};
    last.best = 0;
    for (SearchRecord& record : history) record.choices[0].best = 0;
    check_only_warning(history,
                       "the choice of conv3 is nearly a tie: 5x5 has probability 0.4, 4x4 has 0.4");
  }
  SUBCASE("a vanished gradient") {
    last.gradient_norm = 6e-9;
    check_only_warning(history,
                       "the gradient of conv3 has vanished: its norm is 6e-09, the largest of all "
                       "layers 1");
  }
  SUBCASE("gradients that had vanished at the start") {
    for (const std::size_t epoch : {0u, 1u}) {
      history[epoch].choices[0].gradient_norm = 2e-7;
      history[epoch].choices[1].gradient_norm = 6e-9;
    }
    for (SearchRecord& record : history) {
      record.choices.push_back(healthy_choice("dense"));
    }
    check_only_warning(history,
                       "the gradients of conv3, conv4 had vanished in the first step (norms from "
                       "6e-09, the largest of all layers 1) and were back in epoch 3: before it "
                       "those layers learned little");
    history.front().choices[0].gradient_norm = 0;  // of a candidate without weights
    REQUIRE(search_warnings(history).size() == 1);
    CHECK(search_warnings(history)[0].starts_with("the gradients of conv4 had vanished"));
  }
  SUBCASE("a vanished output") {
    last.activation_rms = 1e-6;
    check_only_warning(history,
                       "the output of conv3 has vanished: its root mean square is 1e-06, the "
                       "largest of all layers 0.5");
  }
  SUBCASE("decided at once") {
    for (SearchRecord& record : history) record.choices[0].entropy = 0.01;
    check_only_warning(history,
                       "choice conv3 was decided within 3 of 20 epochs, before the weights had "
                       "learned much");
  }
  SUBCASE("still changing") {
    last.best = 2;
    last.probabilities = {0.24, 0.09, 0.67};
    check_only_warning(history,
                       "the choice of conv3 still changed near the end, from 4x4 to 4x6: search "
                       "longer");
  }
}

TEST_CASE("warnings: a strategy says what fits its answer") {
  const SearchSpace space{
      .choices = {{"conv3", {"5x5", "4x4", "4x6"}}, {"conv4", {"5x5", "4x4", "4x6"}}}};
  // As those that write their answer into the alphas leave them: nearly a tie, then changed.
  std::vector<SearchRecord> history = healthy_history(30);
  history.back().choices[0].best = 2;
  history.back().choices[0].probabilities = {0.335, 0.33, 0.335};
  history.back().choices[1].updates = {100, 0, 95};
  const auto warnings_of = [&](const char* name, const std::vector<SearchRecord>& records) {
    return make_one_shot(name, space, {.epochs = 30})->warnings(records);
  };
  const std::string untrained = "candidate 4x4 of conv4 was never trained: nothing is known of it";
  const std::vector<std::string> all = search_warnings(history);
  REQUIRE(all.size() == 3);  // that one, the tie, the late change
  CHECK(warnings_of("darts", history) == all);
  for (const char* name : {"spos", "enas", "darts_pt"}) {
    CAPTURE(name);
    CHECK(warnings_of(name, history) == std::vector<std::string>{untrained});
  }
  // A stop takes the alphas of six epochs before: what came later is none of the answer's.
  CHECK(warnings_of("darts_es", history) == all);
  for (std::size_t e = 0; e < 30; ++e) history[e].values["eigenvalue"] = e < 25 ? 1 : 2;
  CHECK(warnings_of("darts_es", history).empty());
  history[23].choices[0].best = 2;  // of the answer
  history[23].choices[0].probabilities = {0.24, 0.09, 0.67};
  CHECK(warnings_of("darts_es", history).size() == 1);
}
