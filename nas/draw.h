#pragma once
// Pictures of a supernet and of the architecture chosen from it, as text: Graphviz DOT, and SVG
// that needs no other program (for the HTML report).
//
// Every candidate is an edge from its choice's input to its output; the wider the edge, the larger
// its softmax(alpha). The chosen one is coloured.

#include <cstdint>
#include <string>
#include <vector>

#include "nas/cell_space.h"
#include "nas/genotype.h"
#include "nas/search_space.h"

namespace serenade {

/// probabilities: per choice, softmax(alpha) per candidate; best: per choice, the index of the
/// chosen candidate. Throws std::invalid_argument where the numbers do not fit the space.
std::string draw_supernet_dot(const SearchSpace& space,
                              const std::vector<std::vector<double>>& probabilities,
                              const std::vector<std::int64_t>& best);
std::string draw_supernet_svg(const SearchSpace& space,
                              const std::vector<std::vector<double>>& probabilities,
                              const std::vector<std::int64_t>& best);

/// The chosen architecture alone.
std::string draw_child_dot(const SearchSpace& space, const Genotype& genotype);
std::string draw_child_svg(const SearchSpace& space, const Genotype& genotype);

/// A cell: its states side by side, an arc for every edge that it keeps, its operation at the top.
std::string draw_cell_svg(const CellSpace& space, const CellEdges& edges);

/// What changes over epochs: a line each, with its name at the end. Values that are not finite are
/// left out.
struct DrawnLine {
  std::string name;
  std::vector<double> values;
};
std::string draw_lines_svg(const std::string& title, const std::vector<DrawnLine>& lines,
                           double low, double high, double width = 420);

}  // namespace serenade
