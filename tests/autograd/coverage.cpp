// Meta-tests: every function declared in autograd/functions must have been through check_op, and
// stand in the table of contents, autograd/functions.h.

#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tensor/files.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

// Names of the functions that headers of autograd/functions declare with one of these results (a
// regular expression).
std::set<std::string> declared_functions(const std::string& result) {
  std::set<std::string> declared;
  for (const auto& entry :
       std::filesystem::directory_iterator(SERENADE_SOURCE_DIR "/autograd/functions")) {
    if (entry.path().extension() != ".h") continue;
    const std::string header = read_file(entry.path().string());
    const std::regex declaration("^(" + result + ") ([a-z_0-9]+)\\(", std::regex::multiline);
    for (std::sregex_iterator match(header.begin(), header.end(), declaration), end; match != end;
         ++match) {
      declared.insert((*match)[2]);
    }
  }
  return declared;
}

}  // namespace

// Doctest runs cases in the order of files; the "zz" suite name sorts this one to the end (see
// tests/main.cpp, which orders by suite).
TEST_SUITE("zz coverage") {
  TEST_CASE("every function of autograd/functions has a gradient check") {
    const std::set<std::string> declared = declared_functions("Variable");
    CHECK(declared.size() > 80);
    const std::vector<std::string> names = covered_functions();
    const std::set<std::string> covered(names.begin(), names.end());
    for (const std::string& name : declared) {
      INFO("no check_op for ", name);
      CHECK(covered.count(name) == 1);
    }
  }

  TEST_CASE("functions.h names every function") {
    const std::string contents = read_file(SERENADE_SOURCE_DIR "/autograd/functions.h");
    const std::string results = "Variable|Tensor|TopK|Indices|std::vector<Variable>";
    for (const std::string& name : declared_functions(results)) {
      INFO("not named in autograd/functions.h: ", name);
      CHECK(std::regex_search(contents, std::regex("\\b" + name + "\\b")));
    }
  }
}
