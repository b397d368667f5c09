#include "apps/ser/common/svg.h"

#include <cmath>
#include <cstdio>

#include "tensor/text.h"

namespace serenade::ser {

namespace {

// Okabe & Ito's blue, vermilion, green, purple, orange, sky blue and black, the yellow left out
// because it vanishes on white.
constexpr const char* kLightColors[kSeriesColors] = {"#0072b2", "#d55e00", "#009e73", "#aa5590",
                                                     "#c98a00", "#3f9fd8", "#4d4d4d"};
constexpr const char* kDarkColors[kSeriesColors] = {"#4fb0ef", "#ff8c42", "#2fcf9f", "#e39bc8",
                                                    "#f2b632", "#9ad4fa", "#c8c8c8"};

// Tenths of a pixel are enough, and keep the files small.
std::string number(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.1f", std::isfinite(value) ? value : 0.0);
  std::string text = buffer;
  if (text.size() > 2 && text.compare(text.size() - 2, 2, ".0") == 0) text.resize(text.size() - 2);
  return text == "-0" ? "0" : text;
}

std::string attribute(const char* name, const std::string& value) {
  return std::string(" ") + name + "=\"" + value + "\"";
}

std::string attribute(const char* name, double value) { return attribute(name, number(value)); }

std::string opacity_attribute(double opacity) {
  if (opacity >= 1) return "";
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "%.3f", opacity);
  return attribute("opacity", std::string(buffer));
}

// "x0,y0 x1,y1 .."
std::string point_list(const std::vector<double>& points) {
  std::string list;
  for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
    if (i > 0) list += ' ';
    list += number(points[i]) + "," + number(points[i + 1]);
  }
  return list;
}

std::string closing(const std::string& element, const std::string& tooltip) {
  if (tooltip.empty()) return "/>\n";
  return "><title>" + escape_xml(tooltip) + "</title></" + element + ">\n";
}

std::string color_rules(const char* const (&colors)[kSeriesColors]) {
  std::string rules;
  for (int i = 0; i < kSeriesColors; ++i) {
    const std::string n = std::to_string(i), color = colors[i];
    rules += ".chart .c" + n + "{stroke:" + color + "}\n.chart .f" + n + "{fill:" + color + "}\n";
  }
  return rules;
}

}  // namespace

std::string picture_style() {
  std::string style =
      ".chart text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',Helvetica,Arial,"
      "sans-serif;font-size:12px;fill:#3a3f45}\n"
      ".chart .title{font-size:14px;font-weight:600;fill:#16191d}\n"
      ".chart .small{font-size:11px;fill:#5c636b}\n"
      ".chart .strong{font-weight:600;fill:#16191d}\n"
      ".chart .number{font-variant-numeric:tabular-nums}\n"
      ".chart .page{fill:#ffffff}\n"
      ".chart .axis{stroke:#8a9199;stroke-width:1}\n"
      ".chart .grid{stroke:#e4e7ea;stroke-width:1}\n"
      ".chart .guide{stroke:#6b7279;stroke-width:1.2;stroke-dasharray:5 4}\n"
      ".chart .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}\n"
      ".chart .dashed{stroke-dasharray:6 4}\n"
      ".chart .dotted{stroke-dasharray:1.5 4}\n"
      ".chart .whisker{stroke:#16191d;stroke-width:1.6}\n"
      ".chart .marker{fill:#ffffff;stroke:#16191d;stroke-width:1.6}\n"
      ".chart .cell{fill:#f4f6f8}\n"
      ".chart .shade{fill:#0072b2}\n"
      ".chart text.inverse{fill:#ffffff}\n";
  style += color_rules(kLightColors);
  style +=
      "@media (prefers-color-scheme: dark){\n"
      ".chart text{fill:#c5cad0}\n"
      ".chart .title,.chart .strong{fill:#f1f3f5}\n"
      ".chart .small{fill:#9aa1a9}\n"
      ".chart .page{fill:#16191d}\n"
      ".chart .axis{stroke:#6b7279}\n"
      ".chart .grid{stroke:#2b3036}\n"
      ".chart .guide{stroke:#9aa1a9}\n"
      ".chart .whisker{stroke:#f1f3f5}\n"
      ".chart .marker{fill:#16191d;stroke:#f1f3f5}\n"
      ".chart .cell{fill:#22272d}\n"
      ".chart .shade{fill:#2d8fd0}\n";
  return style + color_rules(kDarkColors) + "}\n";
}

Svg::Svg(double width, double height, const std::string& title)
    : width_(width), height_(height), title_(title) {}

void Svg::line(double x1, double y1, double x2, double y2, const std::string& classes) {
  body_ += "<line" + attribute("class", classes) + attribute("x1", x1) + attribute("y1", y1) +
           attribute("x2", x2) + attribute("y2", y2) + "/>\n";
}

void Svg::rect(double x, double y, double width, double height, const std::string& classes,
               const std::string& tooltip, double opacity) {
  body_ += "<rect" + attribute("class", classes) + attribute("x", x) + attribute("y", y) +
           attribute("width", width) + attribute("height", height) + opacity_attribute(opacity) +
           closing("rect", tooltip);
}

void Svg::circle(double x, double y, double radius, const std::string& classes,
                 const std::string& tooltip) {
  body_ += "<circle" + attribute("class", classes) + attribute("cx", x) + attribute("cy", y) +
           attribute("r", radius) + closing("circle", tooltip);
}

void Svg::diamond(double x, double y, double radius, const std::string& classes,
                  const std::string& tooltip) {
  const std::string points = number(x) + "," + number(y - radius) + " " + number(x + radius) + "," +
                             number(y) + " " + number(x) + "," + number(y + radius) + " " +
                             number(x - radius) + "," + number(y);
  body_ += "<polygon" + attribute("class", classes) + attribute("points", points) +
           closing("polygon", tooltip);
}

void Svg::polyline(const std::vector<double>& points, const std::string& classes) {
  body_ +=
      "<polyline" + attribute("class", classes) + attribute("points", point_list(points)) + "/>\n";
}

void Svg::polygon(const std::vector<double>& points, const std::string& classes, double opacity) {
  body_ += "<polygon" + attribute("class", classes) + attribute("points", point_list(points)) +
           opacity_attribute(opacity) + "/>\n";
}

void Svg::text(double x, double y, const std::string& text, const std::string& classes,
               const std::string& anchor, bool upright) {
  body_ += "<text" + attribute("class", classes) + attribute("x", x) + attribute("y", y);
  if (anchor != "start") body_ += attribute("text-anchor", anchor);
  if (upright) {
    body_ += attribute("transform", "rotate(-90 " + number(x) + " " + number(y) + ")");
  }
  body_ += ">" + escape_xml(text) + "</text>\n";
}

std::string Svg::finish(bool standalone) const {
  const std::string w = number(width_), h = number(height_);
  std::string out = "<svg xmlns=\"http://www.w3.org/2000/svg\"" + attribute("width", w) +
                    attribute("height", h) + attribute("viewBox", "0 0 " + w + " " + h) +
                    " class=\"chart\" role=\"img\"" + attribute("aria-label", escape_xml(title_)) +
                    ">\n";
  if (standalone) {
    out += "<style>\n" + picture_style() + "</style>\n";
    out += "<rect class=\"page\" width=\"" + w + "\" height=\"" + h + "\"/>\n";
  }
  return out + body_ + "</svg>\n";
}

}  // namespace serenade::ser
