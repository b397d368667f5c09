// A meta-test: every function declared in autograd/functions.h must have been through check_op.

#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "tensor/files.h"
#include "tests/op_case.h"

using namespace serenade;

// Doctest runs cases in the order of files; the "zz" suite name sorts this one to the end (see
// tests/main.cpp, which orders by suite).
TEST_SUITE("zz coverage") {
  TEST_CASE("every function of functions.h has a gradient check") {
    const std::string header = read_file(SERENADE_SOURCE_DIR "/autograd/functions.h");
    const std::regex declaration(R"(^Variable ([a-z_0-9]+)\()", std::regex::multiline);
    std::set<std::string> declared;
    for (std::sregex_iterator match(header.begin(), header.end(), declaration), end; match != end;
         ++match) {
      declared.insert((*match)[1]);
    }
    CHECK(declared.size() > 40);
    const std::vector<std::string> names = covered_functions();
    const std::set<std::string> covered(names.begin(), names.end());
    for (const std::string& name : declared) {
      INFO("no check_op for ", name);
      CHECK(covered.count(name) == 1);
    }
  }
}
