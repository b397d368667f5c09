#include "apps/ser/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "apps/ser/common/svg.h"
#include "apps/ser/common/text_table.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

constexpr double kCharacterWidth = 6.6;  // of 12 px text, on average: for laying out legends
constexpr std::size_t kMaxDots = 40;     // curves of more points are drawn without dots
constexpr double kBandOpacity = 0.12;    // several lie above one another

// One axis: data from low to high onto pixels from start to end.
struct Axis {
  double low = 0, high = 1;
  double start = 0, end = 1;
  bool log = false;
  std::vector<double> ticks;

  double pixel(double value) const {
    const double position =
        log ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low))
            : (value - low) / (high - low);
    return start + std::clamp(position, 0., 1.) * (end - start);
  }
};

void widen_if_empty(double& low, double& high) {
  if (low < high) return;
  const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
  low -= pad;
  high += pad;
}

// From the largest tick at or below the data to the smallest at or above, so that the axis ends on
// labelled values.
Axis linear_axis(double low, double high, bool fixed_low, bool fixed_high, int about) {
  widen_if_empty(low, high);
  Axis axis;
  axis.ticks = nice_ticks(low, high, about);
  axis.low = fixed_low ? low : std::min(low, axis.ticks.front());
  axis.high = fixed_high ? high : std::max(high, axis.ticks.back());
  return axis;
}

// Like linear_axis, with ticks at 1, 2 and 5 of every decade, or at the decades alone if there are
// many.
Axis log_axis(double low, double high) {
  Axis axis;
  axis.log = true;
  const bool wide = high / low > 1e3;
  const int first = static_cast<int>(std::floor(std::log10(low)));
  const int last = static_cast<int>(std::floor(std::log10(high))) + 1;
  for (int decade = first; decade <= last; ++decade) {
    for (const double step : {1., 2., 5.}) {
      if (step == 1 || !wide) axis.ticks.push_back(step * std::pow(10, decade));
    }
  }
  const auto above = [](double bound) {
    return [bound](double tick) { return tick >= bound * (1 - 1e-9); };
  };
  const auto end = std::find_if(axis.ticks.begin(), axis.ticks.end(), above(high));
  axis.ticks.erase(end + 1, axis.ticks.end());
  while (axis.ticks.size() > 2 && axis.ticks[1] <= low * (1 + 1e-9)) {
    axis.ticks.erase(axis.ticks.begin());
  }
  axis.low = axis.ticks.front();
  axis.high = axis.ticks.back();
  return axis;
}

// With as many digits as tell all of them apart.
std::vector<std::string> tick_texts(const std::vector<double>& ticks, bool percent) {
  std::vector<std::string> texts;
  for (int digits = percent ? 4 : 3; digits <= 12; ++digits) {
    texts.clear();
    for (const double tick : ticks) {
      texts.push_back(percent                  ? compact(100 * tick, digits) + "%"
                      : std::abs(tick) < 1e-12 ? "0"
                                               : compact(tick, digits));
    }
    if (std::adjacent_find(texts.begin(), texts.end()) == texts.end()) break;
  }
  return texts;
}

std::string color_class(const Series& series, std::size_t position, const char* prefix) {
  const int color = series.color >= 0 ? series.color : static_cast<int>(position);
  return prefix + std::to_string(color % kSeriesColors);
}

// Curves share colours after the palette is used up; the pattern of the line keeps them apart.
std::string pattern_class(const Series& series, std::size_t position) {
  if (series.dashed) return " dashed";
  return position >= kSeriesColors ? " dotted" : "";
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void cover(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

bool drawable(const LineChart& chart, double x, double y) {
  return std::isfinite(x) && std::isfinite(y) && (!chart.log_y || y > 0) && (!chart.log_x || x > 0);
}

struct Frame {
  Axis x, y;
  double left, right, top, bottom;
};

double legend_entry_width(const std::string& name) {
  return 34 + kCharacterWidth * display_width(name) + 14;
}

// Rows of the legend below the title; returns the height used.
double draw_legend(Svg& svg, const LineChart& chart, double left, double top) {
  double x = left, y = top;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    const Series& series = chart.series[s];
    const double width = legend_entry_width(series.name);
    if (x > left && x + width > chart.width - 12) {
      x = left;
      y += 18;
    }
    if (series.scattered) {
      svg.circle(x + 12, y - 4, 2.6, color_class(series, s, "f"));
    } else {
      svg.line(x, y - 4, x + 24, y - 4,
               "curve " + color_class(series, s, "c") + pattern_class(series, s));
    }
    svg.text(x + 30, y, series.name, "");
    x += width;
  }
  return y - top + 18;
}

void draw_axes(Svg& svg, const LineChart& chart, const Frame& frame) {
  const std::vector<std::string> y_texts = tick_texts(frame.y.ticks, chart.percent);
  for (std::size_t i = 0; i < y_texts.size(); ++i) {
    const double y = frame.y.pixel(frame.y.ticks[i]);
    svg.line(frame.left, y, frame.right, y, "grid");
    svg.text(frame.left - 8, y + 4, y_texts[i], "number", "end");
  }
  const std::vector<std::string> x_texts = tick_texts(frame.x.ticks, false);
  for (std::size_t i = 0; i < x_texts.size(); ++i) {
    const double x = frame.x.pixel(frame.x.ticks[i]);
    svg.line(x, frame.bottom, x, frame.bottom + 5, "axis");
    svg.text(x, frame.bottom + 19, x_texts[i], "number", "middle");
  }
  svg.line(frame.left, frame.bottom, frame.right, frame.bottom, "axis");
  svg.text((frame.left + frame.right) / 2, frame.bottom + 38, chart.x_label, "small", "middle");
  svg.text(16, (frame.top + frame.bottom) / 2, chart.y_label, "small", "middle", true);
  if (chart.marked_x) {
    const double x = frame.x.pixel(*chart.marked_x);
    const bool left_of_line = x > (frame.left + frame.right) / 2;
    svg.line(x, frame.top, x, frame.bottom, "guide");
    svg.text(x + (left_of_line ? -6 : 6), frame.top + 12, chart.marked_label, "small",
             left_of_line ? "end" : "start");
  }
}

void draw_band(Svg& svg, const LineChart& chart, const Frame& frame, std::size_t s) {
  const Series& series = chart.series[s];
  std::vector<double> outline;
  for (std::size_t i = 0; i < series.low.size(); ++i) {
    if (!drawable(chart, series.x[i], series.low[i])) continue;
    outline.push_back(frame.x.pixel(series.x[i]));
    outline.push_back(frame.y.pixel(series.low[i]));
  }
  for (std::size_t i = series.high.size(); i-- > 0;) {
    if (!drawable(chart, series.x[i], series.high[i])) continue;
    outline.push_back(frame.x.pixel(series.x[i]));
    outline.push_back(frame.y.pixel(series.high[i]));
  }
  if (!outline.empty()) svg.polygon(outline, color_class(series, s, "f"), kBandOpacity);
}

void draw_series(Svg& svg, const LineChart& chart, const Frame& frame, std::size_t s) {
  const Series& series = chart.series[s];
  const std::size_t count = std::min(series.x.size(), series.y.size());
  const std::string line = "curve " + color_class(series, s, "c") + pattern_class(series, s);
  const std::string dot = color_class(series, s, "f");
  std::vector<double> run;
  for (std::size_t i = 0; i <= count; ++i) {
    if (i < count && drawable(chart, series.x[i], series.y[i])) {
      const double x = frame.x.pixel(series.x[i]);
      if (series.stepped && !run.empty()) run.insert(run.end(), {x, run.back()});
      run.insert(run.end(), {x, frame.y.pixel(series.y[i])});
    } else if (!run.empty()) {
      if (!series.scattered) svg.polyline(run, line);
      run.clear();
    }
  }
  if (series.stepped || (count > kMaxDots && !series.scattered)) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (!drawable(chart, series.x[i], series.y[i])) continue;
    const std::string value =
        chart.percent ? percent(series.y[i], 1) + "%" : compact(series.y[i], 4);
    svg.circle(frame.x.pixel(series.x[i]), frame.y.pixel(series.y[i]), 2.6, dot,
               series.name + ", " + compact(series.x[i]) + ": " + value);
  }
}

Frame make_frame(const LineChart& chart, double top) {
  Range x_range, y_range;
  for (const Series& series : chart.series) {
    for (std::size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!drawable(chart, series.x[i], series.y[i])) continue;
      x_range.cover(series.x[i]);
      y_range.cover(series.y[i]);
      if (i < series.low.size()) y_range.cover(series.low[i]);
      if (i < series.high.size()) y_range.cover(series.high[i]);
    }
  }
  if (x_range.empty()) {
    x_range = chart.log_x ? Range{1, 10} : Range{0, 1};
    y_range = chart.log_y ? Range{0.1, 1} : Range{0, 1};
  }
  if (chart.y_min && !(chart.log_y && *chart.y_min <= 0)) y_range.low = *chart.y_min;
  if (chart.y_max) y_range.high = *chart.y_max;
  Frame frame;
  frame.left = 68;
  frame.right = chart.width - 22;
  frame.top = top;
  frame.bottom = chart.height - 50;
  if (chart.log_x) {
    frame.x = log_axis(x_range.low, x_range.high);
  } else {
    frame.x = linear_axis(x_range.low, x_range.high, true, true, 8);
    // An axis of epochs has no use for fractions of an epoch.
    std::erase_if(frame.x.ticks, [&](double tick) {
      const bool whole = std::abs(tick - std::round(tick)) < 1e-9;
      return tick < frame.x.low - 1e-9 || tick > frame.x.high + 1e-9 || !whole;
    });
    if (frame.x.ticks.empty()) frame.x.ticks = {x_range.low, x_range.high};
  }
  frame.y = chart.log_y ? log_axis(y_range.low, y_range.high)
                        : linear_axis(y_range.low, y_range.high, chart.y_min.has_value(),
                                      chart.y_max.has_value(), 5);
  frame.x.start = frame.left;
  frame.x.end = frame.right;
  frame.y.start = frame.bottom;
  frame.y.end = frame.top;
  return frame;
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int about) {
  widen_if_empty(low, high);
  const double raw = (high - low) / std::max(1, about);
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double share = raw / power;
  const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  const auto first = static_cast<std::int64_t>(std::floor(low / step + 1e-9));
  const auto last = static_cast<std::int64_t>(std::ceil(high / step - 1e-9));
  for (std::int64_t i = first; i <= last; ++i) ticks.push_back(static_cast<double>(i) * step);
  return ticks;
}

Series epoch_series(std::string name, const std::vector<double>& values) {
  Series series;
  series.name = std::move(name);
  series.y = values;
  for (std::size_t i = 0; i < values.size(); ++i) series.x.push_back(static_cast<double>(i + 1));
  return series;
}

std::string draw(const LineChart& chart, bool standalone) {
  Svg svg(chart.width, chart.height, chart.title);
  svg.text(16, 24, chart.title, "title");
  double top = 40;
  if (chart.series.size() > 1 || chart.always_legend) top += draw_legend(svg, chart, 68, 48);
  const Frame frame = make_frame(chart, top);
  draw_axes(svg, chart, frame);
  for (std::size_t s = 0; s < chart.series.size(); ++s) draw_band(svg, chart, frame, s);
  for (std::size_t s = 0; s < chart.series.size(); ++s) draw_series(svg, chart, frame, s);
  return svg.finish(standalone);
}

}  // namespace serenade::ser
