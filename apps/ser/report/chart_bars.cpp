// The charts of chart.h that are made of rectangles: bars, confusion heat map, histogram.

#include <algorithm>
#include <cmath>

#include "apps/ser/common/svg.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/report/chart.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

constexpr double kCharacterWidth = 6.6;
constexpr double kBarRow = 24, kGroupHead = 26;
// Pale enough for the error bar drawn over the bar to be seen.
constexpr double kBarOpacity = 0.6;

// Large counts in full ("12,345"), since compact() would write them with an exponent.
std::string plain_text(double value) {
  const bool large_count = std::abs(value) >= 1e4 && std::abs(value) < 1e15;
  return large_count ? grouped(std::llround(value)) : compact(value, 4);
}

std::string value_text(double value, bool as_percent) {
  if (!std::isfinite(value)) return "-";
  return as_percent ? percent(value, 1) + "%" : plain_text(value);
}

std::string tick_text(double value, bool as_percent) {
  return as_percent ? compact(100 * value, 4) + "%" : plain_text(value);
}

double largest_value(const BarChart& chart) {
  double largest = chart.reference.value_or(0);
  for (const BarChart::Group& group : chart.groups) {
    for (const BarChart::Bar& bar : group.bars) {
      for (const double v : {bar.value, bar.high.value_or(0), bar.marker.value_or(0)}) {
        if (std::isfinite(v)) largest = std::max(largest, v);
      }
    }
  }
  return largest > 0 ? largest : 1;
}

double widest_label(const BarChart& chart) {
  int widest = 4;
  for (const BarChart::Group& group : chart.groups) {
    for (const BarChart::Bar& bar : group.bars) {
      widest = std::max(widest, display_width(bar.label));
    }
  }
  return kCharacterWidth * widest;
}

// One row of marks and words below the title.
void draw_bar_legend(Svg& svg, const BarChart& chart, double x, double y) {
  const auto entry = [&](const std::string& name, auto&& draw_mark) {
    if (name.empty()) return;
    draw_mark();
    svg.text(x + 26, y, name, "");
    x += 26 + kCharacterWidth * display_width(name) + 16;
  };
  entry(chart.value_name, [&] { svg.rect(x, y - 9, 18, 10, "f0", "", kBarOpacity); });
  entry(chart.interval_name, [&] {
    svg.line(x, y - 4, x + 18, y - 4, "whisker");
    svg.line(x, y - 8, x, y, "whisker");
    svg.line(x + 18, y - 8, x + 18, y, "whisker");
  });
  entry(chart.marker_name, [&] { svg.diamond(x + 9, y - 4, 5, "marker"); });
  if (chart.reference) {
    entry(chart.reference_label, [&] { svg.line(x, y - 4, x + 20, y - 4, "guide"); });
  }
}

template <class ToPixel>
void draw_bar(Svg& svg, const BarChart& chart, const BarChart::Bar& bar, double y, double right,
              const ToPixel& pixel) {
  const double middle = y + kBarRow / 2, zero = pixel(0);
  svg.text(zero - 10, middle + 4, bar.label, "", "end");
  std::string said = bar.label + ": " + value_text(bar.value, chart.percent);
  if (bar.low && bar.high) {
    said += " (" + value_text(*bar.low, chart.percent) + " to " +
            value_text(*bar.high, chart.percent) + ")";
  }
  if (std::isfinite(bar.value)) {
    svg.rect(zero, y + 4, pixel(bar.value) - zero, kBarRow - 8,
             "f" + std::to_string(bar.color % kSeriesColors), said, kBarOpacity);
  }
  if (bar.low && bar.high && std::isfinite(*bar.low) && std::isfinite(*bar.high)) {
    const double low = pixel(*bar.low), high = pixel(*bar.high);
    svg.line(low, middle, high, middle, "whisker");
    svg.line(low, middle - 4, low, middle + 4, "whisker");
    svg.line(high, middle - 4, high, middle + 4, "whisker");
  }
  if (bar.marker && std::isfinite(*bar.marker)) {
    svg.diamond(pixel(*bar.marker), middle, 5, "marker",
                chart.marker_name + ": " + value_text(*bar.marker, chart.percent));
  }
  svg.text(right + 10, middle + 4, value_text(bar.value, chart.percent), "strong number");
}

}  // namespace

std::string draw(const BarChart& chart, bool standalone) {
  double height = 66 + 46;
  for (const BarChart::Group& group : chart.groups) {
    height +=
        (group.name.empty() ? 8 : kGroupHead) + kBarRow * static_cast<double>(group.bars.size());
  }
  Svg svg(chart.width, height, chart.title);
  svg.text(16, 24, chart.title, "title");
  draw_bar_legend(svg, chart, 16, 48);

  const std::vector<double> ticks = nice_ticks(0, largest_value(chart), 6);
  const double left = 16 + widest_label(chart) + 12, right = chart.width - 66;
  const double top = 62, bottom = height - 44;
  const auto pixel = [&](double value) {
    return left + std::clamp(value / ticks.back(), 0., 1.) * (right - left);
  };
  for (const double tick : ticks) {
    svg.text(pixel(tick), bottom + 17, tick_text(tick, chart.percent), "number", "middle");
  }
  double y = top;
  for (const BarChart::Group& group : chart.groups) {
    if (!group.name.empty()) svg.text(16, y + 18, group.name, "strong");
    y += group.name.empty() ? 8 : kGroupHead;
    const double start = y, end = y + kBarRow * static_cast<double>(group.bars.size());
    for (const double tick : ticks) svg.line(pixel(tick), y, pixel(tick), end, "grid");
    for (const BarChart::Bar& bar : group.bars) {
      draw_bar(svg, chart, bar, y, right, pixel);
      y += kBarRow;
    }
    svg.line(left, start, left, end, "axis");
    if (chart.reference && std::isfinite(*chart.reference)) {
      const double x = pixel(*chart.reference);
      svg.line(x, start, x, end, "guide");
    }
  }
  svg.text((left + right) / 2, bottom + 36, chart.x_label, "small", "middle");
  return svg.finish(standalone);
}

std::string draw_confusion(const ConfusionMatrix& matrix, const std::string& title,
                           bool standalone) {
  const int n = matrix.size();
  int widest = 4;
  for (const std::string& name : matrix.classes()) widest = std::max(widest, display_width(name));
  const double cell_width = std::max(84., kCharacterWidth * widest + 16), cell_height = 58;
  const double left = 44 + kCharacterWidth * widest, top = 84;
  const double width = left + (n + 1) * cell_width + 16;
  Svg svg(std::max(width, 16 + 8. * display_width(title)), top + n * cell_height + 24, title);
  svg.text(16, 24, title, "title");
  svg.text(left + n * cell_width / 2, 52, "predicted as", "small", "middle");
  svg.text(18, top + n * cell_height / 2, "true class", "small", "middle", true);
  svg.text(left + (n + 0.5) * cell_width, top - 8, "recordings", "small", "middle");
  for (int t = 0; t < n; ++t) {
    const double y = top + t * cell_height, middle = y + cell_height / 2;
    const auto total = static_cast<double>(matrix.row_total(t));
    const std::string& name = matrix.classes()[t];
    svg.text(left + (t + 0.5) * cell_width, top - 8, name, "strong", "middle");
    svg.text(left - 10, middle + 4, name, "strong", "end");
    svg.text(left + (n + 0.5) * cell_width, middle + 4, grouped(matrix.row_total(t)), "number",
             "middle");
    for (int p = 0; p < n; ++p) {
      const double x = left + p * cell_width;
      const double share = total > 0 ? static_cast<double>(matrix.count(t, p)) / total : 0;
      const std::string tooltip = name + " taken for " + matrix.classes()[p] + ": " +
                                  grouped(matrix.count(t, p)) + " of " +
                                  grouped(matrix.row_total(t));
      svg.rect(x + 1, y + 1, cell_width - 2, cell_height - 2, "cell");
      if (share > 0) {
        svg.rect(x + 1, y + 1, cell_width - 2, cell_height - 2, "shade", tooltip, share);
      }
      const std::string inverse = share > 0.55 ? " inverse" : "";
      svg.text(x + cell_width / 2, middle - 3, grouped(matrix.count(t, p)),
               "strong number" + inverse, "middle");
      svg.text(x + cell_width / 2, middle + 14, total > 0 ? percent(share, 1) + "%" : "-",
               "small number" + inverse, "middle");
    }
  }
  return svg.finish(standalone);
}

std::string draw(const Histogram& histogram, bool standalone) {
  std::vector<double> values;
  for (const double v : histogram.values) {
    if (std::isfinite(v)) values.push_back(v);
  }
  Svg svg(histogram.width, histogram.height, histogram.title);
  svg.text(16, 24, histogram.title, "title");
  if (values.empty()) return svg.finish(standalone);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  const std::vector<double> ticks = nice_ticks(*least, *most, 8);
  const double low = ticks.front(), span = ticks.back() - low;
  const int bins = std::max(1, histogram.bins);
  std::vector<int> counts(bins, 0);
  for (const double v : values) {
    counts[std::min(bins - 1, static_cast<int>((v - low) / span * bins))] += 1;
  }
  const std::vector<double> rows =
      nice_ticks(0, *std::max_element(counts.begin(), counts.end()), 4);
  const double left = 58, right = histogram.width - 22, top = 44, bottom = histogram.height - 50;
  for (const double row : rows) {
    const double y = bottom - row / rows.back() * (bottom - top);
    svg.line(left, y, right, y, "grid");
    svg.text(left - 8, y + 4, compact(row), "number", "end");
  }
  for (int b = 0; b < bins; ++b) {
    const double x = left + (right - left) * b / bins, width = (right - left) / bins;
    const double tall = counts[b] / rows.back() * (bottom - top);
    const std::string range = compact(low + span * b / bins) + " to " +
                              compact(low + span * (b + 1) / bins) + ": " + grouped(counts[b]);
    if (counts[b] > 0) svg.rect(x + 0.5, bottom - tall, width - 1, tall, "f0", range);
  }
  for (const double tick : ticks) {
    svg.text(left + (tick - low) / span * (right - left), bottom + 19, compact(tick), "number",
             "middle");
  }
  svg.line(left, bottom, right, bottom, "axis");
  svg.text((left + right) / 2, bottom + 38, histogram.x_label, "small", "middle");
  svg.text(16, (top + bottom) / 2, "count", "small", "middle", true);
  return svg.finish(standalone);
}

}  // namespace serenade::ser
