#include "apps/ser/report/table2_view.h"

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/common/text_table.h"
#include "apps/ser/report/paper.h"
#include "nn/training/progress.h"

namespace serenade::ser {

namespace {

using Json = nlohmann::ordered_json;

// "74.2 +- 3.1", the spread only where there is more than one run.
std::string spread(const std::vector<double>& values) {
  std::string text = percent(mean(values), 1);
  if (values.size() > 1) text += " +- " + percent(standard_deviation(values), 1);
  return text;
}

std::string range(const Interval& interval) {
  return percent(interval.low, 1) + " .. " + percent(interval.high, 1);
}

std::string thousands(double parameters) { return fixed(parameters / 1000, 1); }

// One row per cell, ours beside the paper's.
TextTable main_table(const Table2& table) {
  TextTable text({{"system", Align::left},
                  {"strategy", Align::left},
                  {"runs"},
                  {"WA % pooled"},
                  {"95% interval"},
                  {"UA % pooled"},
                  {"95% interval"},
                  {"WA per run"},
                  {"UA per run"},
                  {"k par."},
                  {"time"},
                  {"paper WA"},
                  {"paper UA"},
                  {"paper k"}});
  for (std::size_t i = 0; i < table.cells.size(); ++i) {
    const Table2Cell& cell = table.cells[i];
    if (i > 0 && cell.system != table.cells[i - 1].system) text.add_rule();
    const PaperResult* paper = paper_result(cell.system, cell.mode);
    text.add_row({cell.system, cell.mode, std::to_string(cell.run_wa.size()),
                  percent(cell.intervals.wa.estimate, 1), range(cell.intervals.wa),
                  percent(cell.intervals.ua.estimate, 1), range(cell.intervals.ua),
                  spread(cell.run_wa), spread(cell.run_ua), thousands(cell.mean_parameters),
                  format_duration(cell.seconds), paper ? percent(paper->wa) : "-",
                  paper ? percent(paper->ua) : "-",
                  paper ? std::to_string(paper->thousand_parameters) : "-"});
  }
  return text;
}

TextTable comparison_table(const Table2& table) {
  TextTable text({{"compared", Align::left},
                  {"recordings"},
                  {"WA difference"},
                  {"95% interval"},
                  {"p"},
                  {"UA difference"},
                  {"95% interval"},
                  {"p"},
                  {"McNemar p"}});
  for (const PairedComparison& c : table.comparisons) {
    text.add_row({c.second + " - " + c.first, std::to_string(c.pairs),
                  percent(c.wa_difference.estimate, 1), range(c.wa_difference),
                  p_value(c.wa_p_value), percent(c.ua_difference.estimate, 1),
                  range(c.ua_difference), p_value(c.ua_p_value), p_value(c.mcnemar.p_value)});
  }
  return text;
}

// The majority baseline of the recordings that were tested; the cells of a full table share it.
std::string baseline_line(const Table2& table) {
  if (table.cells.empty()) return "";
  const ConfusionMatrix& matrix = table.cells.front().confusion;
  return "Majority baseline: WA " + percent(matrix.majority_baseline(), 1) + " %, UA " +
         percent(matrix.majority_baseline_ua(), 1) + " %.";
}

// Both views have the same parts; they differ in how a table and a line are written.
std::string render(const Table2& table, const std::function<std::string(const TextTable&)>& draw,
                   const std::string& bullet) {
  std::ostringstream text;
  if (table.synthetic) text << synthetic_notice(table.corpus) << "\n\n";
  text << "Corpus " << table.corpus << ", front end " << table.preset
       << ". The paper's figures are those of IEMOCAP.\n\n"
       << draw(main_table(table)) << "\n"
       << baseline_line(table) << "\n";
  if (!table.comparisons.empty()) {
    text << "\nPaired on the same recordings (bootstrap; p two-sided):\n\n"
         << draw(comparison_table(table));
  }
  if (!table.notes.empty()) text << "\n";
  for (const std::string& note : table.notes) text << bullet << note << "\n";
  return text.str();
}

Json interval_json(const Interval& interval) {
  return {{"estimate", interval.estimate}, {"low", interval.low}, {"high", interval.high}};
}

// JSON has no NaN.
Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json cell_json(const Table2Cell& cell) {
  Json document = {{"system", cell.system},
                   {"mode", cell.mode},
                   {"runs", cell.run_wa.size()},
                   {"wa", interval_json(cell.intervals.wa)},
                   {"ua", interval_json(cell.intervals.ua)},
                   {"run_wa", cell.run_wa},
                   {"run_ua", cell.run_ua},
                   {"wa_mean", number_json(mean(cell.run_wa))},
                   {"wa_standard_deviation", number_json(standard_deviation(cell.run_wa))},
                   {"ua_mean", number_json(mean(cell.run_ua))},
                   {"ua_standard_deviation", number_json(standard_deviation(cell.run_ua))},
                   {"majority_wa", number_json(cell.confusion.majority_baseline())},
                   {"parameters", cell.mean_parameters},
                   {"genotypes", cell.genotypes},
                   {"seconds", cell.seconds}};
  if (const PaperResult* paper = paper_result(cell.system, cell.mode)) {
    document["paper"] = {
        {"wa", paper->wa}, {"ua", paper->ua}, {"thousand_parameters", paper->thousand_parameters}};
  }
  document["confusion"] = Json::array();
  for (int row = 0; row < cell.confusion.size(); ++row) {
    Json counts = Json::array();
    for (int column = 0; column < cell.confusion.size(); ++column) {
      counts.push_back(cell.confusion.count(row, column));
    }
    document["confusion"].push_back(counts);
  }
  return document;
}

}  // namespace

std::string synthetic_notice(const std::string& corpus) {
  return corpus +
         " is SYNTHETIC speech from a speech synthesiser: these results show that the program "
         "works "
         "and say nothing about people.";
}

std::string to_text(const Table2& table) {
  return render(
      table, [](const TextTable& t) { return t.to_text(); }, "note: ");
}

std::string to_markdown(const Table2& table) {
  return render(
      table, [](const TextTable& t) { return t.to_markdown(); }, "- ");
}

std::string to_json(const Table2& table) {
  Json document = {{"corpus", table.corpus},
                   {"synthetic", table.synthetic},
                   {"preset", table.preset},
                   {"command", table.command},
                   {"notes", table.notes}};
  document["cells"] = Json::array();
  for (const Table2Cell& cell : table.cells) document["cells"].push_back(cell_json(cell));
  document["comparisons"] = Json::array();
  for (const PairedComparison& c : table.comparisons) {
    document["comparisons"].push_back({{"first", c.first},
                                       {"second", c.second},
                                       {"recordings", c.pairs},
                                       {"wa_difference", interval_json(c.wa_difference)},
                                       {"wa_p_value", c.wa_p_value},
                                       {"ua_difference", interval_json(c.ua_difference)},
                                       {"ua_p_value", c.ua_p_value},
                                       {"mcnemar_p_value", c.mcnemar.p_value}});
  }
  return document.dump(2) + "\n";
}

}  // namespace serenade::ser
