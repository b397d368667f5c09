// The report of one run: how good, on which architecture, how the search and the trainings went,
// and all it takes to repeat them.

#include "apps/ser/report/report.h"

#include "apps/ser/common/svg.h"
#include "apps/ser/report/report_curves.h"
#include "apps/ser/report/report_page.h"
#include "tensor/text.h"

namespace serenade::ser {

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string headline(const RunReport& report) {
  std::string cards;
  const ConfusionMatrix& matrix = report.confusion;
  const auto accuracy = [&](const char* name, double value, const Interval& interval) {
    const std::string remark = report.has_intervals
                                   ? "95% interval " + percent_range(interval) + " %"
                                   : "no interval computed";
    cards += card({name, percent(value, 1) + " %"}, remark);
  };
  if (matrix.total() > 0) {
    accuracy("weighted accuracy (WA)", matrix.wa(), report.intervals.wa);
    accuracy("unweighted accuracy (UA)", matrix.ua(), report.intervals.ua);
    cards += card({"majority baseline", percent(matrix.majority_baseline(), 1) + " %"},
                  "WA of always answering " + matrix.classes()[matrix.majority_class()] + "; UA " +
                      percent(matrix.majority_baseline_ua(), 1) + " %");
  }
  std::int64_t parameters = 0;
  for (const ParameterPart& part : report.parameters) parameters += part.count;
  if (parameters > 0) cards += card({"parameters", grouped(parameters)}, "of the trained network");
  return cards.empty() ? "" : card_row(cards);
}

std::string accuracy_text(const RunReport& report) {
  if (report.confusion.total() == 0) return "";
  std::string text =
      "WA is the share of all recordings that were recognised; UA is the mean over the classes of "
      "the share of each class, so that small classes count as much as large ones.";
  if (report.has_intervals) text += " " + interval_note(report.intervals);
  return "<p class=\"soft\">" + escape_xml(text) + "</p>\n";
}

std::string lead(const RunReport& report) {
  std::string facts;
  const auto fact = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    facts += (facts.empty() ? "" : ", ") + std::string(name) + " " + value;
  };
  fact("system", report.system);
  fact("strategy", report.mode);
  fact("corpus", report.corpus);
  fact("front end", report.preset);
  fact("device", report.device);
  std::string markup = "<p class=\"soft\">" + escape_xml(facts) + "</p>\n";
  if (report.synthetic) markup += notice(synthetic_notice(report.corpus));
  markup += headline(report) + accuracy_text(report);
  if (!report.genotype.empty()) {
    markup += "<p>Architecture: <code>" + escape_xml(report.genotype) + "</code></p>\n";
  }
  return markup;
}

std::string confusion_part(const ConfusionMatrix& matrix) {
  if (matrix.total() == 0) return "";
  const std::vector<double> recalls = matrix.recalls(), precisions = matrix.precisions();
  Rows rows;
  for (int k = 0; k < matrix.size(); ++k) {
    rows.push_back({matrix.classes()[k], grouped(matrix.row_total(k)), percent(recalls[k], 1),
                    percent(precisions[k], 1)});
  }
  return gallery({draw_confusion(matrix, "Test recordings, all folds")}) +
         html_table({{"class", Align::left}, {"recordings"}, {"recall %"}, {"precision %"}}, rows) +
         paragraph("Macro F1: " + percent(matrix.macro_f1(), 1) + " %.");
}

std::string folds_part(const std::vector<FoldResult>& folds) {
  Rows rows;
  std::vector<double> wa, ua;
  for (const FoldResult& fold : folds) {
    rows.push_back({fold.name, grouped(fold.recordings), percent(fold.wa, 1), percent(fold.ua, 1),
                    percent(fold.majority, 1), fold.genotype});
    wa.push_back(fold.wa);
    ua.push_back(fold.ua);
  }
  if (folds.size() > 1) {
    rows.push_back({"mean", "", percent(mean(wa), 1), percent(mean(ua), 1), "", ""});
    rows.push_back({"standard deviation", "", percent(standard_deviation(wa), 1),
                    percent(standard_deviation(ua), 1), "", ""});
  }
  return html_table({{"fold", Align::left},
                     {"recordings"},
                     {"WA %"},
                     {"UA %"},
                     {"majority %"},
                     {"architecture", Align::left}},
                    rows);
}

std::string parameters_part(const std::vector<ParameterPart>& parts) {
  std::int64_t total = 0;
  for (const ParameterPart& part : parts) total += part.count;
  Rows rows;
  for (const ParameterPart& part : parts) {
    rows.push_back({part.name, grouped(part.count),
                    percent(static_cast<double>(part.count) / static_cast<double>(total), 1)});
  }
  if (!rows.empty()) rows.push_back({"total", grouped(total), ""});
  return html_table({{"part", Align::left}, {"parameters"}, {"share %"}}, rows);
}

}  // namespace

std::string render_run_report(const RunReport& report) {
  Page page(report.title);
  page.lead(lead(report));
  page.section("Warnings", "What the reader should know before trusting the figures.",
               bullet_list(report.warnings));
  page.section("Confusions",
               "Each row holds the recordings of one true class; the darker a cell, the larger the "
               "share of its row. The diagonal is what was recognised.",
               confusion_part(report.confusion));
  page.section("Folds",
               "Each fold was tested on a speaker, or a group, that its training had not heard. "
               "Majority is the WA of always answering the fold's most frequent class.",
               folds_part(report.folds));
  page.section("Architecture",
               "The trained network, from left to right. In the supernet of a search every "
               "candidate is a line: the wider it is, the larger its probability.",
               drawing(report.supernet_svg) + drawing(report.child_svg));
  const bool searched = !report.search_facts.empty();
  page.section("What the search did",
               searched ? "Of fold " + report.searched_fold + ", whose network was kept." : "",
               bullet_list(report.search_facts) + trials_part(report.trials) +
                   scored_part(report.scored) + measured_part(report.measured) +
                   alphas_part(report.layers));
  page.section("Architecture weights",
               "The share, softmax(alpha), that the search gives each candidate after each epoch. "
               "Lines that part early show a clear choice; lines that stay together a near draw.",
               probabilities_part(report.layers));
  page.section("Entropy",
               "How undecided each layer is: high while all candidates are equally likely, zero "
               "once a single one is certain.",
               entropy_part(report.layers));
  page.section("Update counts",
               "How often the weights of each candidate were trained. A candidate trained rarely "
               "is judged by poor weights, which is what path dropout is meant to mend.",
               updates_part(report.layers));
  page.section("Search curves",
               "The loss of the supernet while architecture and weights were searched. The "
               "validation loss is that of the data that trains the architecture.",
               curves_part(report.searches));
  page.section("Learning curves",
               "A validation loss that rises while the training loss falls shows a network that "
               "learns its training data by heart; so the best epoch on validation data is kept.",
               curves_part(report.trainings));
  page.section("Figure 3", figure3_explanation(), figure3_pictures(report.figure3));
  page.section("Parameters", "Numbers that training adjusts, part by part.",
               parameters_part(report.parameters));
  std::vector<NamedText> origin;
  if (!report.command.empty()) origin.push_back({"command", report.command});
  if (!report.date.empty()) origin.push_back({"date", report.date});
  if (!report.model.empty()) origin.push_back({"model.safetensors", report.model});
  origin.push_back({"seed", std::to_string(report.seed)});
  page.section("How to repeat this run",
               "The same command, data and seed give the same figures to the last bit, with any "
               "number of threads.",
               name_table(origin));
  page.section("Settings", "", name_table(report.settings));
  return page.finish();
}

}  // namespace serenade::ser
