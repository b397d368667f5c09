// The choice of the instruction set (kernels/runtime/cpu/isa.h).

#include "kernels/runtime/cpu/isa.h"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace serenade::cpu {

namespace {

constexpr Isa kWidestFirst[] = {Isa::avx512, Isa::avx2, Isa::baseline};

Isa isa_from_environment() {
  const char* wanted = std::getenv("SERENADE_ISA");
  if (wanted == nullptr || *wanted == '\0') {
    for (const Isa isa : kWidestFirst) {
      if (isa_supported(isa)) return isa;
    }
  }
  for (const Isa isa : kWidestFirst) {
    if (std::string(wanted) != to_string(isa)) continue;
    if (!isa_supported(isa)) {
      throw std::invalid_argument("SERENADE_ISA=" + std::string(wanted) +
                                  ": this processor does not have it; unset the variable to let "
                                  "the program choose");
    }
    return isa;
  }
  throw std::invalid_argument("SERENADE_ISA: must be avx512, avx2 or baseline; got " +
                              std::string(wanted));
}

Isa& chosen_isa() {
  static Isa isa = isa_from_environment();
  return isa;
}

}  // namespace

const char* to_string(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return "avx512";
    case Isa::avx2:
      return "avx2";
    case Isa::baseline:
      break;
  }
  return "baseline";
}

bool isa_supported(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("fma");
  }
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == Isa::baseline;
}

Isa active_isa() { return chosen_isa(); }

void set_active_isa(Isa isa) {
  if (!isa_supported(isa)) {
    throw std::invalid_argument(std::string(to_string(isa)) + ": this processor does not have it");
  }
  chosen_isa() = isa;
}

}  // namespace serenade::cpu
