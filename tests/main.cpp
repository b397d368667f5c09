// The test program's main: runs doctest, then makes sure that every golden file was used.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>

#include "tests/golden.h"

int main(int argc, char** argv) {
  doctest::Context context;
  context.setOption("order-by", "suite");  // suites named "zz ..." look back at the others
  context.applyCommandLine(argc, argv);
  const int failed = context.run();
  if (context.shouldExit() || failed != 0) return failed;
  // With a filter only some tests run, and not using a file says nothing.
  const bool filtered = argc > 1;
  return filtered ? 0 : serenade::report_unused_golden_files(std::cerr);
}
