// Lines over epochs. The names at their ends are moved apart where lines end side by side.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "nas/draw.h"
#include "nas/draw_layout.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

constexpr double kHeight = 190, kLeft = 40, kTop = 26, kBottom = 20, kNames = 96, kRow = 12;

std::string number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", x);
  return text;
}

std::string text_at(double x, double y, const std::string& text, const std::string& more) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" font-size=\"11\" " +
         "font-family=\"Helvetica, Arial, sans-serif\" " + more + ">" + escape_xml(text) +
         "</text>\n";
}

}  // namespace

std::string draw_lines_svg(const std::string& title, const std::vector<DrawnLine>& lines,
                           double low, double high, double width) {
  check(low < high, "draw_lines_svg", "the scale must go up; got ", low, " to ", high);
  std::size_t epochs = 1;
  for (const DrawnLine& line : lines) epochs = std::max(epochs, line.values.size());
  const double right = width - kNames, bottom = kHeight - kBottom;
  const auto x = [&](std::size_t epoch) {
    return kLeft + (right - kLeft) * double(epoch) / double(std::max<std::size_t>(epochs - 1, 1));
  };
  const auto y = [&](double value) {
    return bottom - (bottom - kTop) * (std::clamp(value, low, high) - low) / (high - low);
  };
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(width) +
                    "\" height=\"" + number(kHeight) + "\">\n" +
                    text_at(kLeft, 14, title, "font-weight=\"bold\"");
  for (const double level : {low, (low + high) / 2, high}) {
    svg += "<path d=\"M" + number(kLeft) + " " + number(y(level)) + " H" + number(right) +
           "\" stroke=\"#d5dae1\"/>\n" +
           text_at(kLeft - 4, y(level) + 4, number(level), "text-anchor=\"end\"");
  }
  svg += text_at(kLeft, kHeight - 6, "epoch 1", "") +
         text_at(right, kHeight - 6, std::to_string(epochs), "text-anchor=\"end\"");
  std::vector<double> ends;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string points;
    double end = bottom;
    for (std::size_t epoch = 0; epoch < lines[i].values.size(); ++epoch) {
      const double value = lines[i].values[epoch];
      if (!std::isfinite(value)) continue;
      end = y(value);
      points += number(x(epoch)) + "," + number(end) + " ";
    }
    ends.push_back(end);
    svg += "<polyline points=\"" + points + "\" fill=\"none\" stroke-width=\"1.5\" stroke=\"" +
           kCandidateColors[i % kCandidateColors.size()] + "\"/>\n";
  }
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return ends[a] > ends[b]; });
  double above = kHeight + kRow;  // where the name before stands: from the bottom up
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double room_above = kRow * double(order.size() - 1 - k);
    const double place = std::max(std::min(ends[order[k]], above - kRow), 10 + room_above);
    above = place;
    svg += text_at(
        right + 5, place + 4, lines[order[k]].name,
        std::string("fill=\"") + kCandidateColors[order[k] % kCandidateColors.size()] + "\"");
  }
  return svg + "</svg>\n";
}

}  // namespace serenade
