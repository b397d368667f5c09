// The pictures: well formed, complete, and safe with any names.

#include "nas/draw.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace serenade;

namespace {

SearchSpace picture_space() {
  return {.choices = {{"left", {"2x8", "1x9"}, {"input"}},
                      {"right", {"8x2", "9x1", "5x3"}, {"input"}},
                      {"both", {"5x5", "4x4"}, {"left", "right"}},
                      {"head", {"32", "64"}}}};
}

const std::vector<std::vector<double>> kProbabilities = {
    {0.25, 0.75}, {0.1, 0.2, 0.7}, {0.5, 0.5}, {1, 0}};
const std::vector<std::int64_t> kBest = {1, 2, 0, 0};

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

// Every tag is closed in order; attributes are quoted; no stray '<'.
bool well_formed(const std::string& xml) {
  std::vector<std::string> open;
  for (std::size_t at = xml.find('<'); at != std::string::npos; at = xml.find('<', at + 1)) {
    const std::size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const std::string tag = xml.substr(at + 1, end - at - 1);
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return false;
    const std::string name = tag.substr(0, tag.find_first_of(" /", 1));
    if (tag.front() == '/') {
      if (open.empty() || "/" + open.back() != tag) return false;
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
  }
  return open.empty();
}

}  // namespace

TEST_CASE("draw: the supernet as SVG") {
  const std::string svg = draw_supernet_svg(picture_space(), kProbabilities, kBest);
  CHECK(well_formed(svg));
  for (const char* text : {"left", "right", "both", "head", "input", "output", "1x9  0.750",
                           "5x3  0.700", "64  0.000"}) {
    CHECK(count(svg, std::string(">") + text + "<") == 1);
  }
  // Nine candidate edges; the width grows with the probability: 1 + 8 p.
  CHECK(count(svg, "stroke-width=\"7.00\"") == 1);
  CHECK(count(svg, "stroke-width=\"9.00\"") == 1);
  CHECK(count(svg, "stroke-width=\"5.00\"") == 2);
  // One chosen edge and one chosen label per choice.
  CHECK(count(svg, "stroke=\"#c2410c\"") == 4);
  CHECK(count(svg, "fill=\"#c2410c\"") == 4);
  // input to two, two to one, one to one, one to output: six arrow heads.
  CHECK(count(svg, "-4 v8 z") == 6);
}

TEST_CASE("draw: the architecture as SVG") {
  const SearchSpace space = picture_space();
  const std::string svg = draw_child_svg(space, make_genotype(space, kBest));
  CHECK(well_formed(svg));
  for (const char* text : {"left", "1x9", "right", "5x3", "both", "5x5", "head", "32"}) {
    CHECK(count(svg, std::string(">") + text + "<") == 1);
  }
  CHECK(count(svg, "9x1") == 0);
}

TEST_CASE("draw: DOT has an edge per candidate") {
  const SearchSpace space = picture_space();
  const std::string dot = draw_supernet_dot(space, kProbabilities, kBest);
  CHECK(count(dot, "penwidth") == 9);
  CHECK(count(dot, "\"input\" -> \"left\"") == 2);
  CHECK(count(dot, "\"both input\" -> \"both\"") == 2);
  CHECK(count(dot, "\"right\" -> \"both input\"") == 1);
  CHECK(count(dot, "\"head\" -> \"output\"") == 1);
  CHECK(count(dot, "fontcolor=\"#c2410c\"") == 4);
  CHECK(count(dot, "{") == count(dot, "}"));
  const std::string child = draw_child_dot(space, make_genotype(space, kBest));
  CHECK(count(child, "penwidth") == 4);
  CHECK(count(child, "label=\"1x9\"") == 1);
}

TEST_CASE("draw: names of any kind stay text") {
  const SearchSpace space{.choices = {{"<b>&\"x\"", {"a<b", "\\"}}}};
  const std::string svg = draw_supernet_svg(space, {{0.5, 0.5}}, {0});
  CHECK(well_formed(svg));
  CHECK(count(svg, "&lt;b&gt;&amp;&quot;x&quot;") == 1);
  CHECK(count(draw_supernet_dot(space, {{0.5, 0.5}}, {0}), "\"<b>&\\\"x\\\"\"") > 0);
}

TEST_CASE("draw: numbers that do not fit the space are refused") {
  const SearchSpace space = picture_space();
  CHECK_THROWS_AS(draw_supernet_svg(space, {{1}}, kBest), std::invalid_argument);
  CHECK_THROWS_AS(draw_supernet_svg(space, kProbabilities, {1, 2, 0}), std::invalid_argument);
  CHECK_THROWS_AS(draw_supernet_svg(space, kProbabilities, {1, 3, 0, 0}), std::invalid_argument);
  auto bad = kProbabilities;
  bad[0] = {0.25, 1.5};
  CHECK_THROWS_AS(draw_supernet_dot(space, bad, kBest), std::invalid_argument);
  Genotype other = make_genotype(space, kBest);
  other.decisions.pop_back();
  CHECK_THROWS_AS(draw_child_svg(space, other), std::invalid_argument);
}
