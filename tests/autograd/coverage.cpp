// Meta-tests: every function declared in autograd/functions must have been through check_op, and
// stand in the table of contents, autograd/functions.h.

#include <doctest/doctest.h>

#include <regex>
#include <set>
#include <string>
#include <vector>

#include "tensor/files.h"
#include "tests/op_case.h"

using namespace serenade;

namespace {

const std::string kContents = SERENADE_SOURCE_DIR "/autograd/functions.h";

// All first groups of matches of a pattern.
std::set<std::string> matches(const std::string& text, const std::string& pattern) {
  std::set<std::string> found;
  const std::regex expression(pattern, std::regex::multiline);
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end;
       ++match) {
    found.insert((*match)[1]);
  }
  return found;
}

// Names of the functions that the headers which functions.h includes declare with one of these
// results (a regular expression).
std::set<std::string> declared_functions(const std::string& result) {
  std::set<std::string> declared;
  for (const std::string& header :
       matches(read_file(kContents), "^#include \"(autograd/functions/.*)\"")) {
    declared.merge(matches(read_file(std::string(SERENADE_SOURCE_DIR "/") + header),
                           "^(?:" + result + ") ([a-z_0-9]+)\\("));
  }
  return declared;
}

}  // namespace

// Doctest runs cases in the order of files; the "zz" suite name sorts this one to the end (see
// tests/main.cpp, which orders by suite).
TEST_SUITE("zz coverage") {
  TEST_CASE("every function of autograd/functions has a gradient check") {
    const std::set<std::string> declared = declared_functions("Variable|LstmResult|RnnResult");
    CHECK(declared.size() > 80);
    const std::vector<std::string> names = covered_functions();
    const std::set<std::string> covered(names.begin(), names.end());
    for (const std::string& name : declared) {
      INFO("no check_op for ", name);
      CHECK(covered.count(name) == 1);
    }
  }

  TEST_CASE("the README names the functions without a gradient of their gradient") {
    const std::string text = read_file(SERENADE_SOURCE_DIR "/autograd/README.md");
    const std::string words = "have no gradient of their gradient: ";
    const std::size_t begin = text.find(words);
    REQUIRE(begin != std::string::npos);
    const std::set<std::string> named =
        matches(text.substr(begin, text.find('.', begin) - begin), "`([a-z_0-9]+)`");
    std::string refused, documented;
    for (const std::string& name : functions_of_first_order()) refused += "`" + name + "`, ";
    for (const std::string& name : named) documented += "`" + name + "`, ";
    CHECK(documented == refused);
  }

  TEST_CASE("functions.h names every function") {
    const std::string contents = read_file(kContents);
    const std::string results =
        "Variable|Tensor|TopK|Indices|std::vector<Variable>|LstmResult|RnnResult";
    for (const std::string& name : declared_functions(results)) {
      INFO("not named in autograd/functions.h: ", name);
      CHECK(std::regex_search(contents, std::regex("\\b" + name + "\\b")));
    }
  }
}
