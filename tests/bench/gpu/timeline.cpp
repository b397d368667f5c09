#include "tests/bench/gpu/timeline.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "apps/ser/common/svg.h"

namespace serenade::bench {

namespace {

constexpr double kWidth = 960, kHeight = 170, kLeft = 70, kRight = 20, kTop = 40;
constexpr double kLane = 36, kLaneGap = 12;

std::string milliseconds(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g ms", value);
  return text;
}

// 1, 2 or 5 times a power of ten, so that about eight ticks fit.
double tick_step(double range) {
  const double rough = range / 8;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) return factor * power;
  }
  return 10 * power;
}

}  // namespace

double idle_share(const std::vector<Span>& spans) {
  if (spans.empty()) return 0;
  std::vector<Span> sorted = spans;
  std::sort(sorted.begin(), sorted.end(),
            [](const Span& a, const Span& b) { return a.begin < b.begin; });
  double covered_until = sorted.front().begin, idle = 0;
  for (const Span& span : sorted) {
    idle += std::max(0.0, span.begin - covered_until);
    covered_until = std::max(covered_until, span.end);
  }
  const double whole = covered_until - sorted.front().begin;
  return whole > 0 ? idle / whole : 0;
}

std::string timeline_svg(const Timeline& timeline, const std::string& title) {
  double last = 0;
  for (const auto* lane : {&timeline.host, &timeline.device}) {
    for (const Span& span : *lane) last = std::max(last, span.end);
  }
  if (last <= 0) last = 1;
  const double scale = (kWidth - kLeft - kRight) / last;
  ser::Svg svg(kWidth, kHeight, title);
  svg.text(kLeft, 22, title, "title");
  const struct {
    const char* name;
    const std::vector<Span>& spans;
  } lanes[] = {{"host", timeline.host}, {"device", timeline.device}};
  double y = kTop;
  int series = 0;
  for (const auto& lane : lanes) {
    svg.text(kLeft - 10, y + kLane / 2 + 4, lane.name, "strong", "end");
    for (const Span& span : lane.spans) {
      svg.rect(kLeft + span.begin * scale, y, std::max(0.5, (span.end - span.begin) * scale), kLane,
               "f" + std::to_string(series), milliseconds(span.end - span.begin));
    }
    y += kLane + kLaneGap;
    ++series;
  }
  svg.line(kLeft, y, kWidth - kRight, y, "axis");
  const double step = tick_step(last);
  for (double t = 0; t <= last; t += step) {
    svg.line(kLeft + t * scale, y, kLeft + t * scale, y + 4, "axis");
    svg.text(kLeft + t * scale, y + 18, milliseconds(t), "number", "middle");
  }
  return svg.finish(true);
}

}  // namespace serenade::bench
