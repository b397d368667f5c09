// The test program's main: runs doctest, then makes sure that every golden file was used. With
// SERENADE_ISA naming a set that the processor lacks, or without the GPU that the program is for,
// it says so and ends with the exit code that ctest counts as skipped.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <iostream>
#include <stdexcept>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cuda_device.h"
#include "tests/golden.h"

constexpr int kSkipped = 77;  // SKIP_RETURN_CODE of CMakeLists.txt

int main(int argc, char** argv) {
  try {
    serenade::cpu::active_isa();
  } catch (const std::invalid_argument& error) {
    std::cerr << "skipped: " << error.what() << "\n";
    return kSkipped;
  }
#ifdef SERENADE_NEEDS_GPU
  if (!serenade::cuda_device().usable) {
    std::cerr << "skipped: " << serenade::cuda_device().reason << "\n";
    return kSkipped;
  }
#endif
  doctest::Context context;
  context.setOption("order-by", "suite");  // suites named "zz ..." look back at the others
  context.applyCommandLine(argc, argv);
  const int failed = context.run();
  if (context.shouldExit() || failed != 0) return failed;
  // With a filter only some tests run, and not using a file says nothing.
  const bool filtered = argc > 1;
  return filtered ? 0 : serenade::report_unused_golden_files(std::cerr);
}
