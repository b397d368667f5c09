#include "apps/ser/report/figure3.h"

#include <algorithm>

#include "apps/ser/common/files.h"
#include "apps/ser/common/svg.h"
#include "apps/ser/common/text_table.h"
#include "apps/ser/report/chart.h"
#include "nas/strategy.h"
#include "tensor/csv.h"

namespace serenade::ser {

namespace {

// The same colour for a mode in both parts and in every report; others share those that the paper's
// do not have.
int mode_color(const std::string& mode) {
  if (mode == "joint") return 1;
  if (mode == "sampling") return 2;
  if (mode == "dropout") return 0;
  const std::vector<StrategyRow>& rows = strategies();
  const auto row = std::find_if(rows.begin(), rows.end(),
                                [&](const StrategyRow& other) { return other.name == mode; });
  return 3 + static_cast<int>(row - rows.begin()) % (kSeriesColors - 3);
}

// beside: drawn dashed, each named by its mode and `what`.
std::string draw_part(const std::string& title, const std::vector<Figure3::Curve>& curves,
                      const std::vector<Figure3::Curve>& beside, const std::string& what,
                      bool standalone) {
  LineChart chart;
  chart.title = title;
  chart.x_label = "epoch";
  chart.y_label = "mean training loss";
  for (const Figure3::Curve& curve : curves) {
    chart.series.push_back(epoch_series(curve.mode, curve.loss));
    chart.series.back().color = mode_color(curve.mode);
  }
  for (const Figure3::Curve& curve : beside) {
    chart.series.push_back(epoch_series(curve.mode + ", " + what, curve.loss));
    chart.series.back().color = mode_color(curve.mode);
    chart.series.back().dashed = true;
  }
  return draw(chart, standalone);
}

void append(CsvTable& table, const char* part, const std::vector<Figure3::Curve>& curves) {
  for (const Figure3::Curve& curve : curves) {
    for (std::size_t i = 0; i < curve.loss.size(); ++i) {
      table.add(part).add(curve.mode).add(i + 1).add(compact(curve.loss[i], 9));
    }
  }
}

}  // namespace

std::string draw_figure3a(const Figure3& figure, bool standalone) {
  return draw_part(figure.system + " supernet: training loss", figure.supernet, figure.mixture,
                   "whole mixture", standalone);
}

std::string draw_figure3b(const Figure3& figure, bool standalone) {
  return draw_part(figure.system + ", one random child: training loss", figure.child,
                   figure.matched_child, "at the mixture's scale", standalone);
}

std::string to_csv(const Figure3& figure) {
  CsvTable table({"part", "mode", "epoch", "loss"});
  append(table, "supernet", figure.supernet);
  append(table, "child", figure.child);
  append(table, "mixture", figure.mixture);
  append(table, "matched child", figure.matched_child);
  return table.text();
}

void write_figure3(const std::string& stem, const Figure3& figure) {
  write_text_file(stem + "_a.svg", draw_figure3a(figure, true));
  write_text_file(stem + "_b.svg", draw_figure3b(figure, true));
  write_text_file(stem + ".csv", to_csv(figure));
}

}  // namespace serenade::ser
