#include "nas/cell_page.h"

#include <algorithm>

#include "nas/cell_text.h"
#include "nas/epoch_slider.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

constexpr const char* kStyle = R"(<style>
body { font: 15px/1.5 Helvetica, Arial, sans-serif; max-width: 980px; margin: 2em auto;
  color: #1f2937; padding: 0 1em; }
svg { max-width: 100%; }
code { overflow-wrap: anywhere; font-size: 12px; }
input { width: 70%; vertical-align: middle; }
</style>
)";

std::string cells_html(const CellSpace& space, const std::vector<CellEdges>& cells) {
  std::string html;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    html += "<h2>Cell: " + escape_xml(space.cells[c]) + "</h2>\n" + draw_cell_svg(space, cells[c]);
  }
  return html + "<p><code>" + escape_xml(to_text(space, cells)) + "</code></p>\n";
}

// softmax(alpha) of one edge over the epochs, on a scale that shows differences.
std::string alphas_html(const CellSpace& space, const std::vector<SearchRecord>& history,
                        std::size_t choice) {
  std::vector<DrawnLine> lines;
  double low = 1, high = 0;
  for (std::size_t k = 0; k < space.candidates.size(); ++k) {
    lines.push_back({space.candidates[k], {}});
    for (const SearchRecord& epoch : history) {
      const double probability = epoch.choices.at(choice).probabilities.at(k);
      lines[k].values.push_back(probability);
      low = std::min(low, probability);
      high = std::max(high, probability);
    }
  }
  const double margin = 0.05 * (high - low) + 1e-6;
  return draw_lines_svg(history[0].choices[choice].name, lines, low - margin, high + margin);
}

}  // namespace

std::string to_html(const CellSpace& space, const CellPage& page) {
  check(!page.cells.empty(), "CellPage", "there must be cells");
  std::string html = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>" +
                     escape_xml(page.title) + "</title>\n" + kStyle + "<h1>" +
                     escape_xml(page.title) + "</h1>\n";
  std::vector<std::string> epochs;
  for (const std::vector<CellEdges>& cells : page.cells) epochs.push_back(cells_html(space, cells));
  html += epoch_slider(epochs);
  if (!page.lines.empty()) {
    html += "<h2>" + escape_xml(page.lines_title) + "</h2>\n" +
            draw_lines_svg("", page.lines, 0, 1, 620);
  }
  if (!page.history.empty()) {
    html += "<h2>softmax(alpha) of every edge</h2>\n";
    for (std::size_t i = 0; i < page.history[0].choices.size(); ++i) {
      html += alphas_html(space, page.history, i);
    }
  }
  return html + "</html>\n";
}

}  // namespace serenade
