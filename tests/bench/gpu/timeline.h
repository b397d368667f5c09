#pragma once
// When the host prepared each step and when the device ran it: whether one waits for the other.

#include <string>
#include <vector>

namespace serenade::bench {

/// In milliseconds from a common beginning.
struct Span {
  double begin = 0, end = 0;
};

struct Timeline {
  std::vector<Span> host;    ///< preparing and launching a step
  std::vector<Span> device;  ///< running it, in order
};

/// The share of the time from the first span's begin to the last one's end that no span covers.
/// Spans may overlap; none at all: 0.
double idle_share(const std::vector<Span>& spans);

/// Two lanes over an axis of milliseconds, as a standalone SVG.
std::string timeline_svg(const Timeline& timeline, const std::string& title);

}  // namespace serenade::bench
