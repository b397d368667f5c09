// What a search did: trials and the best so far, measured values, how far it went.

#include "apps/ser/report/search_course.h"

#include <doctest/doctest.h>

#include <cmath>

#include "apps/ser/models/recognizer.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

SearchSpace space() {
  return {.choices = {{.name = "conv", .candidates = {"3x3", "5x5"}, .kind = "conv"}}};
}

TrialRecord trial(std::int64_t candidate, std::int64_t epochs, double score, double cost) {
  return {make_genotype(space(), {candidate}), epochs, {.score = score, .cost = cost}};
}

SearchRecord record(std::int64_t epoch, std::int64_t best) {
  return {.epoch = epoch,
          .choices = {{.name = "conv",
                       .candidates = {"3x3", "5x5"},
                       .alphas = {0, 0},
                       .probabilities = {0.5, 0.5},
                       .best = best,
                       .updates = {1, 1}}}};
}

}  // namespace

TEST_CASE("search course: the best so far, which a longer training may take over") {
  // As halving does: three short ones, then the best of them at full length.
  const std::vector<TrialRecord> trials = {trial(0, 2, 0.5, 0.25), trial(1, 2, 0.75, 0.25),
                                           trial(0, 2, 0.75, 0.25), trial(1, 8, 0.625, 1)};
  const std::vector<TrialPoint> points = trial_points(trials);
  REQUIRE(points.size() == 4);
  const std::vector<double> best = {0.5, 0.75, 0.75, 0.625}, cost = {0.25, 0.5, 0.75, 1.75};
  const std::vector<bool> is_best = {true, true, false, true};  // the first on ties
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(points[i].best_score == best[i]);
    CHECK(points[i].cost == cost[i]);
    CHECK(points[i].is_best == is_best[i]);
  }
  CHECK(points[1].architecture == "conv=5x5");
  FoldRun run;
  run.trials = trials;
  CHECK(trials_csv(run) ==
        "trial,architecture,epochs,score,cost_so_far,best_score\n1,conv=3x3,2,0.5,0.25,0.5\n"
        "2,conv=5x5,2,0.75,0.5,0.75\n3,conv=3x3,2,0.75,0.75,0.75\n4,conv=5x5,8,0.625,1.75,0.625\n");
  const std::vector<std::string> facts = search_facts(run, space(), 4);
  REQUIRE(facts.size() == 1);
  CHECK(facts[0] == "Trials: 4, at the cost of 1.75 whole trainings. The best is trial 4.");
  CHECK(search_facts({}, space(), 0).empty());
  run.trials[2].outcome.cost = 0;
  CHECK(search_facts(run, space(), 4)[1] ==
        "Trials that had been trained before, and were not trained again: 1.");
}

TEST_CASE("search course: scores without a training, the best first, with the trials that follow") {
  FoldRun run;
  run.scored = {{make_genotype(space(), {0}), 0.25}, {make_genotype(space(), {1}), 3}};
  run.trials = {trial(1, 2, 0.5, 1)};
  const std::vector<ScoredPoint> points = scored_points(run);
  REQUIRE(points.size() == 2);
  CHECK(points[0].architecture == "conv=5x5");
  CHECK(points[0].score == 3);
  CHECK(points[0].trial == 1);
  CHECK(points[1].score == 0.25);
  CHECK(points[1].trial == 0);
  CHECK(trials_csv(run) ==
        "trial,architecture,epochs,score,cost_so_far,best_score,untrained_score\n"
        "1,conv=5x5,2,0.5,1,0.5,3\n,conv=3x3,0,,,,0.25\n");
  CHECK(search_facts(run, space(), 1).back() ==
        "Scored without a training: 2; the best of them were trained.");
}

TEST_CASE("search course: an early end, and an answer that is not the last choice") {
  FoldRun run;
  run.history = {record(0, 1), record(1, 1), record(2, 0)};
  run.genotype = make_genotype(space(), {0});
  CHECK(search_facts(run, space(), 3) ==
        std::vector<std::string>{"The supernet was trained for 3 epochs."});
  run.genotype = make_genotype(space(), {1});
  CHECK(search_facts(run, space(), 8) ==
        std::vector<std::string>{"The search ended by itself after 3 epochs of 8.",
                                 "The answer is what epoch 2 had chosen, not the last one."});
}

TEST_CASE("search course: measured values by name and epoch") {
  std::vector<SearchRecord> history = {record(0, 0), record(1, 0), record(2, 0)};
  history[0].values = {{"eigenvalue", 0.5}};
  history[2].values = {{"eigenvalue", 2}, {"a, b", 0.25}};
  const std::vector<MeasuredValue> measured = measured_values(history);
  REQUIRE(measured.size() == 2);
  CHECK(measured[0].name == "a, b");
  CHECK(std::isnan(measured[0].values[0]));
  CHECK(measured[0].values[2] == 0.25);
  CHECK(measured[1].values[0] == 0.5);
  CHECK(std::isnan(measured[1].values[1]));
  CHECK(measured_csv(history) ==
        "epoch,name,value\n1,eigenvalue,0.5\n3,\"a, b\",0.25\n3,eigenvalue,2\n");
}
