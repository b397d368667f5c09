// Pictures of cells, lines over epochs, and the page of a search.

#include "nas/cell_page.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>

#include "nas/epoch_slider.h"
#include "tests/nas/toy.h"

using namespace serenade;

namespace {

CellSpace space() {
  return {.cells = {"cell"}, .nodes = 2, .candidates = {"none", "skip", "co<nv"}};
}

std::size_t count(const std::string& text, const std::string& word) {
  std::size_t found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    ++found;
  }
  return found;
}

const CellEdges kEdges = {{"skip", 0}, {"co<nv", 1}, {"skip", 0}, {"co<nv", 2}};

}  // namespace

TEST_CASE("draw: a cell has its states, an arc per edge, and no two labels in one place") {
  const std::string svg = draw_cell_svg(space(), kEdges);
  CHECK(count(svg, "<circle") == 5);               // two inputs, two nodes, the output
  CHECK(count(svg, "stroke-width=\"3\"") == 4);    // the edges
  CHECK(count(svg, "stroke=\"#d5dae1\"/>") == 2);  // from the nodes to the output
  CHECK(count(svg, ">co&lt;nv<") == 2);
  CHECK(count(svg, "co<nv") == 0);
  const CellSpace darts{.candidates = {"none", "op"}};
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::string drawn = draw_cell_svg(darts, darts.random({.seed = seed})[0]);
    std::set<std::string> places;
    const std::regex place("<text (x=\"[^\"]*\" y=\"[^\"]*\")");
    for (std::sregex_iterator it(drawn.begin(), drawn.end(), place), end; it != end; ++it) {
      CHECK(places.insert((*it)[1]).second);
    }
    CHECK(places.size() == 8 + 7);
  }
  CHECK_THROWS_AS(draw_cell_svg(space(), {{"skip", 2}}), std::invalid_argument);
}

TEST_CASE("draw: lines over epochs, on a scale from low to high") {
  const std::string svg =
      draw_lines_svg("t<", {{"a", {0, 0.5, 1}}, {"b", {0.25, std::nan(""), 0.25}}}, 0, 1, 340);
  // From 40 to 244 across, from 170 up to 26.
  CHECK(contains(svg, "points=\"40,170 142,98 244,26 \""));
  CHECK(contains(svg, "points=\"40,134 244,134 \""));
  CHECK(contains(svg, "t&lt;"));
  CHECK_FALSE(contains(svg, "nan"));
  CHECK(contains(draw_lines_svg("", {{"one", {2}}}, 0, 1), "points=\"40,26 \""));
  CHECK(contains(draw_lines_svg("", {}, 0, 1), "<svg"));
  CHECK_THROWS_AS(draw_lines_svg("", {}, 1, 1), std::invalid_argument);
}

TEST_CASE("draw: names of lines that end side by side do not overlap and stay inside") {
  std::vector<DrawnLine> lines;
  for (int i = 0; i < 8; ++i) lines.push_back({"name" + std::to_string(i), {0.9 + 0.001 * i}});
  const std::string svg = draw_lines_svg("", lines, 0, 1);
  std::vector<double> places;
  const std::regex place("y=\"([0-9.]+)\"[^>]*>name");
  for (std::sregex_iterator it(svg.begin(), svg.end(), place), end; it != end; ++it) {
    places.push_back(std::stod((*it)[1]));
  }
  REQUIRE(places.size() == 8);
  std::sort(places.begin(), places.end());
  CHECK(places.front() > 8);
  CHECK(places.back() < 190);
  for (std::size_t i = 1; i < places.size(); ++i) CHECK(places[i] - places[i - 1] > 11.5);
}

TEST_CASE("epoch slider: the last part is seen, a part alone has no slider") {
  CHECK(epoch_slider({}) == "");
  CHECK(epoch_slider({"one"}) == "<div>\n<div class=\"epoch\">\none</div>\n</div>\n");
  const std::string html = epoch_slider({"one", "two", "three"});
  CHECK(count(html, "class=\"epoch\" hidden=\"\">") == 2);
  CHECK(contains(html, "class=\"epoch\">\nthree</div>"));
  CHECK(count(html, "<script>") == 1);
  CHECK(html.find("type=\"range\"") < html.find("one"));
}

TEST_CASE("cell page: everything in one file") {
  SearchRecord record{.epoch = 0, .choices = {}};
  for (const Choice& choice : space().space().choices) {
    record.choices.push_back({.name = choice.name,
                              .candidates = choice.candidates,
                              .alphas = {0, 0, 0},
                              .probabilities = {0.2, 0.3, 0.5},
                              .updates = {1, 1, 1}});
  }
  SearchRecord later = record;
  later.epoch = 1;
  const std::string html = to_html(space(), {.title = "a & b",
                                             .cells = {{kEdges}, {kEdges}},
                                             .history = {record, later},
                                             .lines_title = "right",
                                             .lines = {{"accuracy", {0.1, 0.2}}}});
  CHECK(contains(html, "<title>a &amp; b</title>"));
  CHECK(count(html, "class=\"epoch\"") == 2);
  CHECK(count(html, "class=\"epoch\" hidden") == 1);  // the last is seen
  CHECK(count(html, "<svg") == 2 + 1 + 5);            // cells, accuracy, edges
  CHECK(count(html, "</svg>") == 2 + 1 + 5);
  CHECK(contains(html, "type=\"range\""));
  for (const char* outside : {"src=", "href=", "@import", "url("}) CHECK(count(html, outside) == 0);
  CHECK(count(html, "http") == count(html, "xmlns=\"http://www.w3.org/2000/svg\""));
  CHECK_FALSE(contains(to_html(space(), {.cells = {{kEdges}}}), "type=\"range\""));
  CHECK_THROWS_AS(to_html(space(), {}), std::invalid_argument);
}
