#pragma once
// Cells in the text form that the repository of DARTS, and many after it, keep them in:
//   Genotype(normal=[('sep_conv_3x3', 1), .. 8 edges], normal_concat=range(2, 6),
//            reduce=[('max_pool_3x3', 0), .. 8 edges], reduce_concat=range(2, 6))
// "concat" lists the states that are a cell's output: here always all of its nodes.

#include <string>
#include <vector>

#include "nas/cell_space.h"

namespace serenade {

std::string to_text(const CellSpace& space, const std::vector<CellEdges>& cells);

/// Reads it, also with a name before it ("DARTS_V2 = Genotype(..)") and with concat as a list. Text
/// is never run as code. Throws std::invalid_argument, one line: source, what must hold.
std::vector<CellEdges> cells_from_text(const CellSpace& space, const std::string& text,
                                       const std::string& source = "genotype");

}  // namespace serenade
