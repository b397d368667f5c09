// The progress bar on a terminal and in a log, with a clock that the test turns.

#include "nn/training/progress.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

using namespace serenade;

namespace {

struct Screen {
  std::ostringstream out;
  double now = 0;

  ProgressBar::Options options(bool terminal) {
    ProgressBar::Options options;
    options.out = &out;
    options.terminal = terminal;
    options.columns = 200;
    options.clock = [this] { return now; };
    return options;
  }
  std::string text() const { return out.str(); }
  bool shows(const std::string& part) const { return text().find(part) != std::string::npos; }
  long lines() const {
    const std::string shown = text();
    return std::count(shown.begin(), shown.end(), '\n');
  }
};

}  // namespace

TEST_CASE("durations read like speech") {
  CHECK(format_duration(0.84) == "0.8 s");
  CHECK(format_duration(9.96) == "10 s");
  CHECK(format_duration(12.4) == "12 s");
  CHECK(format_duration(59.7) == "1 min 00 s");
  CHECK(format_duration(185) == "3 min 05 s");
  CHECK(format_duration(3720) == "1 h 02 min");
  CHECK(format_duration(2 * 86400 + 3 * 3600) == "2 d 03 h");
  CHECK(format_duration(-1) == "-");
}

TEST_CASE("a terminal sees one line redrawn, with share, figures and time left") {
  Screen screen;
  ProgressBar bar("training", 10, screen.options(true));
  screen.now = 20;
  bar.update(4, "loss 0.52");
  CHECK(screen.shows("training [=========>"));
  CHECK(screen.shows(" 40%"));
  CHECK(screen.shows("loss 0.52"));
  CHECK(screen.shows("20 s, 30 s left"));
  CHECK(screen.lines() == 0);
  const std::string before = screen.text();
  screen.now = 20.01;  // too soon to draw again
  bar.update(5);
  CHECK(screen.text() == before);
  bar.update(10);  // the last one is always drawn
  CHECK(screen.shows("100%"));
  bar.finish("WA 61.0%");
  CHECK(screen.shows("training: done  WA 61.0%  (20 s)\n"));
  CHECK(screen.lines() == 1);
  bar.update(3);
  bar.finish();
  CHECK(screen.lines() == 1);
}

TEST_CASE("what an earlier session has done counts as done, and not as fast") {
  Screen screen;
  ProgressBar bar("training", 10, screen.options(true));
  bar.skip(4);
  screen.now = 20;
  bar.update(8);
  CHECK(screen.shows(" 80%"));
  CHECK(screen.shows("20 s, 10 s left"));
}

TEST_CASE("the bar never wraps: it is cut to the width of the terminal") {
  Screen screen;
  ProgressBar::Options options = screen.options(true);
  options.columns = 30;
  ProgressBar bar("training", 10, options);
  bar.update(5, "a long list of figures that does not fit");
  const std::string text = screen.text();
  const std::size_t begin = text.find('\r') + 1, end = text.find('\x1b');
  CHECK(end - begin == 29);
}

TEST_CASE("a log gets plain lines, few of them") {
  Screen screen;
  {
    ProgressBar bar("epochs", 1000, screen.options(false));
    for (int i = 1; i <= 1000; ++i) {
      screen.now = i;  // a tenth takes 100 seconds
      bar.update(i);
    }
    bar.finish();
  }
  CHECK(screen.text().find('\r') == std::string::npos);
  CHECK(screen.shows("epochs: 500 of 1000 (50%)"));
  CHECK(screen.shows("epochs: done  (16 min 40 s)\n"));
  CHECK(screen.lines() >= 11);
  CHECK(screen.lines() <= 22);  // a line per tenth, one a minute, and the end

  Screen quick;
  ProgressBar bar("quick", 1000, quick.options(false));
  for (int i = 1; i < 1000; ++i) {
    quick.now = i * 0.001;
    bar.update(i);
  }
  CHECK(quick.lines() == 1);
}

TEST_CASE("a message keeps its own line and the bar comes back") {
  Screen screen;
  ProgressBar bar("search", 4, screen.options(true));
  bar.update(1);
  bar.message("warning: uneven updates");
  const std::string text = screen.text();
  const std::size_t message = text.find("\r\x1b[Kwarning: uneven updates\n");
  REQUIRE(message != std::string::npos);
  CHECK(text.find("search [", message) != std::string::npos);
}

TEST_CASE("an exception leaves the cursor on a fresh line") {
  Screen screen;
  try {
    ProgressBar bar("training", 10, screen.options(true));
    bar.update(3);
    throw std::runtime_error("out of paper");
  } catch (const std::runtime_error&) {
  }
  CHECK(screen.text().back() == '\n');
  CHECK_FALSE(screen.shows("done"));
}

TEST_CASE("work that ends early says how far it came; work of unknown length counts") {
  Screen screen;
  ProgressBar bar("files", 8, screen.options(false));
  bar.update(3);
  bar.finish();
  CHECK(screen.shows("files: stopped at 3 of 8"));

  Screen unknown;
  ProgressBar counter("files", 0, unknown.options(true));
  counter.advance();
  counter.advance();
  unknown.now = 1;
  counter.advance();
  CHECK(unknown.shows("files 3"));
  CHECK(unknown.text().find('%') == std::string::npos);
}
