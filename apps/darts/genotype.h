#pragma once
// The cells of DARTS: two inputs, four nodes, eight candidates for every edge.

#include <string>
#include <vector>

#include "nas/cell_space.h"

namespace serenade::darts {

const CellSpace& cell_space();

using Cells = std::vector<CellEdges>;  // normal, reduce

/// "DARTS_V1", "DARTS_V2": what the paper found, by the first and by the second order. "random":
/// drawn from the seed. Else a file, as in nas/cell_text.h.
Cells find_cells(const std::string& name, std::uint64_t seed);

}  // namespace serenade::darts
