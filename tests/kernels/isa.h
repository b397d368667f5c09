#pragma once
// Runs a kernel's test on every instruction set that this processor has.

#include <doctest/doctest.h>

#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/threads.h"

namespace serenade {

/// Puts the instruction set and the number of threads back when it goes out of scope.
struct Restore {
  cpu::Isa isa = cpu::active_isa();
  int threads = cpu::thread_count();
  ~Restore() {
    cpu::set_active_isa(isa);
    cpu::set_threads(threads);
  }
};

/// Calls body() with each instruction set in use; body may change the number of threads.
template <class Body>
void for_each_isa(const Body& body) {
  const Restore restore;
  for (const cpu::Isa isa : {cpu::Isa::baseline, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_supported(isa)) continue;
    INFO("instruction set ", cpu::to_string(isa));
    cpu::set_active_isa(isa);
    body();
  }
}

}  // namespace serenade
