#pragma once
// Where the choices of a search space stand in a picture: columns by depth, left to right, the
// layers of a column one above the other and centred. Lengths in SVG user units (pixels).

#include <array>
#include <string>
#include <vector>

#include "nas/search_space.h"

namespace serenade {

/// Of candidate i, or line i, modulo their number.
inline constexpr std::array<const char*, 8> kCandidateColors = {
    "#9aa5b4", "#0f766e", "#65a30d", "#64748b", "#c2410c", "#b45309", "#6d28d9", "#be185d"};

struct DrawBox {
  double x = 0, y = 0, width = 0, height = 0;  ///< upper left corner and size
  double middle() const { return y + height / 2; }
  double right() const { return x + width; }
};

struct DrawLayout {
  std::vector<DrawBox> choices;  ///< one per choice of the space
  DrawBox input, output;
  /// Arrows between boxes: indices of choices, -1 for the input, choices.size() for the
  /// output.
  struct Arrow {
    std::int64_t from, to;
  };
  std::vector<Arrow> arrows;
  double width = 0, height = 0;

  const DrawBox& box(std::int64_t index) const;
};

/// The inputs of choice l as indices of choices, -1 for the network's input.
std::vector<std::int64_t> choice_inputs(const SearchSpace& space, std::size_t l);
/// The choices that no other one reads.
std::vector<std::int64_t> last_choices(const SearchSpace& space);

/// heights: of each choice's box.
DrawLayout layout_choices(const SearchSpace& space, double box_width,
                          const std::vector<double>& heights);

}  // namespace serenade
