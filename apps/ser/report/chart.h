#pragma once
// Charts as SVG text: lines, bars with error bars, confusion heat map, histogram.
//
// Each is a plain struct and a function that draws it. `standalone` pictures carry their colours
// and a background and can be saved as a file; others take the style of the page (svg.h).

#include <optional>
#include <string>
#include <vector>

#include "apps/ser/evaluation/metrics.h"

namespace serenade::ser {

/// Evenly spaced round numbers (1, 2 or 5 times a power of ten) that cover low .. high.
std::vector<double> nice_ticks(double low, double high, int about = 6);

/// Points that are not finite break the line.
struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;
  bool dashed = false;
  bool scattered = false;                   ///< dots alone
  bool stepped = false;                     ///< keeps its value up to the next point
  int color = -1;                           ///< palette index; -1: the position in the chart
  std::vector<double> low = {}, high = {};  ///< of a band around the line; as many as y, or none
};

struct LineChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  bool log_y = false;          ///< values that are not positive are left out
  bool log_x = false;          ///< likewise
  bool percent = false;        ///< values are fractions, ticks read per cent
  bool always_legend = false;  ///< also where there is one series
  std::optional<double> y_min, y_max;
  std::optional<double> marked_x;  ///< a vertical line, such as the epoch that was kept
  std::string marked_label;
  double width = 640, height = 340;
};
std::string draw(const LineChart& chart, bool standalone = false);

/// A series over 1, 2, .. n: the usual one-value-per-epoch curve.
Series epoch_series(std::string name, const std::vector<double>& values);

/// Horizontal bars; each may carry an interval and a marker (another source's value).
struct BarChart {
  struct Bar {
    std::string label;
    double value = 0;           ///< NaN: no bar
    std::optional<double> low;  ///< ends of the error bar
    std::optional<double> high;
    std::optional<double> marker;
    int color = 0;
  };
  struct Group {
    std::string name;
    std::vector<Bar> bars;
  };
  std::string title;
  std::string x_label;
  std::string value_name, interval_name, marker_name;  ///< for the legend
  std::vector<Group> groups;
  bool percent = false;
  std::optional<double> reference;  ///< a vertical line, such as the majority baseline
  std::string reference_label;
  double width = 640;
};
std::string draw(const BarChart& chart, bool standalone = false);

/// Rows are true classes; a cell shows its count and its share of the row, which is also its shade.
std::string draw_confusion(const ConfusionMatrix& matrix, const std::string& title,
                           bool standalone = false);

struct Histogram {
  std::string title;
  std::string x_label;
  std::vector<double> values;
  int bins = 20;
  double width = 640, height = 260;
};
std::string draw(const Histogram& histogram, bool standalone = false);

}  // namespace serenade::ser
