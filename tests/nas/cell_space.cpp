// Spaces of cells: their choices, what is read from the alphas, and what is refused.

#include "nas/cell_space.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "tests/nas/toy.h"

using namespace serenade;

namespace {

CellSpace two_nodes() {
  return {.cells = {"cell"}, .nodes = 2, .candidates = {"none", "skip", "conv"}};
}

using Alphas = std::vector<std::vector<double>>;

}  // namespace

TEST_CASE("cell space: a choice for every edge, cell by cell") {
  const CellSpace space{.candidates = {"none", "skip"}};
  const SearchSpace whole = space.space();
  whole.validate();
  REQUIRE(whole.choices.size() == 28);
  CHECK(whole.choices[0].name == "normal_0_2");
  CHECK(whole.choices[4].name == "normal_2_3");
  CHECK(whole.choices[13].name == "normal_4_5");
  CHECK(whole.choices[14].name == "reduce_0_2");
  CHECK(whole.choices[27].name == "reduce_4_5");
  CHECK_THROWS_AS(CellSpace({.candidates = {"skip"}}).space(), std::invalid_argument);
  CHECK_THROWS_AS(CellSpace({.kept = 3, .candidates = {"none"}}).space(), std::invalid_argument);
}

TEST_CASE("cell space: what is derived from alphas, worked out by hand") {
  // Edges 0_2, 1_2, 0_3, 1_3, 2_3; of each: none, skip, conv. The weight of an edge is the largest
  // softmax but that of "none": exp(best) / (exp(none) + exp(skip) + exp(conv)).
  const Alphas alphas = {{0, 1, 0},      // node 2: e / (e + 2) = 0.576 skip
                         {0, 0, 3},      //         e^3 / (e^3 + 2) = 0.909 conv
                         {4, 0, 2},      // node 3: "none" is largest: e^2 / (e^4 + 1 + e^2) = 0.117
                         {0, 0.5, 0.4},  //         e^.5 / (1 + e^.5 + e^.4) = 0.398 skip
                         {-5, 0, 0.1}};  //         e^.1 / (e^-5 + 1 + e^.1) = 0.523 conv
  const std::vector<CellEdges> cells = two_nodes().derive(alphas);
  REQUIRE(cells.size() == 1);
  CHECK(cells[0] == CellEdges{{"conv", 1}, {"skip", 0}, {"conv", 2}, {"skip", 1}});
  SearchRecord record;
  for (const std::vector<double>& alpha : alphas) record.choices.emplace_back().alphas = alpha;
  CHECK(two_nodes().derive(record) == cells);
  const Genotype genotype = two_nodes().to_genotype(cells);
  CHECK(genotype.summary() ==
        "cell_0_2=skip cell_1_2=conv cell_0_3=none cell_1_3=skip cell_2_3=conv");

  SUBCASE("the first on ties") {
    const Alphas even(5, {0, 0, 0});
    CHECK(two_nodes().derive(even)[0] ==
          CellEdges{{"skip", 0}, {"skip", 1}, {"skip", 0}, {"skip", 1}});
  }
  SUBCASE("large alphas do not overflow") {
    Alphas large = alphas;
    for (std::vector<double>& edge : large) {
      for (double& alpha : edge) alpha += 1e4;
    }
    CHECK(two_nodes().derive(large) == cells);
  }
  SUBCASE("refused") {
    Alphas wrong = alphas;
    wrong[2][1] = std::numeric_limits<double>::quiet_NaN();
    CHECK_THROWS_AS(two_nodes().derive(wrong), std::invalid_argument);
    wrong = alphas;
    wrong.pop_back();
    CHECK_THROWS_AS(two_nodes().derive(wrong), std::invalid_argument);
    wrong = alphas;
    wrong[0].pop_back();
    CHECK_THROWS_AS(two_nodes().derive(wrong), std::invalid_argument);
  }
}

TEST_CASE("cell space: cells that cannot be") {
  const auto refusal = [](const CellEdges& edges) {
    const std::string message = message_of([&] { two_nodes().to_genotype({edges}); });
    INFO(message);
    CHECK_FALSE(contains(message, "\n"));
    return message;
  };
  CHECK(refusal({{"conv", 0}, {"skip", 1}, {"conv", 0}, {"skip", 2}}).empty());
  CHECK(contains(refusal({{"conv", 0}, {"skip", 1}}), "must have 4 edges"));
  CHECK(contains(refusal({{"conv", 0}, {"skip", 2}, {"conv", 0}, {"skip", 2}}), "edge 2"));
  CHECK(contains(refusal({{"conv", 0}, {"skip", -1}, {"conv", 0}, {"skip", 2}}), "got -1"));
  CHECK(contains(refusal({{"conv", 0}, {"skip", 1}, {"conv", 2}, {"skip", 2}}), "two from 2"));
  CHECK(contains(refusal({{"none", 0}, {"skip", 1}, {"conv", 0}, {"skip", 2}}), "'none'"));
  CHECK(contains(refusal({{"cnv", 0}, {"skip", 1}, {"conv", 0}, {"skip", 2}}), "conv"));
  CHECK_THROWS_AS(two_nodes().to_genotype({}), std::invalid_argument);
}

TEST_CASE("cell space: random cells are cells, and all of them come") {
  std::set<std::string> drawn;
  std::map<std::string, int> counts;  // of node 3's pairs of inputs
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const RandomKey key{.seed = seed, .purpose = Purpose::architecture};
    const std::vector<CellEdges> cells = two_nodes().random(key);
    CHECK(cells == two_nodes().random(key));
    drawn.insert(two_nodes().to_genotype(cells).summary());
    ++counts[std::to_string(std::min(cells[0][2].input, cells[0][3].input)) +
             std::to_string(std::max(cells[0][2].input, cells[0][3].input))];
  }
  CHECK(drawn.size() == 48);  // 2 x 2 operations, times 3 pairs of inputs with 2 x 2 operations
  REQUIRE(counts.size() == 3);
  // 1000 each, standard deviation 26.
  for (const auto& [pair, count] : counts) CHECK(std::abs(count - 1000) < 110);
}
