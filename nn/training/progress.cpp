#include "nn/training/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "tensor/text.h"

namespace serenade {

namespace {

// However slow the work, a log shows at least this often that it goes on.
constexpr double kHeartbeatSeconds = 60;
constexpr int kDefaultColumns = 80;
constexpr int kBarWidth = 24;

double steady_seconds() {
  using std::chrono::steady_clock;
  return std::chrono::duration<double>(steady_clock::now().time_since_epoch()).count();
}

int terminal_columns() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kDefaultColumns;
}

// The first `width` characters, so that a line never wraps (a wrapped line cannot be redrawn).
std::string cut(const std::string& text, int width) {
  int shown = 0;
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    const bool starts = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (starts && shown++ == width) break;
  }
  return text.substr(0, i);
}

std::string two_units(std::int64_t large, const char* large_unit, std::int64_t small,
                      const char* small_unit) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%lld %s %02lld %s", static_cast<long long>(large),
                large_unit, static_cast<long long>(small), small_unit);
  return buffer;
}

}  // namespace

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds < 9.95) {
    char buffer[16];
    std::snprintf(buffer, sizeof buffer, "%.1f s", seconds);
    return buffer;
  }
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  if (whole < 3600) return two_units(whole / 60, "min", whole % 60, "s");
  if (whole < 86400) return two_units(whole / 3600, "h", whole % 3600 / 60, "min");
  return two_units(whole / 86400, "d", whole % 86400 / 3600, "h");
}

ProgressBar::ProgressBar(std::string label, std::int64_t total)
    : ProgressBar(std::move(label), total, Options{}) {}

ProgressBar::ProgressBar(std::string label, std::int64_t total, Options options)
    : label_(std::move(label)), total_(std::max<std::int64_t>(0, total)), options_(options) {
  const bool to_stderr = options_.out == nullptr;
  if (to_stderr) options_.out = &std::cerr;
  if (!options_.clock) options_.clock = steady_seconds;
  terminal_ = options_.terminal.value_or(to_stderr && isatty(STDERR_FILENO) != 0);
  start_ = options_.clock();
}

ProgressBar::~ProgressBar() {
  if (line_open_) *options_.out << '\n' << std::flush;
}

void ProgressBar::update(std::int64_t done, const std::string& figures) {
  if (finished_) return;
  done_ = done;
  if (!figures.empty()) figures_ = figures;
  const double now = options_.clock();
  const double since = now - last_shown_;
  if (terminal_) {
    const bool complete = total_ > 0 && done_ >= total_;
    if (since >= options_.redraw_interval_seconds || complete) draw_bar(now);
    return;
  }
  const int tenth = total_ > 0 ? static_cast<int>(10 * done_ / total_) : 0;
  const bool next_tenth = tenth > last_tenth_ && since >= options_.plain_interval_seconds;
  // The last unit is left to finish(), which says the same and the time taken.
  if (total_ > 0 && done_ >= total_) return;
  if (next_tenth || since >= kHeartbeatSeconds) {
    last_tenth_ = tenth;
    print_plain(now);
  }
}

void ProgressBar::message(const std::string& line) {
  if (line_open_) *options_.out << "\r\x1b[K";
  *options_.out << line << '\n';
  const bool redraw = line_open_;
  line_open_ = false;
  if (redraw) draw_bar(options_.clock());
  options_.out->flush();
}

void ProgressBar::finish(const std::string& figures) {
  if (finished_) return;
  if (!figures.empty()) figures_ = figures;
  if (line_open_) *options_.out << "\r\x1b[K";
  *options_.out << label_ << ": ";
  if (total_ > 0 && done_ < total_) {
    *options_.out << "stopped at " << done_ << " of " << total_;
  } else {
    *options_.out << "done";
  }
  if (!figures_.empty()) *options_.out << "  " << figures_;
  *options_.out << "  (" << format_duration(options_.clock() - start_) << ")\n" << std::flush;
  line_open_ = false;
  finished_ = true;
}

std::string ProgressBar::times(double now) const {
  const double elapsed = now - start_;
  std::string text = format_duration(elapsed);
  const std::int64_t here = done_ - skipped_;
  if (total_ > 0 && here > 0 && done_ < total_) {
    const double left = elapsed / static_cast<double>(here) * static_cast<double>(total_ - done_);
    text += ", " + format_duration(left) + " left";
  }
  return text;
}

void ProgressBar::draw_bar(double now) {
  std::string line = label_ + " ";
  if (total_ > 0) {
    const double share =
        std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0., 1.);
    const auto filled = static_cast<std::size_t>(share * kBarWidth);
    std::string bar(filled, '=');
    if (filled < kBarWidth) bar += '>';
    bar.resize(kBarWidth, ' ');
    char head[64];
    std::snprintf(head, sizeof head, "[%s] %3d%%  ", bar.c_str(), static_cast<int>(100 * share));
    line += head;
  } else {
    line += std::to_string(done_) + "  ";
  }
  if (!figures_.empty()) line += figures_ + "  ";
  line += times(now);
  const int columns = options_.columns > 0 ? options_.columns : terminal_columns();
  *options_.out << '\r' << cut(line, std::max(1, columns - 1)) << "\x1b[K" << std::flush;
  line_open_ = true;
  last_shown_ = now;
}

void ProgressBar::print_plain(double now) {
  *options_.out << label_ << ": ";
  if (total_ > 0) {
    *options_.out << done_ << " of " << total_ << " (" << 100 * done_ / total_ << "%)";
  } else {
    *options_.out << done_;
  }
  if (!figures_.empty()) *options_.out << "  " << figures_;
  *options_.out << "  " << times(now) << '\n' << std::flush;
  last_shown_ = now;
}

}  // namespace serenade
