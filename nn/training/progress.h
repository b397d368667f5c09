#pragma once
// Tells a person how far a long job is, on stderr so that stdout stays clean for results.
//
// On a terminal one line is redrawn in place: bar, per cent, current figures, elapsed, time left.
// Elsewhere (log file, pipe) plain lines appear, one per tenth of the work, at most one in a few
// seconds and at least one a minute.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

namespace serenade {

/// "0.8 s", "12 s", "3 min 05 s", "1 h 02 min", "2 d 03 h".
std::string format_duration(double seconds);

class ProgressBar {
 public:
  /// What a test, or a program with its own idea of a terminal, may replace.
  struct Options {
    std::ostream* out = nullptr;           ///< nullptr: std::cerr
    std::optional<bool> terminal;          ///< default: whether stderr is one
    int columns = 0;                       ///< width of the line; 0: ask the terminal, else 80
    std::function<double()> clock;         ///< seconds; default: the steady clock
    double plain_interval_seconds = 5;     ///< least time between two plain lines
    double redraw_interval_seconds = 0.1;  ///< least time between two redraws
  };

  /// `total` units of work, 0 if not known.
  ProgressBar(std::string label, std::int64_t total);
  ProgressBar(std::string label, std::int64_t total, Options options);
  /// Ends the line, so that what is printed after an exception begins on its own line.
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `done` units so far; `figures` such as "loss 0.52  WA 61.3%".
  void update(std::int64_t done, const std::string& figures = "");
  /// One more unit.
  void advance(const std::string& figures = "") { update(done_ + 1, figures); }
  /// Of the units that update() counts, so many more were done before this job: they say nothing
  /// about its speed.
  void skip(std::int64_t units) { skipped_ += units; }
  /// Prints a line of its own without spoiling the bar.
  void message(const std::string& line);
  /// Shows the end state with the time taken; later calls do nothing.
  void finish(const std::string& figures = "");

 private:
  void draw_bar(double now);
  void print_plain(double now);
  std::string times(double now) const;

  std::string label_;
  std::int64_t total_;
  std::int64_t done_ = 0;
  std::int64_t skipped_ = 0;
  std::string figures_;
  Options options_;
  bool terminal_ = false;
  double start_ = 0;
  double last_shown_ = -1e300;
  int last_tenth_ = -1;
  bool line_open_ = false;
  bool finished_ = false;
};

}  // namespace serenade
