// What `make bench-gpu` makes of its times, from made-up ones.

#include <doctest/doctest.h>

#include "tests/apps/ser/report/markup.h"
#include "tests/bench/gpu/protocol_time.h"
#include "tests/bench/gpu/timeline.h"

using namespace serenade::bench;

TEST_CASE("timeline: the share of the time that no span covers") {
  CHECK(idle_share({}) == 0);
  CHECK(idle_share({{3, 3}}) == 0);
  CHECK(idle_share({{1, 2}, {2, 5}}) == 0);
  CHECK(idle_share({{0, 1}, {3, 4}}) == doctest::Approx(0.5));
  CHECK(idle_share({{3, 4}, {0, 1}}) == doctest::Approx(0.5));              // in any order
  CHECK(idle_share({{0, 6}, {1, 2}, {7, 8}}) == doctest::Approx(1.0 / 8));  // overlapping
}

TEST_CASE("timeline: every span is drawn in its lane") {
  const Timeline timeline = {{{0, 1}, {2, 3}}, {{0.5, 2}, {2, 3.5}, {3.5, 5}}};
  const std::string svg = timeline_svg(timeline, "steps & more");
  CHECK(serenade::ser::markup_problem(svg) == "");
  CHECK(svg.find("steps &amp; more") != std::string::npos);
  const auto count = [&](const std::string& text) {
    int found = 0;
    for (auto at = svg.find(text); at != std::string::npos; at = svg.find(text, at + 1)) ++found;
    return found;
  };
  CHECK(count("class=\"f0\"") == 2);
  CHECK(count("class=\"f1\"") == 3);
  CHECK(count("1.5 ms") >= 3);  // tooltips, and perhaps a tick
  CHECK(serenade::ser::markup_problem(timeline_svg({}, "nothing")) == "");
}

TEST_CASE("protocol: hours follow from epochs") {
  // Only trainings: none 5, random 25, joint 5, sampling 10, dropout 10, of 20 epochs each.
  CHECK(protocol_seconds({{.train = 1}}, 1) == doctest::Approx(20.0 * 55));
  CHECK(protocol_seconds({{.joint = 1}}, 1) == doctest::Approx(60.0 * 5));
  CHECK(protocol_seconds({{.sampling = 1}}, 1) == doctest::Approx(60.0 * 10));
  CHECK(protocol_seconds({{.dropout = 1}}, 1) == doctest::Approx(60.0 * 10));
  const EpochSeconds all = {.train = 1, .joint = 2, .sampling = 3, .dropout = 4};
  CHECK(protocol_seconds({all, all}, 2.5) ==
        doctest::Approx(2 * 2.5 * (1100 + 2 * 300 + 3 * 600 + 4 * 600)));
  CHECK(kIemocapSegments == doctest::Approx(11062));
}
