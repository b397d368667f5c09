// The model of a table: its effects and ridges by hand, what it says of what it has not seen, and
// trials that read it.

#include "nas/table_model.h"

#include <doctest/doctest.h>

#include <cmath>

#include "nas/table_problem.h"
#include "nas/table_statistics.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

constexpr std::int64_t kTotals[2] = {1000, 3000};
const std::set<std::string> kParts = {"A", "B"};

// right() of the architecture, seed, epoch and part, in shares.
template <class Right>
ResultTable table_of(const SearchSpace& space, const std::vector<ChoiceIndices>& architectures,
                     std::int64_t epochs, const Right& right) {
  ResultTable table(space);
  for (const ChoiceIndices& x : architectures) {
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      for (std::int64_t epoch = 1; epoch <= epochs; ++epoch) {
        for (std::size_t p = 0; p < 2; ++p) {
          const auto total = static_cast<double>(kTotals[p]);
          table.add({x, seed, epoch, p == 0 ? "A" : "B", 1,
                     std::lround(total * right(x, seed, epoch, p)), kTotals[p]});
        }
      }
    }
  }
  return table;
}

std::vector<ChoiceIndices> all_of(const SearchSpace& space) {
  std::vector<ChoiceIndices> found;
  for (const Genotype& genotype : enumerate_genotypes(space)) {
    found.push_back(choice_indices(genotype, space));
  }
  return found;
}

std::vector<ChoiceIndices> sample_of(const SearchSpace& space, std::int64_t count) {
  std::vector<ChoiceIndices> found;
  for (const Genotype& genotype : random_genotypes(space, count, {4, Purpose::test, 0})) {
    found.push_back(choice_indices(genotype, space));
  }
  return found;
}

double noise(const ChoiceIndices& x, std::int64_t seed, std::uint64_t element) {
  std::uint64_t number = 0;
  for (const std::int64_t index : x) number = number * 7 + static_cast<std::uint64_t>(index);
  return normal({11, Purpose::test, 2 * number + static_cast<std::uint64_t>(seed)}, element);
}

// Both choices matter; luck of a training is shared by both parts.
ResultTable balanced() {
  return table_of(table_space(), all_of(table_space()), 2,
                  [](const ChoiceIndices& x, std::int64_t seed, std::int64_t epoch, std::size_t p) {
                    const double slope = p == 0 ? 0.02 : 0.03;
                    return 0.2 * static_cast<double>(epoch) + slope * static_cast<double>(x[0]) +
                           0.01 * static_cast<double>(x[1] * x[1]) + 0.02 * noise(x, seed, 0) +
                           0.004 * noise(x, seed, 1 + p);
                  });
}

}  // namespace

TEST_CASE("table model: in a balanced table an effect is (1 - 1 / F) of its candidate's mean") {
  const ResultTable table = balanced();
  const TableModel model(table);
  CHECK(model.architectures() == 12);
  CHECK(model.trainings() == 24);
  CHECK(model.parts() == std::vector<std::string>{"A", "B"});
  CHECK(model.total(1) == 3000);
  const TableScores pooled = table_scores(table, 2, kParts);
  const ChoiceAnova anova =
      choice_anova(table_space(), pooled.architectures, pooled.mean_scores({1, 1}));
  const double kept_a = 1 - 1 / anova.choices[0].f, kept_b = 1 - 1 / anova.choices[1].f;
  REQUIRE(kept_a > 0);
  REQUIRE(kept_b > 0);
  const double inflate = std::sqrt(12 / (12 - (1 + 3 * kept_a + 2 * kept_b)));
  for (std::int64_t epoch = 1; epoch <= 2; ++epoch) {
    const TableScores scores = table_scores(table, epoch, kParts);
    for (std::size_t p = 0; p < 2; ++p) {
      const std::vector<double> y = scores.mean_scores({p == 0 ? 1.0 : 0, p == 1 ? 1.0 : 0});
      double mean = 0, of_a[4] = {}, of_b[3] = {};
      for (std::size_t i = 0; i < 12; ++i) {
        mean += y[i] / 12;
        of_a[i / 3] += y[i] / 3;
        of_b[i % 3] += y[i] / 4;
      }
      for (std::size_t i = 0; i < 12; ++i) {
        const ChoiceIndices x = scores.architectures[i];
        const double told = mean + kept_a * (of_a[i / 3] - mean) + kept_b * (of_b[i % 3] - mean);
        CHECK(model.value(x, epoch, p) == doctest::Approx(told).epsilon(1e-10));
        // Its own luck, and another's.
        for (std::size_t s = 0; s < 2; ++s) {
          const double beyond = inflate * (scores.share(i, s, p) - told);
          CHECK(model.training(x, epoch, p, 2 * i + s) ==
                doctest::Approx(told + beyond).epsilon(1e-10));
          CHECK(model.training({3, 2}, epoch, p, 2 * i + s) ==
                doctest::Approx(model.value({3, 2}, epoch, p) + beyond).epsilon(1e-10));
        }
      }
    }
  }
  CHECK_THROWS_AS(model.value({0, 0}, 3, 0), std::invalid_argument);
  CHECK(contains(message_of([&] { model.positions({"A", "Z"}); }), "the table has no part Z"));
}

TEST_CASE("table model: additive scores are told of architectures that were never trained") {
  const SearchSpace space = large_space();
  const auto score = [](const ChoiceIndices& x) {
    const double weights[5] = {0.011, 0.023, 0.031, 0.007, 0.041};
    double sum = 0.2;
    for (std::size_t l = 0; l < 5; ++l) sum += weights[l] * static_cast<double>(x[l]);
    return sum;
  };
  const ResultTable table = table_of(
      space, sample_of(space, 120), 1,
      [&](const ChoiceIndices& x, std::int64_t, std::int64_t, std::size_t) { return score(x); });
  const TableModel model(table);
  double largest = 0;
  for (const ChoiceIndices& x : all_of(space)) {
    largest = std::max(largest, std::abs(model.value(x, 1, 1) - score(x)));
  }
  CHECK(largest < 1e-3);  // what is right are whole numbers of 3,000
  CHECK(model.leave_out_tau() > 0.97);
}

TEST_CASE("table model: of noise it makes no differences, and its tau is about 0") {
  const SearchSpace space = large_space();
  const ResultTable table = table_of(space, sample_of(space, 200), 1,
                                     [](const ChoiceIndices& x, std::int64_t seed, std::int64_t,
                                        std::size_t p) { return 0.5 + 0.03 * noise(x, seed, p); });
  const TableModel model(table);
  double low = 1, high = 0, square = 0;
  for (const ChoiceIndices& x : all_of(space)) {
    low = std::min(low, model.value(x, 1, 1));
    high = std::max(high, model.value(x, 1, 1));
  }
  CHECK(high - low < 0.03);  // of 5,184 draws of the noise: 0.2
  // Fitted to all but one, a mean alone would order them exactly backwards.
  CHECK((std::isnan(model.leave_out_tau()) || std::abs(model.leave_out_tau()) < 0.15));
  const auto count = static_cast<double>(model.trainings());
  for (std::size_t drawn = 0; drawn < model.trainings(); ++drawn) {
    square +=
        std::pow(model.training({0, 0, 0, 0, 0}, 1, 0, drawn) - model.value({0, 0, 0, 0, 0}, 1, 0),
                 2) /
        count;
  }
  CHECK(std::sqrt(square) == doctest::Approx(0.03).epsilon(0.1));
}

TEST_CASE("table model: too few architectures are refused") {
  const SearchSpace space = large_space();
  const ResultTable table = table_of(space, sample_of(space, 12), 1,
                                     [](const ChoiceIndices& x, std::int64_t seed, std::int64_t,
                                        std::size_t p) { return 0.5 + 0.03 * noise(x, seed, p); });
  CHECK_THROWS_AS(TableModel{table}, std::invalid_argument);
  CHECK_THROWS_AS(TableModel{ResultTable(space)}, std::invalid_argument);
}

TEST_CASE("table problem: a model answers in place of the table, and trials have their own costs") {
  const ResultTable table = balanced();
  const TableModel model(table);
  const TableReading reading{.model = &model, .cost = [](const Genotype& genotype) {
                               return genotype.candidate("a") == "4" ? 0.5 : 2;
                             }};
  TableProblem problem(table, kParts, 5, reading), same(table, kParts, 5, reading);
  const Genotype genotype = genotype_at(table_space(), 11);
  std::set<double> possible;
  for (std::size_t drawn = 0; drawn < model.trainings(); ++drawn) {
    possible.insert(
        (1000 * model.training({3, 2}, 1, 0, drawn) + 3000 * model.training({3, 2}, 1, 1, drawn)) /
        4000);
  }
  std::set<double> scores;
  for (std::int64_t id = 0; id < 300; ++id) {
    const Outcome outcome = problem.evaluate({.id = id, .genotype = genotype, .epochs = 1});
    CHECK(outcome.score == same.evaluate({.id = id, .genotype = genotype, .epochs = 1}).score);
    CHECK(outcome.cost == 0.25);
    CHECK(possible.count(outcome.score) == 1);
    scores.insert(outcome.score);
  }
  CHECK(scores == possible);  // 24 of 300 draws
  CHECK(problem.evaluate({.genotype = genotype_at(table_space(), 0)}).cost == 2);
  CHECK(problem.cost() == doctest::Approx(300 * 0.25 + 2).epsilon(1e-12));
  CHECK_THROWS_AS(problem.evaluate({.genotype = genotype, .epochs = 3}), std::invalid_argument);
  CHECK_THROWS_AS(TableProblem(table, {"Z"}, 0, reading), std::invalid_argument);
  CHECK_THROWS_AS(problem.untrained_score(genotype), std::invalid_argument);
}
