// Options: keys in messages, and those that a strategy does not read.

#include "apps/ser/cli/config_options.h"

#include <doctest/doctest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <sstream>

#include "tests/apps/ser/common/files.h"

namespace serenade::ser {

namespace {

// What is said on stderr.
template <class Function>
std::string said(const Function& f) {
  std::ostringstream text;
  std::streambuf* const before = std::cerr.rdbuf(text.rdbuf());
  f();
  std::cerr.rdbuf(before);
  return text.str();
}

}  // namespace

TEST_CASE("options: keys in a message become options, and nothing else does") {
  CHECK(in_options("dropout: num_masked must leave one; got 6") ==
        "dropout: --num-masked must leave one; got 6");
  CHECK(in_options("segment_minimum must not exceed segment_frames") ==
        "--segment-minimum must not exceed --segment-frames");
  for (const char* text :
       {"", "dropout, seed and trials", "my_num_masked num_masked2 num_masked_"}) {
    CHECK(in_options(text) == text);
  }
  CHECK(message_of<InputError>(
            [] { told_in_options([]() -> int { throw InputError("n_fft"); }); }) == "--n-fft");
  CHECK(told_in_options([] { return 3; }) == 3);
}

TEST_CASE("options: a setting that no strategy of the command reads is remarked on") {
  ConfigOptions options;
  CLI::App app;
  options.add_to(app);
  app.parse("--population 20 --num-masked 2 --epochs 3 --search-epochs 4");
  const Config config = options.config();
  const auto remark = [&](const std::vector<std::string>& strategies) {
    return said([&] { options.remark_unread(config, strategies); });
  };
  CHECK(remark({"darts"}) ==
        "note: not read by darts: --num-masked (of dropout), --population (of "
        "evolution)\n");
  CHECK(remark({"evolution"}) ==
        "note: not read by evolution: --search-epochs (of a supernet), --num-masked (of "
        "dropout)\n");
  CHECK(remark({"evolution", "dropout"}) == "");
}

TEST_CASE("options: a command that searches nothing has none of a search") {
  ConfigOptions options;
  CLI::App app;
  options.add_to(app, search_keys());
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options({})) names.push_back(option->get_name());
  const auto has = [&](const char* name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const char* name : {"--epochs", "--seed", "--system", "--conv2-set"}) CHECK(has(name));
  for (const char* name : {"--search-epochs", "--num-masked", "--population", "--bilevel",
                           "--alpha-learning-rate", "--supernet-gain"}) {
    CAPTURE(name);
    CHECK_FALSE(has(name));
  }
}

TEST_CASE("options: what a strategy remarks on its options is said") {
  Config config;
  config.strategy = "bayesian";
  CHECK(said([&] { print_remarks(config); }) ==
        "note: bayesian: all 5 trials are random, as those before the first model are: give more "
        "trials, or fewer --random-trials\n");
  config.search.trials = 6;
  CHECK(said([&] { print_remarks(config); }) == "");
}

}  // namespace serenade::ser
