#include "nas/draw_layout.h"

#include <algorithm>

namespace serenade {

namespace {

constexpr double kMargin = 16, kGapX = 46, kGapY = 22;
constexpr double kEndWidth = 58, kEndHeight = 30;

}  // namespace

const DrawBox& DrawLayout::box(std::int64_t index) const {
  if (index < 0) return input;
  const auto position = static_cast<std::size_t>(index);
  return position < choices.size() ? choices[position] : output;
}

std::vector<std::int64_t> choice_inputs(const SearchSpace& space, std::size_t l) {
  std::vector<std::int64_t> indices;
  for (const std::string& name : space.choices[l].inputs) {
    indices.push_back(name == "input" ? -1 : static_cast<std::int64_t>(space.index_of(name)));
  }
  if (indices.empty()) indices.push_back(static_cast<std::int64_t>(l) - 1);
  return indices;
}

std::vector<std::int64_t> last_choices(const SearchSpace& space) {
  std::vector<bool> read(space.choices.size(), false);
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    for (const std::int64_t i : choice_inputs(space, l)) {
      if (i >= 0) read[static_cast<std::size_t>(i)] = true;
    }
  }
  std::vector<std::int64_t> last;
  for (std::size_t l = 0; l < read.size(); ++l) {
    if (!read[l]) last.push_back(static_cast<std::int64_t>(l));
  }
  return last;
}

DrawLayout layout_choices(const SearchSpace& space, double box_width,
                          const std::vector<double>& heights) {
  DrawLayout layout;
  std::vector<std::size_t> depth;
  std::vector<double> column_heights;
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    std::size_t column = 0;
    for (const std::int64_t i : choice_inputs(space, l)) {
      if (i >= 0) column = std::max(column, depth[static_cast<std::size_t>(i)] + 1);
      layout.arrows.push_back({i, static_cast<std::int64_t>(l)});
    }
    depth.push_back(column);
    if (column == column_heights.size()) column_heights.push_back(-kGapY);
    column_heights[column] += heights[l] + kGapY;
  }
  for (const std::int64_t l : last_choices(space)) {
    layout.arrows.push_back({l, static_cast<std::int64_t>(space.choices.size())});
  }

  const double tallest = *std::max_element(column_heights.begin(), column_heights.end());
  layout.height = std::max(tallest, kEndHeight) + 2 * kMargin;
  const double first_x = kMargin + kEndWidth + kGapX;
  std::vector<double> next_y;
  for (const double height : column_heights) next_y.push_back((layout.height - height) / 2);
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    const double x = first_x + static_cast<double>(depth[l]) * (box_width + kGapX);
    layout.choices.push_back({x, next_y[depth[l]], box_width, heights[l]});
    next_y[depth[l]] += heights[l] + kGapY;
  }
  const double end_y = (layout.height - kEndHeight) / 2;
  const auto columns = static_cast<double>(column_heights.size());
  layout.input = {kMargin, end_y, kEndWidth, kEndHeight};
  layout.output = {first_x + columns * (box_width + kGapX), end_y, kEndWidth, kEndHeight};
  layout.width = layout.output.right() + kMargin;
  return layout;
}

}  // namespace serenade
