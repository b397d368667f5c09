// Regret of strategies as a picture and a table, and what a table of trainings says in words.

#include "apps/ser/report/strategy_regret.h"

#include <doctest/doctest.h>

#include <cmath>

#include "apps/ser/common/error.h"
#include "apps/ser/common/files.h"
#include "apps/ser/report/search_answers.h"
#include "apps/ser/report/table_summary.h"
#include "apps/ser/training/experiment.h"
#include "tensor/random.h"
#include "tests/apps/ser/common/files.h"
#include "tests/apps/ser/report/markup.h"

using namespace serenade;
using namespace serenade::ser;

namespace {

RegretPoint point(double cost, double regret, double runs, double speakers) {
  const double both = std::hypot(runs, speakers);
  return {.cost = cost,
          .regret = {regret, regret - both, regret + both},
          .by_runs = {regret, regret - runs, regret + runs},
          .by_parts = {regret, regret - speakers, regret + speakers}};
}

RegretComparison comparison() {
  return {.title = "A & B: regret",
          .notes = {"All scores are made up."},
          .strategies = {
              {"random", {point(1, 0.08, 0.003, 0.004), point(10, 0.05, 0.003, 0.004)}, 1000},
              {"evolution", {point(1, 0.08, 0.003, 0.004), point(10, 0.04, 0.001, 0.008)}, 1000}}};
}

SearchSpace small_space() {
  return {.choices = {{"a", {"1", "2", "3", "4", "5", "6"}}, {"b", {"1", "2", "3", "4", "5", "6"}}},
          .system = "small"};
}

// 30 of 36 architectures, worth 50 % and `step` more for each candidate of a.
ResultTable trainings(double step, std::int64_t seeds) {
  ResultTable table(small_space());
  for (std::int64_t i = 0; i < 30; ++i) {
    for (std::int64_t seed = 0; seed < seeds; ++seed) {
      for (std::uint64_t p = 0; p < 6; ++p) {
        const RandomKey key{8, Purpose::test, static_cast<std::uint64_t>(2 * i + seed)};
        for (std::int64_t epoch = 1; epoch <= 6; ++epoch) {
          const double share = 0.5 + step * static_cast<double>(i / 6) + 0.02 * normal(key, p);
          table.add({{i / 6, i % 6},
                     seed,
                     epoch,
                     "speaker " + std::to_string(p),
                     1,
                     std::lround(1000 * share),
                     1000});
        }
      }
    }
  }
  return table;
}

}  // namespace

TEST_CASE("regret of strategies: a line and a band each, and the same numbers as a table") {
  const std::string svg = draw_regret(comparison(), true);
  CHECK(markup_problem(svg) == "");
  CHECK(occurrences(svg, "<polyline") == 2);
  CHECK(occurrences(svg, "<polygon") == 2);
  CHECK(contains(svg, ">evolution</text>"));
  CHECK(contains(svg, "random, 10: 5.0%"));
  CHECK(contains(svg, ">5</text>"));  // between 1 and 10 on an axis of decades
  const std::string rows = regret_rows(comparison()).to_markdown();
  CHECK(contains(rows, "evolution"));
  CHECK(contains(rows, "3.90 .. 4.10"));
  CHECK(contains(rows, "3.20 .. 4.80"));
  CHECK(widest_chance(comparison()) ==
        "At the largest cost, the speakers dominate the interval: they make it 3 times as wide as "
        "the runs do (mean over strategies).");
  RegretComparison one = comparison();
  one.speakers_drawn = false;
  CHECK(contains(widest_chance(one), "One speaker judges"));
  CHECK_FALSE(contains(regret_rows(one).to_markdown(), "3.20 .. 4.80"));
}

TEST_CASE("regret of strategies: one strategy is named, and a cost of 0 is drawn") {
  RegretComparison one = comparison();
  one.strategies.resize(1);
  CHECK(contains(draw_regret(one), ">random</text>"));
  one.strategies[0].points.insert(one.strategies[0].points.begin(), point(0, 0.09, 0.01, 0.01));
  const std::string svg = draw_regret(one);
  CHECK(markup_problem(svg) == "");
  CHECK(contains(svg, "random, 0: 9.0%"));
  CHECK(contains(svg, "random, 10: 5.0%"));
}

TEST_CASE("regret of strategies: what was searched has no cost, and is dashed at all of them") {
  RegretComparison compared = comparison();
  compared.strategies.push_back({"dropout", {point(0, 0.06, 0.5, 0.5)}, 1, true});
  const std::string svg = draw_regret(compared);
  CHECK(markup_problem(svg) == "");
  CHECK(occurrences(svg, "<polyline") == 3);
  CHECK(contains(svg, "dropout, 1: 6.0%"));
  CHECK(contains(svg, "dropout, 10: 6.0%"));
  CHECK(contains(regret_rows(compared).to_markdown(), "| dropout | - | 6.00 |"));
  CHECK(widest_chance(compared) == widest_chance(comparison()));
  // One run has no spread.
  CHECK(contains(regret_rows(compared).to_markdown(), "| - | -44.00 .. 56.00 |"));
  RegretComparison once = comparison();
  for (StrategyRegret& one : once.strategies) one.runs = 1;
  CHECK(contains(widest_chance(once), "One run of each strategy"));
}

TEST_CASE("regret of strategies: the folder holds a page and its picture") {
  const TemporaryFolder folder;
  write_regret(folder / "regret", comparison());
  CHECK(read_text_file(folder / "regret/regret.svg") == draw_regret(comparison(), true));
  const std::string page = read_text_file(folder / "regret/regret.md");
  CHECK(contains(page, "# A & B: regret\n\n- All scores are made up.\n- At the largest cost"));
  CHECK(contains(page, "![regret over cost](regret.svg)"));
  CHECK(contains(page, regret_rows(comparison()).to_markdown()));
}

TEST_CASE("search answers: what folds have found, by strategy, for the side that judges") {
  const TemporaryFolder folder;
  Config config;
  config.strategy = "dropout";
  config.resolve();
  const SearchSpace space = search_space(config.options);
  const auto write = [&](const std::string& name, const std::string& fold, std::int64_t number,
                         const std::vector<std::string>& speakers) {
    FoldRun run;
    run.fold = fold;
    run.genotype = genotype_at(space, number);
    for (const std::string& speaker : speakers) {
      run.predictions.push_back({speaker + "_1", speaker, 0, 0, {1, 0, 0, 0}, fold});
    }
    make_folder(folder / name + "/checkpoint");
    write_text_file(folder / name + "/config.json", to_json(config));
    write_text_file(folder / name + "/checkpoint/" + fold + ".json", to_json(run));
  };
  write("one", "session1-test-A", 7, {"A", "A"});
  write("one", "session1-test-B", 8, {"B"});
  write("two", "session1-test-first", 9, {"C", "A", "C"});
  const auto found = read_search_answers({folder / "one", folder / "two"}, config);
  REQUIRE(found.size() == 1);
  CHECK(found[0].strategy == "dropout");
  CHECK(found[0].of({"A", "A+C"}) == ReplayAnswers{{7}, {9}});
  CHECK(found[0].of({"B"}) == ReplayAnswers{{8}});
  CHECK(found[0].of({"C"}).empty());
  Config other = config;
  set_value(other, "preset", "mel");
  CHECK_THROWS_AS(read_search_answers({folder / "one"}, other), InputError);
  make_folder(folder / "empty");
  CHECK_THROWS_AS(read_search_answers({folder / "empty"}, config), IoError);
  write_text_file(folder / "empty/config.json", to_json(config));
  CHECK_THROWS_AS(read_search_answers({folder / "empty"}, config), InputError);
}

TEST_CASE("table summary: differences that are there, and noise alone") {
  const std::string seen = table_summary(trainings(0.05, 2));
  CHECK(contains(seen, "30 architectures of 36, 2 seeds, 6 epochs, 6 speakers"));
  CHECK(contains(seen, "epoch 5 and epoch 6"));
  CHECK_FALSE(contains(seen, "left out"));
  CHECK(contains(seen, "choosing gains something: strategies can be compared here"));
  const std::string noise = table_summary(trainings(0, 2));
  CHECK(
      contains(noise, "No difference between architectures is seen beyond that between trainings"));
  CHECK(noise_warning(trainings(0.05, 2)).empty());
  CHECK(contains(noise_warning(trainings(0, 2)), "nothing here ranks strategies"));
  CHECK(noise_warning(trainings(0, 1)).empty());  // nobody can tell
}

TEST_CASE("table summary: a correlation below 0 is none, and no share below 0 %") {
  // Each architecture is as good as all others on average over its two trainings.
  ResultTable table(small_space());
  for (std::int64_t i = 0; i < 12; ++i) {
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      table.add({{i / 6, i % 6}, seed, 1, "A", 1, seed == i % 2 ? 40 : 60, 100});
    }
  }
  const std::string summary = table_summary(table);
  CHECK(contains(summary, "score nothing that is seen is its architecture's"));
  CHECK(contains(summary, "of the mean of the seeds nothing that is seen."));
  CHECK_FALSE(contains(summary, "score -"));
}

TEST_CASE("table summary: what a small table cannot tell is said") {
  const std::string one_seed = table_summary(trainings(0.05, 1));
  CHECK(contains(one_seed, "how well a training can be told at all is not known"));
  CHECK(contains(one_seed, "choice"));
  CHECK_FALSE(contains(one_seed, "intra-class"));
  ResultTable few(small_space());
  few.add({{0, 0}, 0, 1, "A", 1, 1, 2});
  CHECK(contains(table_summary(few), "One architecture has nothing to be ranked"));
  few.add({{0, 1}, 0, 1, "A", 1, 2, 2});
  few.add({{0, 2}, 0, 1, "A", 1, 2, 2});
  few.add({{1, 2}, 0, 1, "A", 1, 1, 2});
  const std::string four = table_summary(few);
  CHECK(contains(four, "4 architectures are too few"));
  for (const char* number : {"tau", "stay within", "%", "nan"}) CHECK_FALSE(contains(four, number));
  few.add({{2, 2}, 0, 1, "A", 1, 2, 2});
  CHECK(contains(table_summary(few), "Unrelated rankings stay within"));
  CHECK(contains(table_summary(few), "What the choices explain is not known: "));
  for (const char* name : {"additive_fit", "choice_anova"}) {
    CHECK_FALSE(contains(table_summary(few), name));
  }
  few.add({{0, 3}, 1, 1, "A", 1, 2, 2});
  CHECK_THROWS_AS(table_summary(few), std::invalid_argument);  // nothing has both seeds
  CHECK_THROWS_AS(table_summary(ResultTable(small_space())), std::invalid_argument);
}
