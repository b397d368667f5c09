// Meta-tests: every function declared in autograd/functions must have been through check_op and
// golden values, and stand in the table of contents, autograd/functions.h, and in the table of what
// was checked, autograd/functions.md.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tensor/files.h"
#include "tests/golden.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

const std::string kRoot = SERENADE_SOURCE_DIR "/";
const std::string kContents = kRoot + "autograd/functions.h";

// Functions without golden values, and what stands in their place.
const std::map<std::string, std::string> kWithoutGolden = {{"dropout", "its own random numbers"},
                                                           {"unused_taps", "counted by hand"}};

// PyTorch has nothing like it.
const std::string kWithoutPeer = "unused_taps";

// False for a program that has a real device: it launches them, but does not count.
#if defined(SERENADE_TEST_DEVICE) && !defined(SERENADE_EMULATED)
constexpr bool kLaunchesAreCounted = false;
#else
constexpr bool kLaunchesAreCounted = true;
#endif

// Functions that launch no kernel on a device.
const std::map<std::string, std::string> kWithoutKernel = {
    {"reshape", "shares its memory"},   {"flatten", "shares its memory"},
    {"argmax", "found on the host"},    {"one_hot", "made on the host"},
    {"tril_mask", "made on the host"},  {"triu_mask", "made on the host"},
    {"unused_taps", "made on the host"}};

// All first groups of matches of a pattern, in the order of the text.
std::vector<std::string> matches(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  const std::regex expression(pattern, std::regex::multiline);
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end;
       ++match) {
    found.push_back((*match)[1]);
  }
  return found;
}

struct Declared {
  std::string header, name;
};

// The functions that the headers which functions.h includes declare, each once.
std::vector<Declared> declared_functions() {
  std::vector<Declared> declared;
  std::set<std::string> names;
  for (const std::string& header :
       matches(read_file(kContents), "^#include \"autograd/functions/(.*)\"")) {
    for (const std::string& name :
         matches(read_file(kRoot + "autograd/functions/" + header),
                 "^(?:Variable|Tensor|TopK|Indices|std::vector<Variable>|LstmResult|RnnResult|"
                 "std::uint64_t) ([a-z_0-9]+)\\(")) {
      if (names.insert(name).second) declared.push_back({header, name});
    }
  }
  return declared;
}

template <class Map>
const typename Map::mapped_type& entry_of(const Map& map, const std::string& name) {
  static const typename Map::mapped_type none{};
  const auto found = map.find(name);
  return found == map.end() ? none : found->second;
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "`" : ", `") + name + "`";
  return text;
}

// Cells of the table as this run of the tests found them, and the place of the first: the CPU's
// program knows two, the program for a device the third.
#ifndef SERENADE_TEST_DEVICE
constexpr std::size_t kFirstCell = 0;

std::vector<std::string> cells_of(const std::string& name) {
  const CheckedFunction& checked = entry_of(checked_functions(), name);
  const std::set<std::string>& files = entry_of(functions_with_golden(), name);
  const std::string gradient = joined(checked.files) + (checked.has_gradient ? "" : ": none flows");
  if (files.empty()) return {gradient, "none: " + entry_of(kWithoutGolden, name)};
  if (files.size() <= 2) return {gradient, joined(files)};
  return {gradient, "`" + *files.begin() + "` and " + std::to_string(files.size() - 1) + " more"};
}
#else
constexpr std::size_t kFirstCell = 2;

std::vector<std::string> cells_of(const std::string& name) {
  const bool kernels = entry_of(checked_functions(), name).device == DeviceWork::kernels;
  return {kernels ? "yes" : "no kernel: " + entry_of(kWithoutKernel, name)};
}
#endif

bool is_ratio(const std::string& cell) {
  return std::regex_match(cell, std::regex("\\d+\\.\\d\\d"));
}

// Rows of autograd/functions.md by the function: the texts of their cells after it.
std::map<std::string, std::vector<std::string>> table() {
  std::map<std::string, std::vector<std::string>> rows;
  for (const std::string& line :
       matches(read_file(kRoot + "autograd/functions.md"), "^\\| (`[a-z_0-9]+` \\|.*) \\|$")) {
    std::vector<std::string> cells;
    for (std::size_t at = 0, end = 0; end != std::string::npos; at = end + 3) {
      end = line.find(" | ", at);
      cells.push_back(line.substr(at, end == std::string::npos ? end : end - at));
    }
    rows[cells[0].substr(1, cells[0].size() - 2)] = {cells.begin() + 1, cells.end()};
  }
  return rows;
}

}  // namespace

// Doctest runs cases in the order of files; the "zz" suite name sorts this one to the end (see
// tests/main.cpp, which orders by suite).
TEST_SUITE("zz coverage") {
  TEST_CASE("every function of autograd/functions has a gradient check and golden values") {
    const std::vector<Declared> declared = declared_functions();
    CHECK(declared.size() > 110);
    for (const Declared& one : declared) {
      INFO("function ", one.name);
      CHECK_MESSAGE(checked_functions().count(one.name) == 1, "no check_op");
      CHECK_MESSAGE(functions_with_golden().count(one.name) + kWithoutGolden.count(one.name) == 1,
                    "no golden values, or some where kWithoutGolden names it");
    }
  }

  TEST_CASE("autograd/functions.md says of every function what was checked") {
    const auto rows = table();
    const std::vector<Declared> declared = declared_functions();
    CHECK(rows.size() == declared.size());
    for (const Declared& one : declared) {
      INFO("`make function-table` writes the row of ", one.name);
      REQUIRE(rows.count(one.name) == 1);
      const std::vector<std::string>& cells = rows.at(one.name);
      REQUIRE(cells.size() == 6);
      const std::vector<std::string> found = cells_of(one.name);
      for (std::size_t i = 0; i < found.size() && kLaunchesAreCounted; ++i) {
        CHECK(cells[kFirstCell + i] == found[i]);
      }
      const bool has_gradient = entry_of(checked_functions(), one.name).has_gradient;
      CHECK(is_ratio(cells[3]) == (one.name != kWithoutPeer));
      CHECK(is_ratio(cells[4]) == has_gradient);
    }
  }

#ifdef SERENADE_TEST_DEVICE
  TEST_CASE("every function launches a kernel under the emulation, or is known not to") {
    for (const Declared& one : declared_functions()) {
      if (!kLaunchesAreCounted) break;
      INFO("function ", one.name);
      const bool kernels = entry_of(checked_functions(), one.name).device == DeviceWork::kernels;
      CHECK(kernels != (kWithoutKernel.count(one.name) == 1));
    }
  }
#endif

  // What `make function-table` asks for: the columns in SERENADE_FUNCTION_NOTES, a file.
  TEST_CASE("notes for the table") {
    const char* path = std::getenv("SERENADE_FUNCTION_NOTES");
    if (path == nullptr) return;
    std::ofstream file(path);
    for (const Declared& one : declared_functions()) {
      file << one.header << "|" << one.name;
      for (const std::string& cell : cells_of(one.name)) file << "|" << cell;
      file << "\n";
    }
    CHECK(file.flush());
  }

  TEST_CASE("the README names the functions without a gradient of their gradient") {
    const std::string text = read_file(kRoot + "autograd/README.md");
    const std::string words = "have no gradient of their gradient: ";
    const std::size_t begin = text.find(words);
    REQUIRE(begin != std::string::npos);
    std::set<std::string> refused, documented;
    for (const std::string& name :
         matches(text.substr(begin, text.find('.', begin) - begin), "`([a-z_0-9]+)`")) {
      documented.insert(name);
    }
    for (const auto& [name, function] : checked_functions()) {
      if (function.first_order) refused.insert(name);
    }
    CHECK(joined(documented) == joined(refused));
  }

  TEST_CASE("functions.h names every function") {
    const std::string contents = read_file(kContents);
    for (const Declared& one : declared_functions()) {
      INFO("not named in autograd/functions.h: ", one.name);
      CHECK(std::regex_search(contents, std::regex("\\b" + one.name + "\\b")));
    }
  }
}
