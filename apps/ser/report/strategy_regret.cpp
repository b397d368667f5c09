#include "apps/ser/report/strategy_regret.h"

#include <algorithm>

#include "apps/ser/common/files.h"
#include "apps/ser/report/chart.h"

namespace serenade::ser {

namespace {

double width(const Interval& interval) { return interval.high - interval.low; }

std::string range(const Interval& interval) {
  return percent(interval.low) + " .. " + percent(interval.high);
}

}  // namespace

TextTable regret_rows(const RegretComparison& comparison) {
  TextTable rows({{"strategy", Align::left},
                  {"trainings"},
                  {"regret %"},
                  {"95 % interval"},
                  {"of runs alone"},
                  {"of speakers alone"}});
  for (const StrategyRegret& one : comparison.strategies) {
    for (const RegretPoint& point : one.points) {
      rows.add_row({one.strategy, one.searched ? "-" : compact(point.cost),
                    percent(point.regret.estimate), range(point.regret),
                    one.runs > 1 ? range(point.by_runs) : "-",
                    comparison.speakers_drawn ? range(point.by_parts) : "-"});
    }
    rows.add_rule();
  }
  return rows;
}

std::string widest_chance(const RegretComparison& comparison) {
  if (!comparison.speakers_drawn) {
    return "One speaker judges: the intervals are of the runs alone, and how other speakers would "
           "judge is not known.";
  }
  double runs = 0, speakers = 0;
  for (const StrategyRegret& one : comparison.strategies) {
    if (one.points.empty() || one.searched) continue;
    if (one.runs < 2) return "One run of each strategy: how far others would differ is not known.";
    runs += width(one.points.back().by_runs);
    speakers += width(one.points.back().by_parts);
  }
  const bool by_speakers = speakers >= runs;
  const double larger = std::max(runs, speakers), smaller = std::min(runs, speakers);
  const std::string times = smaller > 0 ? ": they make it " + compact(larger / smaller, 2) +
                                              " times as wide as the " +
                                              (by_speakers ? "runs" : "speakers") + " do"
                                        : "";
  return std::string("At the largest cost, the ") + (by_speakers ? "speakers" : "runs") +
         " dominate the interval" + times + " (mean over strategies).";
}

std::string draw_regret(const RegretComparison& comparison, bool standalone) {
  LineChart chart;
  chart.title = comparison.title;
  chart.x_label = "spent, in trainings of the mean architecture";
  chart.y_label = "regret, WA";
  chart.percent = true;
  chart.always_legend = true;
  chart.y_min = 0;
  chart.width = 760;
  chart.height = 440;
  std::vector<double> costs;
  for (const StrategyRegret& one : comparison.strategies) {
    Series series;
    series.name = one.strategy;
    series.dashed = one.searched;
    const auto add = [&](double cost, const Interval& regret) {
      series.x.push_back(cost);
      series.y.push_back(regret.estimate);
      series.low.push_back(regret.low);
      series.high.push_back(regret.high);
    };
    for (const RegretPoint& point : one.points) {
      if (one.searched) {
        for (const double cost : costs) add(cost, point.regret);
      } else {
        add(point.cost, point.regret);
      }
    }
    if (!one.searched) costs = series.x;
    chart.series.push_back(std::move(series));
  }
  // What is known before anything was spent has no place on an axis of decades.
  chart.log_x = std::none_of(costs.begin(), costs.end(), [](double cost) { return cost == 0; });
  return draw(chart, standalone);
}

void write_regret(const std::string& folder, const RegretComparison& comparison) {
  make_folder(folder);
  write_text_file(folder + "/regret.svg", draw_regret(comparison, true));
  std::string page = "# " + comparison.title + "\n\n";
  for (const std::string& note : comparison.notes) page += "- " + note + "\n";
  page += "- " + widest_chance(comparison) + "\n\n![regret over cost](regret.svg)\n\n" +
          regret_rows(comparison).to_markdown();
  write_text_file(folder + "/regret.md", page);
}

}  // namespace serenade::ser
