// Pictures: well-formed SVG in which every value is where the axes say.

#include "apps/ser/report/chart.h"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <set>

#include "apps/ser/common/error.h"
#include "apps/ser/common/svg.h"
#include "apps/ser/report/figure3.h"
#include "tensor/files.h"
#include "tests/apps/ser/report/markup.h"

using namespace serenade::ser;
using doctest::Approx;
using serenade::read_file;

namespace {

LineChart losses() {
  LineChart chart;
  chart.title = "Loss <of> \"A & B\"";
  chart.x_label = "epoch";
  chart.y_label = "loss";
  chart.series = {epoch_series("joint", {1.4, 0.9, 0.5}),
                  epoch_series("path dropout", {1.5, 1, 0.4})};
  return chart;
}

// An attribute of the element whose tooltip begins with some words.
double attribute_of(const std::string& svg, const std::string& tooltip, const std::string& name) {
  const std::size_t title = svg.find("<title>" + tooltip);
  REQUIRE(title != std::string::npos);
  const std::size_t element = svg.rfind('<', title - 1);
  return std::stod(svg.substr(svg.find(" " + name + "=\"", element) + name.size() + 3));
}

}  // namespace

TEST_CASE("chart: dots alone, and a line that keeps its value up to the next point") {
  LineChart chart;
  chart.width = 290;  // 200 of them are the plot's
  chart.height = 190;
  chart.y_min = 0;
  chart.y_max = 1;
  chart.series = {{.name = "line", .x = {0, 1, 2}, .y = {0, 1, 0.5}, .stepped = true}};
  const std::string stepped = draw(chart);
  // From 68 to 268 across, from 140 up to 40.
  CHECK(contains(stepped, "points=\"68,140 168,140 168,40 268,40 268,90\""));
  CHECK_FALSE(contains(stepped, "<circle"));
  chart.series[0].stepped = false;
  chart.series[0].scattered = true;
  const std::string dots = draw(chart);
  CHECK_FALSE(contains(dots, "<polyline"));
  CHECK(occurrences(dots, "<circle") == 3);
  // Many are dots as well.
  chart.series[0].x = chart.series[0].y = std::vector<double>(100, 0.5);
  CHECK(occurrences(draw(chart), "<circle") == 100);
}

TEST_CASE("the checker of markup finds what is wrong") {
  CHECK(markup_problem("<a x=\"1\" hidden><br>&amp;<b/></a>").empty());
  CHECK(markup_problem("<style>a>b{}</style>").empty());
  CHECK_FALSE(markup_problem("<a><b></a></b>").empty());
  CHECK_FALSE(markup_problem("<a>").empty());
  CHECK_FALSE(markup_problem("</a>").empty());
  CHECK_FALSE(markup_problem("<a>R&D</a>").empty());
  CHECK_FALSE(markup_problem("<a x=\"1\" x=\"2\"/>").empty());
  CHECK_FALSE(markup_problem("<a x=1></a>").empty());
  CHECK_FALSE(markup_problem("<a x=\"a<b\"></a>").empty());
}

TEST_CASE("ticks are round, evenly spaced and cover the data") {
  const std::vector<double> ticks = nice_ticks(0.13, 1.42, 6);
  CHECK(ticks.front() <= 0.13);
  CHECK(ticks.back() >= 1.42);
  CHECK(ticks[1] - ticks[0] == Approx(0.2));
  CHECK(nice_ticks(0, 100, 5)[1] == Approx(20));
  CHECK(nice_ticks(3, 3).size() >= 2);  // one value still makes an axis
  CHECK(nice_ticks(-1e-7, 1e-7).size() >= 3);
}

TEST_CASE("a line chart may have bands, and an axis of decades") {
  LineChart chart = losses();
  chart.log_x = true;
  chart.y_min = 0;
  chart.series = {{.name = "a",
                   .x = {0, 1, 10, 100},
                   .y = {9, 2, 2, 2},
                   .low = {9, 1, 1, 1},
                   .high = {9, 4, 4, 4}}};
  const std::string svg = draw(chart);
  CHECK(markup_problem(svg) == "");
  CHECK(occurrences(svg, "<circle") == 3);  // 0 has no place on the axis
  const double first = attribute_of(svg, "a, 1:", "cx"), second = attribute_of(svg, "a, 10:", "cx");
  CHECK(attribute_of(svg, "a, 100:", "cx") - second == Approx(second - first).epsilon(1e-3));
  // The band's corners stand above and below the line's points, at 4 and at 1 where 2 is the line.
  const double line = attribute_of(svg, "a, 1:", "cy"), zero = 290;  // height - 50
  const std::size_t at = svg.find("<polygon");
  const std::string points = svg.substr(svg.find("points=\"", at) + 8, 60);
  CHECK(std::stod(points) == Approx(first));
  const double low = std::stod(points.substr(points.find(',') + 1));
  CHECK((zero - low) * 2 == Approx(zero - line).epsilon(1e-2));
  CHECK(occurrences(svg.substr(at, svg.find('>', at) - at), ",") == 6);
}

TEST_CASE("a line chart is well formed and draws every series with legend and axes") {
  for (const bool standalone : {false, true}) {
    const std::string svg = draw(losses(), standalone);
    CHECK(markup_problem(svg) == "");
    CHECK(occurrences(svg, "<polyline") == 2);
    CHECK(occurrences(svg, "<circle") == 6);
    CHECK(contains(svg, ">path dropout</text>"));
    CHECK(contains(svg, "joint, 2: 0.9"));
    CHECK(contains(svg, ">epoch</text>"));
    CHECK(contains(svg, "Loss &lt;of&gt; &quot;A &amp; B&quot;"));
    CHECK(contains(svg, "<style>") == standalone);
    CHECK(contains(svg, "prefers-color-scheme: dark") == standalone);
  }
}

TEST_CASE("points lie where the axes say") {
  LineChart chart;
  chart.title = "t";
  chart.y_min = 0;
  chart.y_max = 1;
  chart.series = {epoch_series("s", {0, 0.25, 1})};
  const std::string svg = draw(chart);
  const double bottom = attribute_of(svg, "s, 1:", "cy");
  const double quarter = attribute_of(svg, "s, 2:", "cy");
  const double top = attribute_of(svg, "s, 3:", "cy");
  CHECK(bottom > top);
  CHECK((bottom - quarter) / (bottom - top) == Approx(0.25).epsilon(0.01));
}

TEST_CASE("a logarithmic axis spaces factors evenly and leaves out what has no logarithm") {
  LineChart chart;
  chart.title = "t";
  chart.log_y = true;
  chart.series = {epoch_series("s", {1, 0.1, 0, 0.01})};
  const std::string svg = draw(chart);
  CHECK(markup_problem(svg) == "");
  CHECK(occurrences(svg, "<circle") == 3);
  CHECK(occurrences(svg, "<polyline") == 2);  // broken at the zero
  const auto height = [&](const std::string& x) { return attribute_of(svg, "s, " + x, "cy"); };
  CHECK(height("2:") - height("1:") == Approx(height("4:") - height("2:")).epsilon(0.01));
}

TEST_CASE("values that are not finite never reach the picture") {
  LineChart chart = losses();
  chart.series[0].y = {NAN, INFINITY, -INFINITY};
  chart.series[1].y = {NAN, 2, NAN};
  for (const bool log_y : {false, true}) {
    chart.log_y = log_y;
    const std::string svg = draw(chart);
    CHECK(markup_problem(svg) == "");
    CHECK_FALSE(contains(svg, "nan"));
    CHECK_FALSE(contains(svg, "inf"));
    CHECK(occurrences(svg, "<circle") == 1);
  }
  chart.series.clear();
  CHECK(markup_problem(draw(chart)) == "");
}

TEST_CASE("more series than colours stay apart by their pattern") {
  LineChart chart = losses();
  chart.series.clear();
  for (int i = 0; i < 9; ++i) {
    chart.series.push_back(epoch_series("s" + std::to_string(i), {1.0 * i, 2.0 * i}));
  }
  const std::string svg = draw(chart);
  CHECK(occurrences(svg, "<polyline") == 9);
  CHECK(occurrences(svg, "<polyline class=\"curve c0\"") == 1);
  CHECK(occurrences(svg, "<polyline class=\"curve c0 dotted\"") == 1);
}

TEST_CASE("the kept epoch is marked") {
  LineChart chart = losses();
  chart.marked_x = 2;
  chart.marked_label = "kept: epoch 2";
  const std::string svg = draw(chart);
  CHECK(contains(svg, ">kept: epoch 2</text>"));
  CHECK(occurrences(svg, "class=\"guide\"") == 1);
}

TEST_CASE("bars carry values, intervals, the paper's marker and the baseline") {
  BarChart chart;
  chart.title = "WA";
  chart.percent = true;
  chart.value_name = "ours";
  chart.marker_name = "paper";
  chart.reference = 0.4;
  chart.reference_label = "majority";
  chart.groups = {
      {"CNN_GRU_att", {{"none", 0.7, 0.6, 0.75, 0.682, 0}, {"joint", 0.35, {}, {}, {}, 0}}},
      {"CNN_SeqCap", {{"none", NAN, {}, {}, 0.6986, 1}}}};
  const std::string svg = draw(chart, true);
  CHECK(markup_problem(svg) == "");
  CHECK(contains(svg, "none: 70.0% (60.0% to 75.0%)"));
  CHECK(contains(svg, "paper: 68.2%"));
  CHECK(contains(svg, "paper: 69.9%"));
  CHECK(occurrences(svg, "<polygon") == 3);  // two markers and the legend's
  CHECK(occurrences(svg, "class=\"guide\"") == 3);
  CHECK_FALSE(contains(svg, "nan"));
  // Twice the value, twice the bar.
  const double wide = attribute_of(svg, "none: 70", "width");
  const double half = attribute_of(svg, "joint: 35", "width");
  CHECK(wide / half == Approx(2).epsilon(0.01));
}

TEST_CASE("the confusion map shows counts and shares of rows") {
  ConfusionMatrix matrix({"neutral", "angry & loud", "absent"});
  matrix.add(0, 0, 1500);
  matrix.add(0, 1, 500);
  matrix.add(1, 1, 3);
  const std::string svg = draw_confusion(matrix, "Confusion", true);
  CHECK(markup_problem(svg) == "");
  CHECK(contains(svg, ">1,500</text>"));
  CHECK(contains(svg, ">75.0%</text>"));
  CHECK(contains(svg, ">25.0%</text>"));
  CHECK(contains(svg, ">100.0%</text>"));
  CHECK(contains(svg, "angry &amp; loud"));
  CHECK(occurrences(svg, "class=\"cell\"") == 9);
  CHECK_FALSE(contains(svg, "nan"));
}

TEST_CASE("a histogram counts every finite value once") {
  Histogram histogram;
  histogram.title = "Lengths";
  histogram.values = {1, 1, 2, 3, 4.9, NAN};
  histogram.bins = 4;
  const std::string svg = draw(histogram, true);
  CHECK(markup_problem(svg) == "");
  int counted = 0;
  const std::string bars = svg.substr(svg.find("class=\"f0\""));
  for (std::size_t i = bars.find("<title>"); i != std::string::npos;
       i = bars.find("<title>", i + 1)) {
    counted += std::stoi(bars.substr(bars.find(": ", i) + 2));
  }
  CHECK(counted == 5);
  histogram.values.clear();
  CHECK(markup_problem(draw(histogram)) == "");
}

TEST_CASE("Figure 3 is written as two pictures and their data") {
  namespace fs = std::filesystem;
  Figure3 figure;
  figure.system = "CNN_SeqCap";
  figure.supernet = {{"joint", {1.5, 1.25}}, {"dropout", {1.5, 1}}};
  figure.child = {{"dropout", {1.75, 1.5}}};
  const fs::path folder = fs::temp_directory_path() / "serenade_test_figure3";
  fs::create_directories(folder);
  const std::string stem = (folder / "figure3").string();
  write_figure3(stem, figure);
  const std::string a = read_file(stem + "_a.svg"), b = read_file(stem + "_b.svg");
  CHECK(markup_problem(a) == "");
  CHECK(markup_problem(b) == "");
  CHECK(occurrences(a, "<polyline") == 2);
  CHECK(occurrences(b, "<polyline") == 1);
  CHECK(read_file(stem + ".csv") ==
        "part,mode,epoch,loss\nsupernet,joint,1,1.5\nsupernet,joint,2,1.25\n"
        "supernet,dropout,1,1.5\nsupernet,dropout,2,1\nchild,dropout,1,1.75\n"
        "child,dropout,2,1.5\n");
  CHECK(std::distance(fs::directory_iterator(folder), {}) == 3);
  fs::remove_all(folder);
  CHECK_THROWS_AS(write_figure3(stem, figure), IoError);
}

TEST_CASE("ticks that lie close together have labels that differ") {
  for (const bool percent : {false, true}) {
    CAPTURE(percent);
    LineChart chart;
    chart.title = "close";
    chart.percent = percent;
    chart.series = {epoch_series("loss", {1.38631, 1.38605, 1.38612, 1.38624})};
    const std::string svg = draw(chart);
    std::set<std::string> labels;
    std::size_t ticks = 0;
    for (std::size_t at = 0; (at = svg.find(">1", at + 1)) != std::string::npos;) {
      const std::string label = svg.substr(at + 1, svg.find('<', at + 1) - at - 1);
      if (label.find("38") == std::string::npos) continue;
      labels.insert(label);
      ++ticks;
    }
    CHECK(ticks > 3);
    CHECK(labels.size() == ticks);
  }
}
