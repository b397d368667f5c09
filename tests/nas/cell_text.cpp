// The text form of cells: round trips, and what is refused.

#include "nas/cell_text.h"

#include <doctest/doctest.h>

#include "tests/nas/toy.h"

using namespace serenade;

namespace {

CellSpace space() {
  return {.candidates = {"none", "max_pool_3x3", "skip_connect", "sep_conv_3x3"}};
}

const std::string kText =
    "Genotype(normal=[('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_3x3', 0), "
    "('skip_connect', 2), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 4), "
    "('sep_conv_3x3', 0)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
    "('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string refusal(const std::string& text) {
  const std::string message = message_of([&] { cells_from_text(space(), text, "file.txt"); });
  INFO(message);
  CHECK(message.starts_with("file.txt: "));
  CHECK_FALSE(contains(message, "\n"));
  return message;
}

}  // namespace

TEST_CASE("cell text: what is written is read") {
  const std::vector<CellEdges> cells = cells_from_text(space(), kText);
  REQUIRE(cells.size() == 2);
  CHECK(cells[0][0] == CellEdge{"sep_conv_3x3", 1});
  CHECK(cells[0][6] == CellEdge{"skip_connect", 4});
  CHECK(cells[1][7] == CellEdge{"max_pool_3x3", 1});
  CHECK(to_text(space(), cells) == kText);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<CellEdges> random = space().random({.seed = seed});
    CHECK(cells_from_text(space(), to_text(space(), random)) == random);
  }
}

TEST_CASE("cell text: other ways to write the same") {
  const std::vector<CellEdges> cells = cells_from_text(space(), kText);
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"Genotype(", "DARTS_V9 = Genotype(\n    "},
           {"range(2, 6), r", "[2, 3, 4, 5], r"},
           {"range(2, 6))", "[2,3,4,5,],\n)"},
           {"range(2, 6), r", "(2, 3, 4, 5), r"},
           {"'sep_conv_3x3', 1", "\"sep_conv_3x3\",1"},
           {"('sep_conv_3x3', 0)]", "('sep_conv_3x3', 0), ]"}}) {
    INFO(to);
    CHECK(cells_from_text(space(), "  " + replaced(kText, from, to) + "\n") == cells);
  }
}

TEST_CASE("cell text: what is refused, in one line") {
  CHECK(contains(refusal(""), "Genotype("));
  CHECK(contains(refusal("__import__('os').system('true')"), "Genotype("));
  CHECK(contains(refusal(kText + ")"), "Genotype("));
  CHECK(contains(refusal(kText.substr(0, 300)), "Genotype("));
  CHECK(contains(refusal(replaced(kText, "range(2, 6)", "range(3, 6)")), "range(2, 6)"));
  CHECK(contains(refusal(replaced(kText, "reduce=", "reduced=")), "Genotype("));
  CHECK(contains(refusal(replaced(kText, "'skip_connect', 2", "'skip_connect'")), "edge 4"));
  CHECK(contains(refusal(replaced(kText, "1), (", "1)(")), "edge 1"));
  CHECK(contains(refusal(replaced(kText, "('sep_conv_3x3', 1), ", "")), "8 edges"));
  CHECK(contains(refusal(replaced(kText, "skip_connect", "skip_conect")), "skip_connect"));
  CHECK(contains(refusal(replaced(kText, "skip_connect', 2", "skip_connect', 3")), "edge 4"));
  CHECK(contains(refusal(replaced(kText, "skip_connect', 2", "skip_connect', 99999")), "edge 4"));
  CHECK(contains(refusal(replaced(kText, "max_pool_3x3', 0", "max_pool_3x3', 1")), "two from 1"));
  CHECK(contains(refusal(replaced(kText, "'max_pool_3x3', 0", "'none', 0")), "none"));
  CHECK(contains(refusal(std::string(1 << 20, '[')), "4000"));
}
