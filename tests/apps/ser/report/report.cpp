// Reports: well-formed pages that need nothing from outside, hold every value, and escape what
// users name their files; and Table 2 as text, Markdown and JSON.

#include "apps/ser/report/report.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/ser/report/table2_view.h"
#include "nas/epoch_slider.h"
#include "tests/apps/ser/report/markup.h"

using namespace serenade::ser;
using doctest::Approx;

namespace {

constexpr const char* kHostile = "<script>alert('R&D')</script>";
const std::vector<std::string> kClasses = {"neutral", "angry", "happy", "sad"};

ConfusionMatrix made_confusion() {
  ConfusionMatrix matrix(kClasses);
  matrix.add(0, 0, 60);
  matrix.add(0, 3, 20);
  matrix.add(1, 1, 9);
  matrix.add(2, 0, 6);
  matrix.add(3, 3, 5);
  return matrix;
}

RunReport full_run() {
  RunReport report;
  report.title = "CNN_SeqCap, dropout, demo";
  report.system = "CNN_SeqCap";
  report.mode = "dropout";
  report.corpus = "demo corpus";
  report.preset = "small";
  report.command = "serenade search --corpus 'my corpus' --seed 7";
  report.date = "2026-11-22 12:34";
  report.seed = 7;
  report.settings = {{"search_epochs", "60"}, {"batch_size", "16"}};
  report.parameters = {{"conv", 13104}, {"capsules", 690436}};
  report.searches = {
      {"search of fold 1",
       {{1.4, 1.5, 0.4, 0.3, 1e-3}, {1.1, 1.4, 0.5, 0.4, 1e-3}, {0.9, 1.3, 0.5, 0.4, 5e-4}},
       0}};
  report.trainings = {
      {"training of fold 1",
       {{1.3, 1.2, 0.4, 0.3, 1e-3}, {0.8, 1.0, 0.6, 0.5, 1e-3}, {0.6, 1.1, 0.5, 0.5, 5e-4}},
       2}};
  report.layers = {{"conv1", {"2x8", "3x5"}, {{0.5, 0.5}, {0.4, 0.6}}, {0.693, 0.673}, {70, 80}, 1},
                   {"dense", {"32", "48"}, {{0.5, 0.5}, {0.7, 0.3}}, {0.693, 0.611}, {60, 90}, 0}};
  report.layers[0].alphas = {{0.001, 0.001}, {-0.203, 0.2027}};
  report.layers[1].alphas = {{0, 0}, {0.4236, -0.4237}};
  report.searched_fold = "session1-test-Ses01F";
  report.search_facts = {"Trials: 3, at the cost of 2.5 whole trainings. The best is trial 2."};
  report.trials = {{"conv1=2x8", 20, 0.5, 1, 0.5, true},
                   {"conv1=3x5", 20, 0.625, 2, 0.625, true},
                   {"conv1=2x8", 10, 0.25, 2.5, 0.625, false}};
  report.scored = {{"conv1=3x5", 8.5, 2}, {"conv1=1x9", 0.125, 0}};
  report.measured = {{"temperature", {10, 0.1}}, {"lowest loss of a child", {kNotMeasured, 1.25}}};
  report.genotype = "conv1=3x5 dense=32";
  report.supernet_svg = "<svg class=\"supernet\"></svg>";
  report.child_svg = "<svg class=\"child\"></svg>";
  report.confusion = made_confusion();
  report.intervals = {{0.74, 0.611, 0.823}, {0.6875, 0.522, 0.777}, 4};
  report.has_intervals = true;
  report.folds = {{"session1-test-Ses01F", 50, 0.75, 0.6, 0.8, "conv1=3x5 dense=32"},
                  {"session2-test-Ses02F", 50, 0.65, 0.5, 0.8, "conv1=2x8 dense=32"}};
  report.figure3 = {
      "CNN_SeqCap", {{"dropout", {1.4, 1.1}}}, {{"dropout", {1.6, 1.2}}}, "conv1=2x8 dense=48"};
  report.warnings = {"candidate 3x5 of conv1 received 1.1 times the updates of 2x8"};
  return report;
}

Table2Cell made_cell(const std::string& system, const std::string& mode) {
  Table2Cell cell;
  cell.system = system;
  cell.mode = mode;
  cell.run_wa = {0.7, 0.8};
  cell.run_ua = {0.6, 0.7};
  cell.confusion = made_confusion();
  cell.intervals = {{0.74, 0.611, 0.823}, {0.6875, 0.522, 0.777}, 4};
  cell.mean_parameters = 703540;
  cell.genotypes = {"conv1=2x8", "conv1=3x5"};
  cell.seconds = 125;
  return cell;
}

Table2 made_table() {
  Table2 table;
  table.corpus = "demo corpus";
  table.preset = "small";
  table.command = "serenade table2 --out somewhere";
  table.cells = {made_cell("CNN_GRU_att", "none"), made_cell("CNN_SeqCap", "dropout")};
  PairedComparison comparison;
  comparison.first = "none";
  comparison.second = "dropout";
  comparison.pairs = 100;
  comparison.wa_difference = {0.031, -0.012, 0.074};
  comparison.ua_difference = {0.022, -0.02, 0.064};
  comparison.wa_p_value = 0.173;
  comparison.ua_p_value = 0.318;
  comparison.mcnemar = mcnemar_exact(5, 9);
  table.comparisons = {comparison};
  table.notes = {"five folds, one seed"};
  return table;
}

// The script of a page with a slider.
std::string slider_script() {
  const std::string slider = serenade::epoch_slider({"", ""});
  const std::size_t begin = slider.find("<script>");
  return slider.substr(begin, slider.find("</script>") - begin);
}

// A page that loads nothing, and runs nothing but the slider. Links within the page are all it may
// have.
void check_self_contained(std::string page) {
  CHECK(markup_problem(page) == "");
  const std::string script = slider_script();
  const std::size_t found = page.find(script);
  if (found != std::string::npos) page.erase(found, script.size());
  CHECK(page.rfind("<!DOCTYPE html>", 0) == 0);
  for (const char* part : {"<script", "<link", "<img", "<iframe", "@import", "url(", "src=\"",
                           "href=\"http", "onload"}) {
    CAPTURE(part);
    CHECK_FALSE(contains(page, part));
  }
}

}  // namespace

TEST_CASE("the report of a run holds every figure, series and setting") {
  const std::string page = render_run_report(full_run());
  check_self_contained(page);
  for (const char* part :
       {"74.0 %", "61.1 to 82.3", "52.2 to 77.7", "80.0 %", "703,540", "690,436", "search_epochs",
        "serenade search --corpus &#39;my corpus&#39; --seed 7", "2026-11-22 12:34",
        "session2-test-Ses02F", "conv1=3x5 dense=32", "received 1.1 times the updates",
        "<svg class=\"supernet\">", "<svg class=\"child\">", "kept: epoch 2", "3x5 (chosen)",
        "32 (chosen)", "conv1=2x8 dense=48", "prefers-color-scheme: dark"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  for (const char* part :
       {"What the search did", "Of fold session1-test-Ses01F", "The best is trial 2",
        "type=\"range\"", "<title>score of a trial, 2: 62.5%",
        "<title>score of a trial, 2.5: 25.0%", "<title>temperature, 2: 0.1<",
        "lowest loss of a child", "1.25", "conv1</caption>", "width:66.7%",
        "<td class=\"right\">-0.203</td>",
        "<tr class=\"largest\"><td>32</td><td class=\"bar\"><i style=\"width:100.0%\">"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  CHECK(occurrences(page, "class=\"epoch\"") == 2);
  CHECK_FALSE(contains(page, "<title>best so far"));  // a line, whose points say nothing more
  // It rises once, and stays where the last trial is no better.
  const std::size_t line = page.find("<polyline", page.find("What the search did</h2>"));
  std::istringstream points(page.substr(page.find("points=\"", line) + 8));
  std::vector<double> heights;
  for (double x = 0, y = 0; points.get() && points >> x && points.get() == ',' && points >> y;) {
    heights.push_back(y);
  }
  REQUIRE(heights.size() == 5);
  CHECK(heights[1] == heights[0]);
  CHECK(heights[2] < heights[1]);  // y goes downwards
  CHECK(heights[4] == heights[2]);
  // Two candidates in each of two layers, the entropy of two layers, and Figure 3.
  for (const char* point : {"2x8, 2: 40.0%", "3x5 (chosen), 2: 60.0%", "32 (chosen), 2: 70.0%",
                            "48, 2: 30.0%", "conv1, 2: 0.673", "dense, 2: 0.611",
                            "dropout, 2: 1.1<", "dropout, 2: 1.2<", "search of fold 1, 3: 0.9<",
                            "training of fold 1, 2: 60.0%", "training of fold 1, 3: 0.0005"}) {
    CAPTURE(point);
    CHECK(contains(page, std::string("<title>") + point));
  }
  CHECK_FALSE(contains(page, "synthesiser"));
}

TEST_CASE("a report says when voices are machine-made") {
  RunReport run = full_run();
  run.synthetic = true;
  CHECK(contains(render_run_report(run), "synthesiser"));
  TableReport table;
  table.table = made_table();
  CHECK_FALSE(contains(render_table_report(table), "synthesiser"));
  table.table.synthetic = true;
  CHECK(contains(render_table_report(table), "synthesiser"));
  CHECK(contains(to_text(table.table), synthetic_notice("demo corpus")));
  CHECK(contains(to_markdown(table.table), synthetic_notice("demo corpus")));
}

TEST_CASE("what users name their things cannot become markup") {
  RunReport run = full_run();
  run.title = run.system = run.mode = run.corpus = run.preset = run.command = run.date = kHostile;
  run.genotype = run.figure3.system = run.figure3.child_summary = kHostile;
  run.settings = {{kHostile, kHostile}};
  run.parameters[0].name = kHostile;
  run.searches[0].name = run.trainings[0].name = kHostile;
  run.layers[0].layer = run.layers[0].candidates[0] = kHostile;
  run.folds[0].name = run.folds[0].genotype = kHostile;
  run.figure3.supernet[0].mode = kHostile;
  run.trials[0].architecture = run.scored[0].architecture = kHostile;
  run.measured[0].name = run.measured[1].name = kHostile;
  run.search_facts = {kHostile};
  run.searched_fold = kHostile;
  run.warnings = {kHostile};
  run.confusion = ConfusionMatrix({kHostile, "b"});
  run.confusion.add(0, 1, 3);
  run.synthetic = true;
  check_self_contained(render_run_report(run));

  TableReport report;
  report.title = report.date = kHostile;
  report.table = made_table();
  Table2& table = report.table;
  table.corpus = table.preset = table.command = kHostile;
  table.cells[0].system = table.cells[0].mode = table.cells[0].genotypes[0] = kHostile;
  table.comparisons[0].first = table.notes[0] = kHostile;
  report.settings = {{kHostile, kHostile}};
  report.warnings = {kHostile};
  check_self_contained(render_table_report(report));
}

TEST_CASE("reports with little to say are well formed and claim nothing") {
  const std::string empty_run = render_run_report({});
  check_self_contained(empty_run);
  check_self_contained(render_table_report({}));
  CHECK_FALSE(contains(empty_run, "<script"));
  CHECK_FALSE(contains(empty_run, "What the search did"));
  CHECK_FALSE(contains(empty_run, "nan"));
  CHECK_FALSE(contains(empty_run, "95%"));
  RunReport unmeasured = full_run();
  unmeasured.trainings[0].epochs = {{}, {}};
  unmeasured.has_intervals = false;
  unmeasured.layers[0].probabilities.clear();
  const std::string page = render_run_report(unmeasured);
  check_self_contained(page);
  CHECK_FALSE(contains(page, "95% interval"));
  CHECK_FALSE(contains(page, ">nan"));
}

TEST_CASE("the report of a table shows ours beside the paper's") {
  TableReport report;
  report.title = "Table 2 on demo corpus";
  report.table = made_table();
  report.figures = {full_run().figure3};
  report.warnings = {"one run is missing"};
  const std::string page = render_table_report(report);
  check_self_contained(page);
  for (const char* part :
       {"CNN_GRU_att", "CNN_SeqCap", "70.54", "56.94", "68.20", "54.89", "703.5", "2 min 05 s",
        "dropout minus none", "0.173", "0.318", "five folds, one seed", "one run is missing",
        "serenade table2 --out somewhere", "paper: 70.5%", "majority baseline", "conv1=3x5",
        "dropout, 2: 1.2"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  // Mean and sample stddev of the runs' WA: 75 and 7.07.
  CHECK(contains(page, "75.0 \u00b1 7.1"));
}

TEST_CASE("Table 2 as text and Markdown holds ours and the paper's") {
  const Table2 table = made_table();
  for (const std::string& text : {to_text(table), to_markdown(table)}) {
    for (const char* part : {"CNN_SeqCap", "dropout", "74.0", "68.8", "61.1", "82.3", "703.5",
                             "70.54", "56.94", "700", "75.0 +- 7.1", "WA 80.0", "five folds"}) {
      CAPTURE(part);
      CHECK(contains(text, part));
    }
  }
  CHECK(contains(to_markdown(table), "|---|"));
}

TEST_CASE("Table 2 as JSON can be read back") {
  const auto json = nlohmann::json::parse(to_json(made_table()));
  CHECK(json.at("corpus") == "demo corpus");
  CHECK(json.at("synthetic") == false);
  const auto& cell = json.at("cells").at(1);
  CHECK(cell.at("system") == "CNN_SeqCap");
  CHECK(cell.at("wa").at("low").get<double>() == Approx(0.611));
  CHECK(cell.at("wa_standard_deviation").get<double>() == Approx(0.0707107));
  CHECK(cell.at("majority_wa").get<double>() == Approx(0.8));
  CHECK(cell.at("paper").at("wa").get<double>() == Approx(0.7054));
  CHECK(cell.at("confusion").at(0).at(3) == 20);
  CHECK(json.at("comparisons").at(0).at("wa_p_value").get<double>() == Approx(0.173));
  Table2 single = made_table();
  single.cells[0].run_wa = {0.7};  // no stddev of one run: null, since JSON has no NaN
  CHECK(nlohmann::json::parse(to_json(single))
            .at("cells")
            .at(0)
            .at("wa_standard_deviation")
            .is_null());
}
