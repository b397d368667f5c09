// A cell as arcs over a row of states. The top of an arc lies higher the farther it reaches, so no
// two tops are in one place.

#include <algorithm>
#include <cstdio>

#include "nas/draw.h"
#include "nas/draw_layout.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

constexpr double kStep = 120, kMargin = 60, kRise = 34, kRadius = 17, kBelow = 70;

// printf with numbers: text and colours that come from outside go around it.
template <class... Numbers>
std::string format(const char* pattern, Numbers... numbers) {
  char text[256];
  std::snprintf(text, sizeof text, pattern, numbers...);
  return text;
}

std::string label(double x, double y, const std::string& text, const char* color) {
  return format("<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\" font-size=\"12\" ", x, y) +
         "font-family=\"Helvetica, Arial, sans-serif\" paint-order=\"stroke\" stroke=\"#fff\" " +
         "stroke-width=\"4\" fill=\"" + color + "\">" + escape_xml(text) + "</text>\n";
}

}  // namespace

std::string draw_cell_svg(const CellSpace& space, const CellEdges& edges) {
  const std::int64_t states = space.inputs + space.nodes;
  const double base = kRise * double(states) + 30, width = 2 * kMargin + kStep * double(states);
  const auto place = [](std::int64_t state) { return kMargin + kStep * double(state); };
  std::string svg = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "width=\"%.0f\">\n",
      width, base + kBelow, width);
  std::string labels;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto& [op, from] = edges[i];
    const std::int64_t node = space.inputs + static_cast<std::int64_t>(i) / space.kept;
    check(0 <= from && from < node && node < states, "draw_cell_svg", "edge ", i + 1,
          " must come from a state before its node, ", node, "; got ", from);
    const auto known = std::find(space.candidates.begin(), space.candidates.end(), op);
    const char* color =
        kCandidateColors[std::size_t(known - space.candidates.begin()) % kCandidateColors.size()];
    const double middle = (place(from) + place(node)) / 2, rise = kRise * double(node - from);
    svg += format("<path d=\"M%.0f %.0f Q%.0f %.0f %.0f %.0f\" ", place(from), base - kRadius,
                  middle, base - kRadius - 2 * rise, place(node), base - kRadius) +
           "fill=\"none\" stroke-width=\"3\" stroke=\"" + color + "\"/>\n";
    labels += label(middle, base - kRadius - rise + 4, op, color);
  }
  for (std::int64_t node = space.inputs; node < states; ++node) {
    svg +=
        format("<path d=\"M%.0f %.0f Q%.0f %.0f %.0f %.0f\" fill=\"none\" stroke=\"#d5dae1\"/>\n",
               place(node), base + kRadius, (place(node) + place(states)) / 2, base + kBelow - 5,
               place(states), base + kRadius);
  }
  for (std::int64_t state = 0; state <= states; ++state) {
    const bool node = state >= space.inputs && state < states;
    svg += format("<circle cx=\"%.0f\" cy=\"%.0f\" r=\"%.0f\" fill=\"%s\" stroke=\"#1f2937\"/>\n",
                  place(state), base, kRadius, node ? "#f7f8fa" : "#dbeafe");
    labels +=
        label(place(state), base + 4, state == states ? "out" : std::to_string(state), "#1f2937");
  }
  return svg + labels + "</svg>\n";
}

}  // namespace serenade
