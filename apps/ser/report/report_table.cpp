// The report of a table of runs: ours beside the paper's, what differs beyond chance, and Figure 3.

#include <map>

#include "apps/ser/common/svg.h"
#include "apps/ser/report/paper.h"
#include "apps/ser/report/report.h"
#include "apps/ser/report/report_page.h"
#include "nn/training/progress.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string cell_name(const Table2Cell& cell) { return cell.system + ", " + cell.mode; }

std::string with_range(const Interval& interval) {
  return percent(interval.estimate, 1) + " (" + percent_range(interval) + ")";
}

// Mean over the runs, with the spread where there is more than one.
std::string per_run(const std::vector<double>& values) {
  std::string text = percent(mean(values), 1);
  if (values.size() > 1) text += " \u00b1 " + percent(standard_deviation(values), 1);
  return text;
}

std::string results_part(const Table2& table) {
  Rows rows;
  for (const Table2Cell& cell : table.cells) {
    const PaperResult* paper = paper_result(cell.system, cell.mode);
    rows.push_back({cell.system, cell.mode, std::to_string(cell.run_wa.size()),
                    with_range(cell.intervals.wa), with_range(cell.intervals.ua),
                    per_run(cell.run_wa), per_run(cell.run_ua),
                    fixed(cell.mean_parameters / 1000, 1), format_duration(cell.seconds),
                    paper ? percent(paper->wa) : "-", paper ? percent(paper->ua) : "-",
                    paper ? std::to_string(paper->thousand_parameters) : "-"});
  }
  std::string markup = html_table({{"system", Align::left},
                                   {"strategy", Align::left},
                                   {"runs"},
                                   {"WA % (95% interval)"},
                                   {"UA % (95% interval)"},
                                   {"WA % per run"},
                                   {"UA % per run"},
                                   {"thousand parameters"},
                                   {"time"},
                                   {"paper WA %"},
                                   {"paper UA %"},
                                   {"paper thousand parameters"}},
                                  rows);
  if (rows.empty()) return "";
  const ConfusionMatrix& matrix = table.cells.front().confusion;
  return markup + paragraph("Majority baseline: WA " + percent(matrix.majority_baseline(), 1) +
                            " %, UA " + percent(matrix.majority_baseline_ua(), 1) + " %.");
}

// WA or UA of all cells, grouped by system.
std::string accuracy_chart(const Table2& table, bool weighted) {
  if (table.cells.empty()) return "";
  const ConfusionMatrix& matrix = table.cells.front().confusion;
  BarChart chart;
  chart.title = weighted ? "Weighted accuracy (WA)" : "Unweighted accuracy (UA)";
  chart.x_label = weighted ? "WA" : "UA";
  chart.value_name = "ours";
  chart.interval_name = "95% interval";
  chart.marker_name = "paper";
  chart.percent = true;
  chart.width = 520;
  const double baseline = weighted ? matrix.majority_baseline() : matrix.majority_baseline_ua();
  if (matrix.total() > 0) {
    chart.reference = baseline;
    chart.reference_label = "majority baseline";
  }
  for (const Table2Cell& cell : table.cells) {
    const Interval& interval = weighted ? cell.intervals.wa : cell.intervals.ua;
    const PaperResult* paper = paper_result(cell.system, cell.mode);
    BarChart::Bar bar;
    bar.label = cell.mode;
    bar.value = interval.estimate;
    bar.low = interval.low;
    bar.high = interval.high;
    if (paper) bar.marker = weighted ? paper->wa : paper->ua;
    if (chart.groups.empty() || chart.groups.back().name != cell.system) {
      chart.groups.push_back({.name = cell.system, .bars = {}});
    }
    chart.groups.back().bars.push_back(bar);
  }
  return draw(chart);
}

std::string comparisons_part(const std::vector<PairedComparison>& comparisons) {
  Rows rows;
  for (const PairedComparison& c : comparisons) {
    rows.push_back({c.second + " minus " + c.first, grouped(c.pairs), with_range(c.wa_difference),
                    p_value(c.wa_p_value), with_range(c.ua_difference), p_value(c.ua_p_value),
                    grouped(c.mcnemar.only_second) + " / " + grouped(c.mcnemar.only_first),
                    p_value(c.mcnemar.p_value)});
  }
  return html_table({{"compared", Align::left},
                     {"recordings"},
                     {"WA difference (95% interval)"},
                     {"p"},
                     {"UA difference (95% interval)"},
                     {"p"},
                     {"only this / only that right"},
                     {"McNemar p"}},
                    rows);
}

// Each architecture once, with how many runs chose it, in alphabetical order.
std::string genotypes_part(const Table2& table) {
  Rows rows;
  for (const Table2Cell& cell : table.cells) {
    std::map<std::string, int> times;
    for (const std::string& genotype : cell.genotypes) times[genotype] += 1;
    for (const auto& [genotype, count] : times) {
      rows.push_back({cell_name(cell), std::to_string(count), genotype});
    }
  }
  return html_table({{"system and strategy", Align::left}, {"runs"}, {"architecture", Align::left}},
                    rows);
}

std::string confusions_part(const Table2& table) {
  std::string markup;
  for (const Table2Cell& cell : table.cells) {
    if (cell.confusion.total() == 0) continue;
    markup += folded(cell_name(cell), gallery({draw_confusion(cell.confusion, cell_name(cell))}));
  }
  return markup;
}

std::string figures_part(const std::vector<Figure3>& figures) {
  std::string markup;
  for (const Figure3& figure : figures) {
    const std::string pictures = figure3_pictures(figure);
    if (!pictures.empty()) markup += "<h3>" + escape_xml(figure.system) + "</h3>\n" + pictures;
  }
  return markup;
}

std::string lead(const Table2& table) {
  std::string facts = "corpus " + table.corpus;
  if (!table.preset.empty()) facts += ", front end " + table.preset;
  std::string markup = "<p class=\"soft\">" + escape_xml(facts) + "</p>\n";
  if (table.synthetic) markup += notice(synthetic_notice(table.corpus));
  return markup;
}

}  // namespace

std::string render_table_report(const TableReport& report) {
  const Table2& table = report.table;
  Page page(report.title);
  page.lead(lead(table));
  page.section("Warnings", "What the reader should know before trusting the figures.",
               bullet_list(report.warnings));
  page.section("Results",
               "WA is the share of all recordings that were recognised, UA the mean over the "
               "classes of each class's share; both over all runs together. The paper's figures "
               "are those of the corpus IEMOCAP: on another corpus they are no target.",
               results_part(table));
  page.section("Accuracy at a glance",
               "Bars are our results and the thin lines their 95% intervals; where intervals "
               "overlap widely, the difference may be chance. A diamond is the paper's figure, on "
               "IEMOCAP.",
               gallery({accuracy_chart(table, true), accuracy_chart(table, false)}));
  page.section("Paired comparisons",
               "Two systems on the same recordings. A difference above zero speaks for the one "
               "named first; p is how often chance alone would give a difference as large, so "
               "only a small p (below 0.05, say) is evidence. McNemar's test takes recordings as "
               "independent and is the bolder of the two.",
               comparisons_part(table.comparisons));
  page.section("Figure 3", figure3_explanation(), figures_part(report.figures));
  page.section("Architectures", "What each search chose, and in how many of its runs.",
               genotypes_part(table));
  page.section("Confusions",
               "Rows are true classes, columns what the system answered; open one to see it.",
               confusions_part(table));
  page.section("Notes", "", bullet_list(table.notes));
  std::vector<NamedText> origin;
  if (!table.command.empty()) origin.push_back({"command", table.command});
  if (!report.date.empty()) origin.push_back({"date", report.date});
  page.section("How to repeat this table", "", name_table(origin));
  page.section("Settings", "", name_table(report.settings));
  return page.finish();
}

}  // namespace serenade::ser
