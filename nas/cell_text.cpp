#include "nas/cell_text.h"

#include <regex>

#include "tensor/check.h"

namespace serenade {

std::string to_text(const CellSpace& space, const std::vector<CellEdges>& cells) {
  space.to_genotype(cells);  // its checks
  const std::string nodes = "range(" + std::to_string(space.inputs) + ", " +
                            std::to_string(space.inputs + space.nodes) + ")";
  std::string text;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    std::string edges;
    for (const auto& [op, input] : cells[c]) {
      edges += (edges.empty() ? "('" : ", ('") + op + "', " + std::to_string(input) + ")";
    }
    const std::string& name = space.cells[c];
    text += (text.empty() ? "Genotype(" : ", ") + name + "=[" + edges + "], " + name +
            "_concat=" + nodes;
  }
  return text + ")";
}

std::vector<CellEdges> cells_from_text(const CellSpace& space, const std::string& text,
                                       const std::string& source) {
  const std::string first = std::to_string(space.inputs);
  std::string list = first, whole = R"((?:\w+=)?Genotype\()";
  for (std::int64_t node = 1; node < space.nodes; ++node) {
    list += "," + std::to_string(space.inputs + node);
  }
  const std::string concat = R"((?:range\()" + first + "," +
                             std::to_string(space.inputs + space.nodes) + R"(\)|\[)" + list +
                             R"(,?\]|\()" + list + R"(,?\)))";
  for (std::size_t c = 0; c < space.cells.size(); ++c) {
    whole += (c == 0 ? "" : ",") + space.cells[c] + R"(=\[([^\]]*)\],)" + space.cells[c] +
             "_concat=" + concat;
  }
  // The library's regular expressions call themselves for every letter: nothing long gets there.
  check(text.size() <= 4000, source.c_str(), "a genotype has at most 4000 letters; got ",
        text.size());
  const std::string packed = std::regex_replace(text, std::regex(R"(\s+)"), "");
  std::smatch parts;
  check(std::regex_match(packed, parts, std::regex(whole + R"(,?\))")), source.c_str(),
        "must be written as DARTS does: Genotype(", space.cells[0], "=[('", space.candidates.back(),
        "', 1), ..], ", space.cells[0], "_concat=range(", first, ", ", space.inputs + space.nodes,
        "), ..)");
  static const std::regex edge(R"(\(['"](\w+)['"],(\d{1,4})\)(?:,|$))");
  std::vector<CellEdges> cells(space.cells.size());
  for (std::size_t c = 0; c < cells.size(); ++c) {
    const std::string edges = parts[c + 1];
    std::smatch found;
    for (auto at = edges.begin(); at != edges.end(); at = found[0].second) {
      check(std::regex_search(at, edges.end(), found, edge, std::regex_constants::match_continuous),
            source.c_str(), "edge ", cells[c].size() + 1, " of '", space.cells[c],
            "' must be written like ('", space.candidates.back(), "', 1)");
      cells[c].push_back({found[1], std::stoi(found[2])});
    }
  }
  try {
    space.to_genotype(cells);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(source + ": " + error.what());
  }
  return cells;
}

}  // namespace serenade
