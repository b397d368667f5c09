#pragma once
// A search for cells as one HTML page that needs nothing else, neither files nor network.

#include <string>
#include <vector>

#include "nas/cell_space.h"
#include "nas/draw.h"
#include "nas/history.h"

namespace serenade {

struct CellPage {
  std::string title = {};
  /// The cells after each epoch, with a slider; or one of them.
  std::vector<std::vector<CellEdges>> cells = {};
  std::vector<SearchRecord> history = {};  ///< for softmax(alpha) of every edge; may be empty
  std::string lines_title = {};
  std::vector<DrawnLine> lines = {};  ///< of 0 .. 1 over epochs: accuracies
};

std::string to_html(const CellSpace& space, const CellPage& page);

}  // namespace serenade
