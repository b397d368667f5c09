// Replays judged by resampled runs and parts, with costs of their own, on a table and on a model of
// it. Those of random search and halving by their definitions: result_table.cpp.

#include "nas/replay.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Shares of the parts A, B and C, of 100 each: A likes a, B and C like b.
ResultTable measured() {
  ResultTable table(table_space());
  for (std::int64_t i = 0; i < 12; ++i) {
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      const ChoiceIndices x = {i / 3, i % 3};
      table.add({x, seed, 1, "A", 1, 20 + 10 * x[0] + seed, 100});
      table.add({x, seed, 1, "B", 1, 40 + 8 * x[1] + seed, 100});
      table.add({x, seed, 1, "C", 1, 30 + 2 * x[0] + 4 * x[1], 100});
    }
  }
  return table;
}

MakeStrategy random_search(std::int64_t trials = 12) {
  return [trials](std::uint64_t seed) {
    return make_strategy("random", table_space(), {.seed = seed, .trials = trials});
  };
}

}  // namespace

TEST_CASE("judge: regret by weighted parts") {
  const ResultTable table = measured();
  const Judge judge(table, {"A", "B"});
  CHECK(judge.parts() == 2);
  const std::vector<double> all = judge.regrets({1, 1}), only_b = judge.regrets({0, 2});
  for (std::int64_t i = 0; i < 12; ++i) {
    const std::size_t at = judge.position(i);
    const auto short_a = static_cast<double>(3 - i / 3), short_b = static_cast<double>(2 - i % 3);
    CHECK(all[at] == doctest::Approx((10 * short_a + 8 * short_b) / 200).epsilon(1e-12));
    CHECK(only_b[at] == doctest::Approx(8 * short_b / 100).epsilon(1e-12));
  }
  CHECK_THROWS_AS(Judge(table, {"Z"}), std::invalid_argument);
}

TEST_CASE("regret points: which part of the interval is the runs' and which the parts'") {
  const ResultTable table = measured();
  const Judge judge(table, {"A", "B"}), other(table, {"C"});
  const ReplayOptions options{.resamples = 3000};
  // All runs say a=1 b=3: to A the worst, to B the best. Of four resamples one is A twice.
  const ReplayAnswers same(50, {2});
  const RegretPoint certain = regret_points({{&judge, same}}, {1}, options)[0];
  CHECK(certain.cost == 1);
  CHECK(certain.by_runs.estimate == doctest::Approx(0.15).epsilon(1e-12));
  CHECK(certain.by_runs.low == doctest::Approx(0.15).epsilon(1e-12));
  CHECK(certain.by_runs.high == doctest::Approx(0.15).epsilon(1e-12));
  for (const Interval& interval : {certain.by_parts, certain.regret}) {
    CHECK(interval.estimate == doctest::Approx(0.15).epsilon(1e-12));
    CHECK(interval.low == doctest::Approx(0).epsilon(1e-12));
    CHECK(interval.high == doctest::Approx(0.3).epsilon(1e-12));
  }
  // One part alone: it cannot be drawn otherwise. Half of the runs answer best, half worst (0.14).
  ReplayAnswers halves(200, {11});
  for (std::size_t i = 0; i < 100; ++i) halves[i] = {0};
  const RegretPoint tossed = regret_points({{&other, halves}}, {1}, options)[0];
  CHECK(tossed.by_parts.low == tossed.by_parts.high);
  CHECK(tossed.regret.estimate == doctest::Approx(0.07).epsilon(1e-12));
  const double deviation = 0.07 / std::sqrt(200);
  CHECK((tossed.regret.high - tossed.regret.low) / (2 * 1.96 * deviation) ==
        doctest::Approx(1).epsilon(0.1));
  CHECK(tossed.by_runs.high == tossed.regret.high);
  // Both: the mean of the two, with half of each one's spread.
  const RegretPoint both = regret_points({{&judge, same}, {&other, halves}}, {1}, options)[0];
  CHECK(both.regret.estimate == doctest::Approx((0.15 + 0.07) / 2).epsilon(1e-12));
  CHECK(both.by_parts.low == doctest::Approx(0.07 / 2).epsilon(1e-12));
  CHECK(both.by_parts.high == doctest::Approx((0.3 + 0.07) / 2).epsilon(1e-12));
  CHECK_THROWS_AS(regret_points({}, {1}, options), std::invalid_argument);
  CHECK_THROWS_AS(regret_points({{&judge, {}}}, {1}, options), std::invalid_argument);
  CHECK_THROWS_AS(regret_points({{&judge, same}}, {1}, {.level = 1}), std::invalid_argument);
}

TEST_CASE("replay: trainings that cost half are done twice as early; costs may differ") {
  const ResultTable table = measured();
  const TableReading half{.cost = [](const Genotype&) { return 0.5; }};
  const auto whole = replay_answers(table, {"A"}, random_search(), {2, 4, 6}, 3, 40);
  CHECK(whole == replay_answers(table, {"A"}, random_search(), {1, 2, 3}, 3, 40, half));
  CHECK(whole[0] == replay_answers(table, {"A"}, random_search(), {2, 4, 6}, 3, 1)[0]);
  CHECK(whole[39] == replay_answers(table, {"A"}, random_search(), {2, 4, 6}, 42, 1)[0]);
  // Nothing that is dearer than what is left is paid for.
  const TableReading dear{
      .cost = [](const Genotype& genotype) { return genotype.candidate("a") == "1" ? 100 : 1; }};
  bool some = false;
  for (const auto& answers : replay_answers(table, {"A"}, random_search(6), {0, 12}, 0, 40, dear)) {
    // The first answer is given untold, for nothing; then what was affordable counts.
    const bool first_is_dear = answers[0] / 3 == 0;
    if (!first_is_dear) CHECK(answers[1] / 3 != 0);
    some |= first_is_dear;
  }
  CHECK(some);
}

TEST_CASE("replay: on a model of some architectures a strategy may ask for any") {
  ResultTable some(table_space());
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < 12; ++i) {
    if (i == 11 || i == 4) continue;  // the best is not among them
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      const ChoiceIndices x = {i / 3, i % 3};
      for (const char* part : {"A", "B"}) {
        const std::int64_t luck = (7 * i + 3 * seed) % 5;
        some.add({x, seed, 1, part, 1, 200 + 100 * x[0] + 80 * x[1] + luck, 1000});
      }
    }
    ++count;
  }
  REQUIRE(count == 10);
  const TableModel model(some);
  const TableReading reading{.model = &model};
  const auto points = replay_regret(some, {"A"}, {"B"}, random_search(), {1, 12},
                                    {.repeats = 50, .resamples = 200}, reading);
  CHECK(points[1].regret.estimate == doctest::Approx(0).epsilon(1e-12));
  CHECK(points[0].regret.estimate > 0.1);
  CHECK(Judge(some, {"B"}, reading).regrets({1})[11] == 0);
  CHECK(Judge(some, {"B"}, reading).position(11) == 11);
  CHECK(contains(message_of([&] { replay_regret(some, {"A"}, {"B"}, random_search(), {12}); }),
                 "table: holds no result of"));
}
