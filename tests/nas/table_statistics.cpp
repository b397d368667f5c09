// Statistics of a table of results, against SciPy and statsmodels.
//
// The table below was drawn once (numpy.random.default_rng(15): effects of both choices, noise per
// training and per part) and is part of the test. The numbers are those of
//   scipy.stats.kendalltau(x, y, variant="b"), scipy.stats.f.sf, scipy.stats.f_oneway(*scores),
//   statsmodels: ols("y ~ C(a) + C(b)"), anova_lm(typ=2), rsquared, rsquared_adj, fvalue
// (SciPy 1.17.1, statsmodels 0.15.0), and for omega squared, intra-class correlations and gains
// their formulas in NumPy.

#include "nas/table_statistics.h"

#include <doctest/doctest.h>

#include <cmath>

#include "tensor/random.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

// Architectures of table_space(), all but a=1 b=3 and a=4 b=1.
const std::vector<ChoiceIndices> kArchitectures = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, 2},
                                                   {2, 0}, {2, 1}, {2, 2}, {3, 1}, {3, 2}};
constexpr std::int64_t kTotal[3] = {60, 40, 50};
// What is right: per architecture, seed and part; after epoch 2, and after epoch 1.
constexpr std::int64_t kRight[10][2][3] = {
    {{21, 17, 25}, {29, 23, 30}}, {{26, 20, 24}, {18, 16, 20}}, {{25, 20, 30}, {29, 20, 24}},
    {{25, 21, 27}, {24, 15, 25}}, {{33, 25, 34}, {33, 27, 31}}, {{30, 22, 33}, {30, 21, 29}},
    {{35, 24, 31}, {35, 24, 35}}, {{37, 27, 36}, {39, 26, 40}}, {{35, 24, 32}, {26, 20, 26}},
    {{36, 25, 36}, {32, 26, 34}}};
constexpr std::int64_t kEarly[10][2][3] = {
    {{18, 12, 10}, {32, 15, 21}}, {{20, 13, 10}, {14, 7, 8}},   {{25, 15, 20}, {23, 12, 12}},
    {{16, 13, 18}, {18, 13, 17}}, {{28, 20, 28}, {32, 20, 22}}, {{26, 20, 22}, {21, 18, 16}},
    {{31, 22, 28}, {31, 17, 21}}, {{31, 25, 28}, {32, 24, 30}}, {{30, 16, 24}, {19, 9, 17}},
    {{28, 17, 26}, {24, 18, 28}}};
const std::set<std::string> kParts = {"A", "B", "C"};

ResultTable measured() {
  ResultTable table(table_space());
  for (std::size_t a = 0; a < 10; ++a) {
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t p = 0; p < 3; ++p) {
        const std::string part(1, static_cast<char>('A' + p));
        const auto seed = static_cast<std::int64_t>(s);
        table.add({kArchitectures[a], seed, 2, part, 1, kRight[a][s][p], kTotal[p]});
        table.add({kArchitectures[a], seed, 1, part, 1, kEarly[a][s][p], kTotal[p]});
      }
    }
  }
  return table;
}

TableScores last_scores() { return table_scores(measured(), 2, kParts); }

doctest::Approx near(double value) { return doctest::Approx(value).epsilon(1e-10); }

}  // namespace

TEST_CASE("table scores: whole trainings as arrays, weighted parts") {
  ResultTable table = measured();
  table.add({{0, 2}, 0, 2, "A", 1, 1, 60});  // not whole
  const TableScores scores = table_scores(table, 2, kParts);
  CHECK(scores.architectures == kArchitectures);
  CHECK(scores.share(4, 1, 2) == near(31 / 50.0));
  CHECK(scores.score(4, 1, {1, 1, 1}) == near((33 + 27 + 31) / 150.0));
  CHECK(scores.score(4, 1, {2, 0, 1}) == near((2 * 33 + 31) / 170.0));
  CHECK(scores.scores(0, {0, 1, 0})[9] == near(25 / 40.0));
  CHECK(scores.mean_scores({1, 1, 1})[4] == near((92 + 91) / 300.0));
  CHECK(table_scores(table, 3, kParts).architectures.empty());
  CHECK_THROWS_AS(table_scores(table, 2, {}), std::invalid_argument);
  table.add({{0, 0}, 1, 2, "A", 1, 1, 61});
  CHECK(contains(message_of([&] { table_scores(table, 2, kParts); }),
                 "part A must have the same total in all rows; got 61 beside 60"));
  const std::vector<double> weight = resample_weights(3, 7, 5);
  CHECK(weight[0] + weight[1] + weight[2] == 3);
  CHECK(weight == resample_weights(3, 7, 5));
  CHECK(resample_weights(50, 7, 5) != resample_weights(50, 7, 6));
  CHECK(resample_weights(50, 7, 5) != resample_weights(50, 7, 5, 1));
}

TEST_CASE("kendall: tau-b with ties, and what chance gives") {
  CHECK(kendall_tau_b({1, 2, 2, 3, 3, 3, 4}, {1, 3, 2, 2, 5, 5, 5}) == near(0.7058823529411764));
  CHECK(kendall_tau_b({1, 2, 3}, {10, 20, 30}) == 1);
  CHECK(kendall_tau_b({1, 2, 3}, {3, 2, 1}) == -1);
  CHECK(std::isnan(kendall_tau_b({1, 2, 3}, {2, 2, 2})));
  CHECK(std::isnan(kendall_tau_b({}, {})));
  CHECK_THROWS_AS(kendall_tau_b({1}, {}), std::invalid_argument);
  // Of all 120 rankings of five, the variance of tau around 0.
  std::vector<double> order = {0, 1, 2, 3, 4};
  double square = 0;
  do {
    square += std::pow(kendall_tau_b({0, 1, 2, 3, 4}, order), 2) / 120;
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(kendall_by_chance(5) == near(2 * std::sqrt(square)));
}

TEST_CASE("kendall: between seeds and between epochs") {
  const TableScores last = last_scores(), early = table_scores(measured(), 1, kParts);
  CHECK(tau_between_seeds(last, last) == near(0.5555555555555555));
  CHECK(tau_within_seeds(early, last) == near(0.7999999999999998));
  CHECK(tau_between_seeds(early, last) == near(0.5777777777777777));
  CHECK(tau_within_seeds(last, last) == near(1));
}

TEST_CASE("f_tail: the upper tail of the F distribution") {
  CHECK(f_tail(0.5, 3, 7) == near(0.6940363875688137));
  CHECK(f_tail(1, 1, 1) == near(0.5));
  CHECK(f_tail(2.5, 23, 232) == near(0.0003007277140805651));
  CHECK(f_tail(4, 5, 3) == near(0.1416133376548531));
  CHECK(f_tail(30, 4, 200) == near(1.4909478872169875e-19));
  CHECK(f_tail(0.001, 2, 9) == near(0.999000610816995));
  CHECK(f_tail(1.3, 255, 256) == near(0.018215724938514043));
  CHECK(f_tail(0, 3, 7) == 1);
  CHECK(f_tail(INFINITY, 3, 7) == 0);
}

TEST_CASE("choice anova: what each choice explains in an unbalanced sample") {
  const TableScores scores = last_scores();
  const ChoiceAnova anova =
      choice_anova(table_space(), scores.architectures, scores.mean_scores({1, 1, 1}));
  REQUIRE(anova.choices.size() == 2);
  const ChoiceVariance &a = anova.choices[0], &b = anova.choices[1];
  CHECK(a.choice == "a");
  CHECK(a.degrees == 3);
  CHECK(a.share == near(0.3545002577276739));
  CHECK(a.beyond_chance == near(0.28441497126545995));
  CHECK(a.f == near(5.537662337662348));
  CHECK(a.p_value == near(0.06585802702824678));
  CHECK(b.degrees == 2);
  CHECK(b.share == near(0.3325241238644751));
  CHECK(b.beyond_chance == near(0.28379089720143585));
  CHECK(b.f == near(7.791558441558467));
  CHECK(b.p_value == near(0.041721157664841274));
  CHECK(anova.share == near(0.9146450286271706));
  CHECK(anova.beyond_chance == near(0.8079513144111338));
  CHECK(anova.f == near(8.572623376623378));
  CHECK(anova.p_value == near(0.029197387179106023));
  CHECK(anova.degrees == 5);
  CHECK(anova.residual_degrees == 4);
  CHECK(anova.residual_variance == near(0.0014259259259259253));
  CHECK(anova.total_square == near(0.06682333333333332));
}

TEST_CASE("choice anova: choices that a sample does not tell apart are refused") {
  const SearchSpace space = table_space();
  // b always 0: it has no say. a and b always changing together: nobody can tell.
  const std::vector<ChoiceIndices> fixed = {{0, 0}, {1, 0}, {2, 0}, {0, 0}, {1, 0}};
  const ChoiceAnova anova = choice_anova(space, fixed, {1, 2, 3, 2, 3});
  CHECK(anova.choices.size() == 1);
  CHECK(anova.degrees == 2);
  CHECK(contains(message_of([&] {
                   choice_anova(space, {{0, 0}, {1, 1}, {2, 2}, {0, 0}, {1, 1}}, {1, 2, 3, 2, 3});
                 }),
                 "5 architectures do not tell the effects of 4 candidates apart"));
  CHECK(contains(message_of([&] {
                   choice_anova(space, {{0, 0}, {1, 0}, {2, 0}}, {1, 2, 3});
                 }),
                 "there must be more than 3 architectures; got 3"));
  CHECK_THROWS_AS(choice_anova(space, fixed, {1, 1, 1, 1, 1}), std::invalid_argument);
  CHECK_THROWS_AS(choice_anova(space, fixed, {1, 2}), std::invalid_argument);
}

TEST_CASE("seed noise: the architecture's share of a training's score") {
  const SeedNoise noise = seed_noise(last_scores());
  CHECK(noise.f == near(5.785569985569976));
  CHECK(noise.degrees == 9);
  CHECK(noise.residual_degrees == 10);
  CHECK(noise.p_value == near(0.005617720685219273));
  CHECK(noise.one_training == near(0.7052568900986725));
  CHECK(noise.mean_of_seeds == near(0.8271561829700201));
  CHECK(noise.noise_deviation == near(0.05066228051190222));
  CHECK(noise.architecture_deviation == near(0.07836760479612401));
}

TEST_CASE("best over median: chosen by one seed, measured by the other") {
  const BestGain best = best_over_median(last_scores());
  CHECK(best.gain.estimate == near(0.12166666666666665));
  CHECK(best.same_seed == near(0.12166666666666665));  // the same is the best of both seeds
  // Three parts have 27 resamples. Each end is that of more than 2.5 % of them.
  CHECK(best.gain.low == near(0.07500000000000001));
  CHECK(best.gain.high == near(0.13437500000000002));
}

TEST_CASE("best over median: where there is only noise, luck is not taken for merit") {
  ResultTable table(large_space());
  for (std::uint64_t a = 0; a < 200; ++a) {
    const Genotype genotype = genotype_at(large_space(), static_cast<std::int64_t>(a) * 25);
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      for (std::uint64_t p = 0; p < 10; ++p) {
        const RandomKey key{3, Purpose::test, a * 2 + static_cast<std::uint64_t>(seed)};
        const auto right = std::lround(50 + 5 * normal(key, p));
        table.add({choice_indices(genotype, large_space()), seed, 1, "speaker " + std::to_string(p),
                   1, right, 100});
      }
    }
  }
  const TableScores scores = table_scores(table, 1, table.parts());
  const BestGain best = best_over_median(scores);
  const double deviation = 0.05 / std::sqrt(10);
  // Of 200 draws the largest lies 2.7 deviations up; of the other seed's, one deviation is rare.
  CHECK(best.same_seed > 2 * deviation);
  CHECK(std::abs(best.gain.estimate) < 2 * deviation);
  CHECK(best.gain.low < 0);
  CHECK(best.gain.high > 0);
  CHECK(std::abs(tau_between_seeds(scores, scores)) < 1.5 * kendall_by_chance(200));
  CHECK(seed_noise(scores).p_value > 0.01);
  CHECK(std::abs(seed_noise(scores).one_training) < 0.2);
  CHECK(seed_noise(scores).noise_deviation == doctest::Approx(deviation).epsilon(0.15));
  const ChoiceAnova anova =
      choice_anova(large_space(), scores.architectures, scores.mean_scores(scores.all_parts()));
  CHECK(anova.p_value > 0.01);
  CHECK(std::abs(anova.beyond_chance) < 0.15);
  CHECK_THROWS_AS(best_over_median(scores, 0), std::invalid_argument);
}

TEST_CASE("table statistics: one seed has no noise to be measured by") {
  TableScores scores = last_scores();
  ResultTable table(table_space());
  table.add({{0, 0}, 0, 1, "A", 1, 1, 2});
  table.add({{0, 1}, 0, 1, "A", 1, 2, 2});
  const TableScores one = table_scores(table, 1, {"A"});
  CHECK(std::isnan(tau_between_seeds(one, one)));
  CHECK(tau_within_seeds(one, one) == 1);
  CHECK_THROWS_AS(seed_noise(one), std::invalid_argument);
  CHECK_THROWS_AS(best_over_median(one), std::invalid_argument);
  CHECK_THROWS_AS(tau_between_seeds(one, scores), std::invalid_argument);
}
