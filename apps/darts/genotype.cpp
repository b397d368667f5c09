#include "apps/darts/genotype.h"

#include <filesystem>

#include "nas/cell_text.h"
#include "tensor/check.h"
#include "tensor/files.h"

namespace serenade::darts {

const CellSpace& cell_space() {
  static const CellSpace space = {
      .system = "DARTS",
      .candidates = {"none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3",
                     "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"}};
  return space;
}

Cells find_cells(const std::string& name, std::uint64_t seed) {
  const std::string sep = "sep_conv_3x3", skip = "skip_connect", max = "max_pool_3x3";
  const CellEdge dil = {"dil_conv_3x3", 2}, mean = {"avg_pool_3x3", 0};
  if (name == "DARTS_V1") {
    return {{{sep, 1}, {sep, 0}, {skip, 0}, {sep, 1}, {skip, 0}, {sep, 1}, {sep, 0}, {skip, 2}},
            {{max, 0}, {max, 1}, {skip, 2}, {max, 0}, {max, 0}, {skip, 2}, {skip, 2}, mean}};
  }
  if (name == "DARTS_V2") {
    return {{{sep, 0}, {sep, 1}, {sep, 0}, {sep, 1}, {sep, 1}, {skip, 0}, {skip, 0}, dil},
            {{max, 0}, {max, 1}, {skip, 2}, {max, 1}, {max, 0}, {skip, 2}, {skip, 2}, {max, 1}}};
  }
  if (name == "random") {
    return cell_space().random({.seed = seed, .purpose = Purpose::architecture});
  }
  check(std::filesystem::is_regular_file(name), name.c_str(),
        "is no file, and none of DARTS_V1, DARTS_V2, random");
  return cells_from_text(cell_space(), read_file(name), name);
}

}  // namespace serenade::darts
