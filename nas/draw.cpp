#include "nas/draw.h"

#include <algorithm>
#include <cstdio>

#include "nas/draw_layout.h"
#include "tensor/check.h"
#include "tensor/text.h"

namespace serenade {

namespace {

constexpr const char* kInk = "#1f2937";
constexpr const char* kQuiet = "#9aa5b4";
constexpr const char* kChosen = "#c2410c";
constexpr const char* kPanel = "#f7f8fa";
constexpr const char* kLine = "#d5dae1";
constexpr const char* kFont = "font-family=\"Helvetica, Arial, sans-serif\"";

constexpr double kPanelWidth = 190, kTitle = 32, kRow = 25, kPanelFoot = 12;
constexpr double kChildWidth = 110, kChildHeight = 54;

std::string number(double x, const char* format = "%.1f") {
  char text[32];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

std::string quote_dot(const std::string& text) {
  std::string safe = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') safe += '\\';
    safe += letter;
  }
  return safe + "\"";
}

void check_picture(const SearchSpace& space, const std::vector<std::vector<double>>& probabilities,
                   const std::vector<std::int64_t>& best) {
  space.validate();
  check(probabilities.size() == space.choices.size() && best.size() == space.choices.size(),
        "draw_supernet", "there must be probabilities and a best candidate for each of ",
        space.choices.size(), " choices; got ", probabilities.size(), " and ", best.size());
  for (std::size_t l = 0; l < best.size(); ++l) {
    const std::int64_t n = space.choices[l].size();
    const std::vector<double>& p = probabilities[l];
    const bool fit = static_cast<std::int64_t>(p.size()) == n &&
                     std::all_of(p.begin(), p.end(), [](double x) { return x >= 0 && x <= 1; });
    check(fit && 0 <= best[l] && best[l] < n, "draw_supernet", "choice '", space.choices[l].name,
          "' must have ", n, " probabilities within 0 .. 1 and the best among its candidates");
  }
}

// 1 for a candidate of no weight, 9 for one of full weight.
double edge_width(double probability) { return 1 + 8 * probability; }

// SVG ---------------------------------------------------------------------------------------------

std::string svg_text(double x, double y, const std::string& text, const char* anchor, double size,
                     const char* color, bool bold = false) {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor +
         "\" font-size=\"" + number(size, "%.0f") + "\" " + kFont + " fill=\"" + color + "\"" +
         (bold ? " font-weight=\"bold\"" : "") + ">" + escape_xml(text) + "</text>\n";
}

std::string svg_box(const DrawBox& box, const char* fill, const char* line, double radius) {
  return "<rect x=\"" + number(box.x) + "\" y=\"" + number(box.y) + "\" width=\"" +
         number(box.width) + "\" height=\"" + number(box.height) + "\" rx=\"" + number(radius) +
         "\" fill=\"" + fill + "\" stroke=\"" + line + "\"/>\n";
}

std::string svg_curve(double x0, double y0, double x1, double y1) {
  const double middle = (x0 + x1) / 2;
  return " C" + number(middle) + " " + number(y0) + " " + number(middle) + " " + number(y1) + " " +
         number(x1) + " " + number(y1);
}

std::string svg_arrow(double x0, double y0, double x1, double y1) {
  const double tip = 7;
  return "<path d=\"M" + number(x0) + " " + number(y0) + svg_curve(x0, y0, x1 - tip, y1) +
         "\" fill=\"none\" stroke=\"" + kInk + "\" stroke-width=\"1.5\"/>\n<path d=\"M" +
         number(x1) + " " + number(y1) + " l-" + number(tip + 1) + " -4 v8 z\" fill=\"" + kInk +
         "\"/>\n";
}

std::string svg_frame(const DrawLayout& layout, const std::string& title) {
  const std::string width = number(layout.width, "%.0f"), height = number(layout.height, "%.0f");
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + width + " " +
                    height + "\" width=\"" + width + "\" height=\"" + height +
                    "\" role=\"img\">\n<title>" + escape_xml(title) + "</title>\n";
  svg += svg_box({0, 0, layout.width, layout.height}, "#ffffff", "none", 0);
  for (const auto& [from, to] : layout.arrows) {
    const DrawBox &a = layout.box(from), &b = layout.box(to);
    svg += svg_arrow(a.right(), a.middle(), b.x, b.middle());
  }
  for (const auto& [box, name] : {std::pair{layout.input, "input"}, {layout.output, "output"}}) {
    svg += svg_box(box, "#ffffff", kInk, 6);
    svg += svg_text(box.x + box.width / 2, box.middle() + 4, name, "middle", 12, kInk);
  }
  return svg;
}

// One candidate: an edge from the panel's left dot over its own row to the right dot, with its name
// and probability on the row.
std::string svg_candidate(const DrawBox& panel, std::size_t row, const std::string& name,
                          double probability, bool chosen) {
  const double left = panel.x + 10, right = panel.right() - 10;
  const double y = panel.y + kTitle + kRow * (static_cast<double>(row) + 0.5);
  const double text_left = panel.x + 44, text_right = panel.right() - 44;
  const char* color = chosen ? kChosen : kQuiet;
  const std::string label = name + "  " + number(probability, "%.3f");
  const double pill =
      std::min(text_right - text_left, 14 + 6.6 * static_cast<double>(label.size()));
  const double middle = (left + right) / 2;
  return "<path d=\"M" + number(left) + " " + number(panel.middle()) +
         svg_curve(left, panel.middle(), text_left, y) + " H" + number(text_right) +
         svg_curve(text_right, y, right, panel.middle()) + "\" fill=\"none\" stroke=\"" + color +
         "\" stroke-width=\"" + number(edge_width(probability), "%.2f") + "\"/>\n" +
         svg_box({middle - pill / 2, y - 9, pill, 18}, kPanel, "none", 9) +
         svg_text(middle, y + 4, label, "middle", 12, chosen ? kChosen : kInk, chosen);
}

std::string svg_dot(double x, double y) {
  return "<circle cx=\"" + number(x) + "\" cy=\"" + number(y) + "\" r=\"5\" fill=\"" + kInk +
         "\"/>\n";
}

}  // namespace

std::string draw_supernet_svg(const SearchSpace& space,
                              const std::vector<std::vector<double>>& probabilities,
                              const std::vector<std::int64_t>& best) {
  check_picture(space, probabilities, best);
  std::vector<double> heights;
  for (const Choice& choice : space.choices) {
    heights.push_back(kTitle + kRow * static_cast<double>(choice.candidates.size()) + kPanelFoot);
  }
  const DrawLayout layout = layout_choices(space, kPanelWidth, heights);
  std::string svg =
      svg_frame(layout, "Supernet: candidates by softmax(alpha), the chosen coloured");
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    const Choice& choice = space.choices[l];
    const DrawBox& panel = layout.choices[l];
    svg += svg_box(panel, kPanel, kLine, 8);
    svg += svg_text(panel.x + panel.width / 2, panel.y + 21, choice.name, "middle", 14, kInk, true);
    const auto chosen = static_cast<std::size_t>(best[l]);
    for (std::size_t i = 0; i < choice.candidates.size(); ++i) {
      if (i != chosen) {
        svg += svg_candidate(panel, i, choice.candidates[i], probabilities[l][i], false);
      }
    }
    // Last, so that it lies on top where edges meet.
    svg += svg_candidate(panel, chosen, choice.candidates[chosen], probabilities[l][chosen], true);
    svg += svg_dot(panel.x + 10, panel.middle()) + svg_dot(panel.right() - 10, panel.middle());
    svg += "<path d=\"M" + number(panel.x) + " " + number(panel.middle()) + " h10 M" +
           number(panel.right() - 10) + " " + number(panel.middle()) + " h10\" stroke=\"" + kInk +
           "\" stroke-width=\"1.5\"/>\n";
  }
  return svg + "</svg>\n";
}

std::string draw_child_svg(const SearchSpace& space, const Genotype& genotype) {
  space.validate();
  check_genotype(genotype, space);
  const DrawLayout layout =
      layout_choices(space, kChildWidth, std::vector<double>(space.choices.size(), kChildHeight));
  std::string svg = svg_frame(layout, "Architecture: " + genotype.summary());
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    const DrawBox& box = layout.choices[l];
    const std::string& name = space.choices[l].name;
    svg += svg_box(box, "#fff4ed", kChosen, 8);
    svg += svg_text(box.x + box.width / 2, box.y + 22, name, "middle", 14, kInk, true);
    svg += svg_text(box.x + box.width / 2, box.y + 42, genotype.candidate(name), "middle", 14,
                    kChosen);
  }
  return svg + "</svg>\n";
}

// DOT ---------------------------------------------------------------------------------------------

namespace {

std::string dot_name(const SearchSpace& space, std::int64_t index) {
  return index < 0 ? "input" : space.choices[static_cast<std::size_t>(index)].name;
}

// The node that a choice's edges start from: its input, or a joint where it has several.
std::string dot_source(const SearchSpace& space, std::size_t l, std::string& dot) {
  const std::vector<std::int64_t> inputs = choice_inputs(space, l);
  if (inputs.size() == 1) return dot_name(space, inputs[0]);
  std::string joint = space.choices[l].name + " input";
  dot += "  " + quote_dot(joint) + " [shape=point, width=0.1];\n";
  for (const std::int64_t i : inputs) {
    dot +=
        "  " + quote_dot(dot_name(space, i)) + " -> " + quote_dot(joint) + " [arrowhead=none];\n";
  }
  return joint;
}

std::string dot_head(const char* name) {
  return std::string("digraph ") + name +
         " {\n  rankdir=LR;\n  ranksep=1.1;\n  nodesep=0.3;\n  node [shape=box, style=rounded, "
         "fontname=\"Helvetica\"];\n"
         "  edge [fontname=\"Helvetica\", fontsize=10, arrowsize=0.5];\n";
}

std::string dot_tail(const SearchSpace& space) {
  std::string dot;
  for (const std::int64_t l : last_choices(space)) {
    dot += "  " + quote_dot(dot_name(space, l)) + " -> \"output\";\n";
  }
  return dot + "}\n";
}

}  // namespace

std::string draw_supernet_dot(const SearchSpace& space,
                              const std::vector<std::vector<double>>& probabilities,
                              const std::vector<std::int64_t>& best) {
  check_picture(space, probabilities, best);
  std::string dot = dot_head("supernet");
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    const Choice& choice = space.choices[l];
    const std::string source = dot_source(space, l, dot);
    for (std::size_t i = 0; i < choice.candidates.size(); ++i) {
      const bool chosen = static_cast<std::int64_t>(i) == best[l];
      const double p = probabilities[l][i];
      const char* color = chosen ? kChosen : kQuiet;
      const std::string label = choice.candidates[i] + " " + number(p, "%.3f");
      dot += "  " + quote_dot(source) + " -> " + quote_dot(choice.name) +
             " [label=" + quote_dot(label) + ", penwidth=" + number(edge_width(p), "%.2f") +
             ", color=\"" + color + "\", fontcolor=\"" + (chosen ? kChosen : kInk) + "\"];\n";
    }
  }
  return dot + dot_tail(space);
}

std::string draw_child_dot(const SearchSpace& space, const Genotype& genotype) {
  space.validate();
  check_genotype(genotype, space);
  std::string dot = dot_head("child");
  for (std::size_t l = 0; l < space.choices.size(); ++l) {
    const std::string source = dot_source(space, l, dot);
    const std::string& name = space.choices[l].name;
    dot += "  " + quote_dot(source) + " -> " + quote_dot(name) +
           " [label=" + quote_dot(genotype.candidate(name)) + ", penwidth=2, color=\"" + kChosen +
           "\", fontcolor=\"" + kChosen + "\"];\n";
  }
  return dot + dot_tail(space);
}

}  // namespace serenade
