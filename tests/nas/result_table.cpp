// Tables of results: CSV in and out, kills, and strategies replayed on them.

#include "nas/result_table.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "nas/replay.h"
#include "nas/table_problem.h"
#include "nas/trial_search.h"
#include "tensor/files.h"
#include "tests/nas/score_table.h"
#include "tests/nas/toy.h"
#include "tests/temporary_folder.h"

using namespace serenade;

namespace {

const std::string kHeader = "a,b,seed,epoch,part,loss,right,total\n";

// Two training seeds, four epochs and two speakers of every architecture. What is right grows with
// the epochs and with kScores; the second speaker likes the order the other way round.
std::vector<ResultRow> all_rows(std::int64_t noise = 0) {
  std::vector<ResultRow> rows;
  for (std::size_t i = 0; i < 12; ++i) {
    const auto index = static_cast<std::int64_t>(i);
    for (std::int64_t seed = 0; seed < 2; ++seed) {
      for (std::int64_t epoch = 1; epoch <= 4; ++epoch) {
        const auto right = std::lround(200 * kScores[i]) * epoch / 4 + noise * seed;
        rows.push_back({{index / 3, index % 3}, seed, epoch, "Ses01F", 1.0 / 3, right, 200});
        rows.push_back({{index / 3, index % 3}, seed, epoch, "Ses02M", 1, 200 - right, 400});
      }
    }
  }
  return rows;
}

ResultTable full_table(std::int64_t noise = 0) {
  ResultTable table(table_space());
  for (const ResultRow& row : all_rows(noise)) table.add(row);
  return table;
}

std::string refusal(const std::string& text) {
  return message_of([&] { ResultTable::from_csv(text, table_space(), "x.csv"); });
}

// Random search in an order that is as random as its choice.
class Shuffled : public TrialSearch {
 public:
  Shuffled(std::uint64_t seed, std::int64_t trials)
      : TrialSearch("shuffled", table_space(), trials, std::to_string(seed)),
        order_(permutation({seed, Purpose::test, 0}, 12)) {}
  std::optional<Trial> next(const std::vector<Told>& told) const override {
    return Trial{.genotype = genotype_at(table_space(), order_[told.size()])};
  }

 private:
  std::vector<std::int64_t> order_;
};

std::unique_ptr<Strategy> shuffled(std::uint64_t seed) {
  return std::make_unique<Shuffled>(seed, 12);
}

}  // namespace

TEST_CASE("result table: scores are pooled over parts") {
  const ResultTable table = full_table(2);
  CHECK(table.size() == 12 * 2 * 4 * 2);
  CHECK(table.seeds() == std::set<std::int64_t>{0, 1});
  CHECK(table.parts() == std::set<std::string>{"Ses01F", "Ses02M"});
  CHECK(table.last_epoch() == 4);
  CHECK(table.genotypes() == enumerate_genotypes(table_space()));
  const Genotype best = genotype_at(table_space(), 7);  // 0.9
  CHECK(table.rows_of(best, 1) == 8);
  CHECK(table.rows_of(best, 2) == 0);
  CHECK(*table.score(best, 0, 4, {"Ses01F"}) == 180 / 200.0);
  CHECK(*table.score(best, 0, 2, {"Ses01F"}) == 90 / 200.0);
  CHECK(*table.score(best, 1, 4, {"Ses01F", "Ses02M"}) == (182 + 18) / 600.0);
  CHECK_FALSE(table.score(best, 0, 5, {"Ses01F"}));
  CHECK_FALSE(table.score(best, 0, 4, {"Ses01F", "Ses03F"}));
  CHECK_FALSE(table.score(best, 0, 4, {}));
}

TEST_CASE("result table: the later of two rows of the same training counts") {
  ResultTable table = full_table();
  table.add({{2, 1}, 0, 4, "Ses01F", 1, 1, 200});
  CHECK(table.size() == 192);
  CHECK(*table.score(genotype_at(table_space(), 7), 0, 4, {"Ses01F"}) == 1 / 200.0);
}

TEST_CASE("result table: CSV there and back, to the bit") {
  const ResultTable table = full_table();
  std::string text = table.header();
  CHECK(text == kHeader);
  CHECK(table.line({{2, 1}, 3, 4, "Ses01F", 1.0 / 3, 5, 6}) ==
        "3,2,3,4,Ses01F,0.33333333333333331,5,6\n");
  for (const ResultRow& row : all_rows()) text += table.line(row);
  const ResultTable read = ResultTable::from_csv(text, table_space(), "x.csv");
  CHECK(read.size() == table.size());
  for (const Genotype& genotype : enumerate_genotypes(table_space())) {
    CHECK(*read.score(genotype, 1, 3, table.parts()) ==
          *table.score(genotype, 1, 3, table.parts()));
  }
  CHECK(ResultTable::from_csv(kHeader, table_space(), "x.csv").size() == 0);
  CHECK(ResultTable::from_csv("a,b,seed,epoch,part,loss,right,total\r\n1,1,0,1,s,1,0,1\r\n",
                              table_space(), "x.csv")
            .size() == 1);
}

TEST_CASE("result table: what is no table is refused in one line that names the place") {
  CHECK(refusal("") == "x.csv:1: columns: must be a,b,seed,epoch,part,loss,right,total; got ");
  CHECK(
      contains(refusal("b,a,seed,epoch,part,loss,right,total\n"), "x.csv:1: columns: must be a,b"));
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "x.csv:2: fields: there must be 8; got 1"},
      {"1,1,0,1,s,1,0", "x.csv:2: fields: there must be 8; got 7"},
      {"1,1,0,1,s,1,0,1,", "x.csv:2: fields: there must be 8; got 9"},
      {"5,1,0,1,s,1,0,1", "'5'"},
      {"1,1,x,1,s,1,0,1", "x.csv:2: seed: must be a number; got 'x'"},
      {"1,1,0,1.5,s,1,0,1", "x.csv:2: epoch: must be a number; got '1.5'"},
      {"1,1,0,0,s,1,0,1", "x.csv:2: row: epochs count from 1; got 0"},
      {"1,1,0,1,,1,0,1", "the part of a row must be a text"},
      {"1,1,0,1,s,nan,0,1", "a loss must be finite; got nan"},
      {"1,1,0,1,s,,0,1", "x.csv:2: loss: must be a number; got ''"},
      {"1,1,0,1,s,1,2,1", "what was right must be 0 .. the total; got 2 of 1"},
      {"1,1,0,1,s,1,-1,1", "what was right must be 0 .. the total; got -1 of 1"},
      {"1,1,0,1,s,1,0,99999999999999999999", "x.csv:2: total: must be a number"}};
  for (const auto& one : wrong) {
    const std::string &line = one.first, &part = one.second;
    INFO(line);
    const std::string message = refusal(kHeader + line + "\n1,1,0,1,s,1,0,1\n");
    CHECK(contains(message, part));
    CHECK(message.rfind("x.csv:2: ", 0) == 0);
    CHECK_FALSE(contains(message, "\n"));
  }
  // A row that stands twice, as after a break, may not say two things.
  const std::string row = "1,1,0,1,s,1,0,1\n";
  CHECK(refusal(kHeader + row + row).empty());
  CHECK(refusal(kHeader + row + "1,1,0,1,s,1,1,1\n") ==
        "x.csv:3: row: the same training, epoch and part stand above with other results");
  CHECK_THROWS_AS(ResultTable({.choices = {{"a,b", {"1"}}}}), std::invalid_argument);
  CHECK_THROWS_AS(ResultTable({.choices = {{"a", {"\"1"}}}}), std::invalid_argument);
  CHECK_THROWS_AS(ResultTable(SearchSpace{}), std::invalid_argument);
}

TEST_CASE("result file: stopped at any byte, it goes on from the last whole line") {
  const TemporaryFolder folder;
  const std::string path = folder.path() + "/table.csv";
  const ResultRow first{{0, 1}, 0, 1, "s", 0.5, 3, 4}, second{{3, 2}, 0, 1, "s", 0.25, 1, 4};
  {
    ResultFile file(path, table_space());
    CHECK(read_file(path) == kHeader);
    file.append({first});
    CHECK(file.table().size() == 1);
    file.append({second});
  }
  const std::string whole = read_file(path);
  CHECK(whole == kHeader + "1,2,0,1,s,0.5,3,4\n4,3,0,1,s,0.25,1,4\n");
  for (std::size_t length = 0; length <= whole.size(); ++length) {
    INFO(length);
    write_file(path, whole.substr(0, length));
    ResultFile file(path, table_space());
    if (file.table().rows_of(make_genotype(table_space(), {0, 1}), 0) == 0) file.append({first});
    if (file.table().rows_of(make_genotype(table_space(), {3, 2}), 0) == 0) file.append({second});
    CHECK(read_file(path) == whole);
  }
  // Rows that are refused leave nothing behind, and neither file nor table is touched.
  ResultFile file(path, table_space());
  CHECK(message_of([&] { ResultFile(path, table_space()); }) ==
        path + ": another process is writing into it; wait for its end, or choose another table");
  ResultRow bad = second;
  bad.right = 7;
  CHECK_THROWS_AS(file.append({second, bad}), std::invalid_argument);
  CHECK(read_file(path) == whole);
  CHECK(file.table().size() == 2);
  // What is no table is refused and not written to.
  for (const char* text : {"mine", "a,b\n", "b,a,seed,epoch,part,loss,right,total\n1,1"}) {
    write_file(path, std::string(text));
    CHECK_THROWS_AS(ResultFile(path, table_space()), std::invalid_argument);
    CHECK(read_file(path) == text);
  }
  CHECK_THROWS_AS(ResultFile(folder.path() + "/absent/table.csv", table_space()),
                  std::runtime_error);
}

TEST_CASE("table problem: looks up the epoch that is asked for, with a seed of the table") {
  const ResultTable table = full_table(20);  // the second seed recognises 20 more
  TableProblem problem(table, {"Ses01F"}, 5), same(table, {"Ses01F"}, 5);
  const Genotype genotype = genotype_at(table_space(), 0);  // 0.1: 20 of 200
  int with_second_seed = 0;
  for (std::int64_t id = 0; id < 200; ++id) {
    const Outcome outcome = problem.evaluate({.id = id, .genotype = genotype});
    CHECK(outcome.score == same.evaluate({.id = id, .genotype = genotype}).score);
    CHECK((outcome.score == 20 / 200.0 || outcome.score == 40 / 200.0));
    with_second_seed += outcome.score == 40 / 200.0 ? 1 : 0;
    CHECK(outcome.cost == 1);
  }
  CHECK(std::abs(with_second_seed - 100) < 30);  // 4 sigma
  const ResultTable exact = full_table();
  TableProblem quarter(exact, {"Ses01F"}, 5);
  const Outcome short_one = quarter.evaluate({.genotype = genotype, .epochs = 1});
  CHECK(short_one.score == 5 / 200.0);
  CHECK(short_one.cost == 0.25);
  CHECK(quarter.cost() == 0.25);
  const std::string message =
      message_of([&] { quarter.evaluate({.genotype = genotype, .epochs = 9}); });
  CHECK(contains(message, "table: holds no result of a=1 b=1 with seed "));
  CHECK(contains(message, " after epoch 9 on all the parts that are asked for"));
  CHECK_THROWS_AS(TableProblem(table, {}, 0), std::invalid_argument);
  CHECK_THROWS_AS(TableProblem(ResultTable(table_space()), {"s"}, 0), std::invalid_argument);
}

TEST_CASE("replay: random search's regret is that of its definition") {
  const ResultTable table = full_table();
  const std::vector<double> costs = {0, 1, 3.5, 11.999, 12, 50};
  const ReplayOptions options = {.repeats = 400, .seed = 1, .resamples = 500};
  const auto points = replay_regret(table, {"Ses01F"}, {"Ses01F"}, shuffled, costs, options);
  REQUIRE(points.size() == costs.size());
  // The expected best of n out of 12 without repetition, from the order statistics.
  std::vector<double> sorted = kScores;
  std::sort(sorted.begin(), sorted.end());
  const auto expected = [&](int n) {
    double sum = 0, ways_all = 1;
    for (int k = 0; k < n; ++k) ways_all *= (12.0 - k) / (k + 1);
    for (int i = n - 1; i < 12; ++i) {  // sorted[i] is the largest
      double ways = 1;
      for (int k = 0; k < n - 1; ++k) ways *= (static_cast<double>(i) - k) / (k + 1);
      sum += sorted[static_cast<std::size_t>(i)] * ways / ways_all;
    }
    return 0.9 - sum;
  };
  CHECK(points[0].by_runs.estimate ==
        points[1].by_runs.estimate);  // what it recommends untold is its first trial
  const std::vector<std::pair<std::size_t, int>> trials = {{1, 1}, {2, 3}, {3, 11}};
  for (const auto& one : trials) {
    const std::size_t at = one.first;
    const int n = one.second;
    INFO(n);
    CHECK(points[at].cost == costs[at]);
    CHECK(points[at].by_runs.low < points[at].by_runs.estimate);
    CHECK(points[at].by_runs.estimate < points[at].by_runs.high);
    // Three half widths: a deviation of six standard errors.
    CHECK(std::abs(points[at].by_runs.estimate - expected(n)) <
          1.5 * (points[at].by_runs.high - points[at].by_runs.low));
  }
  for (const std::size_t all : {4, 5}) {
    CHECK(points[all].by_runs.estimate == 0);
    CHECK(points[all].by_runs.high == 0);
  }
  const auto again = replay_regret(table, {"Ses01F"}, {"Ses01F"}, shuffled, costs, options);
  for (std::size_t i = 0; i < costs.size(); ++i)
    CHECK(again[i].by_runs.low == points[i].by_runs.low);
}

TEST_CASE("replay: the width of the interval is that of the mean of so many repeats") {
  const ResultTable table = full_table();
  const auto point = replay_regret(table, {"Ses01F"}, {"Ses01F"}, shuffled, {1},
                                   {.repeats = 400, .resamples = 4000})[0];
  double mean = 0, square = 0;
  for (const double score : kScores) {
    mean += score / 12;
    square += score * score / 12;
  }
  const double error = std::sqrt((square - mean * mean) / 400);
  const double width = (point.by_runs.high - point.by_runs.low) / (2 * 1.96 * error);
  CHECK(std::abs(width - 1) < 0.1);  // that of 90 % would be 0.84
}

TEST_CASE("replay: chosen by one part, judged by another; short trainings cost less") {
  const ResultTable table = full_table();
  const auto make = [](const std::string& name) {
    return [name](std::uint64_t seed) {
      return make_strategy(name, table_space(), {.seed = seed, .trials = 12, .training_epochs = 4});
    };
  };
  // The other speaker has the order reversed: the best for one is the worst for the other.
  const auto crossed = replay_regret(table, {"Ses01F"}, {"Ses02M"}, make("random"), {12});
  CHECK(crossed[0].by_runs.estimate == doctest::Approx((0.9 - 0.1) * 200 / 400).epsilon(1e-12));
  // Halving: 12 trainings of one epoch of four, then four of four: 3 + 4 trainings.
  const auto halving = replay_regret(table, {"Ses01F"}, {"Ses01F"}, make("halving"), {6.9, 7});
  CHECK(halving[1].by_runs.estimate == 0);
  CHECK(message_of([&] { replay_regret(table, {"Ses01F"}, {"nobody"}, make("random"), {1}); }) ==
        "replay: the table must hold whole trainings on the parts to judge by");
  CHECK_THROWS_AS(replay_regret(table, {"Ses01F"}, {"Ses01F"}, make("random"), {2, 1}),
                  std::invalid_argument);
  CHECK_THROWS_AS(replay_regret(table, {"Ses01F"}, {"Ses01F"}, make("random"), {1}, {.repeats = 0}),
                  std::invalid_argument);
  ResultTable part(table_space());
  for (const ResultRow& row : all_rows()) {
    if (row.architecture[0] == 3) part.add(row);
  }
  CHECK(contains(
      message_of([&] { replay_regret(part, {"Ses01F"}, {"Ses01F"}, make("random"), {1}); }),
      "table: holds no result of"));
}
