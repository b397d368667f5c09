#pragma once
// Which instruction set the SIMD kernels use. Every source in kernels/*/cpu/simd is compiled once
// per set into namespace serenade::cpu::<set>; a kernel family asks active_isa() for the copy to
// call.
//
// The choice is made once, at the first use: the widest set that this processor has, or the one
// named by the environment variable SERENADE_ISA (avx512, avx2 or baseline).

namespace serenade::cpu {

enum class Isa { baseline, avx2, avx512 };

/// "baseline", "avx2" or "avx512".
const char* to_string(Isa isa);

/// True if this processor can run it and this build has it.
bool isa_supported(Isa isa);

/// The set in use. Throws std::invalid_argument if SERENADE_ISA names a set that does not exist or
/// that this processor lacks.
Isa active_isa();

/// Changes the set in use; for tests and benchmarks, while no kernel runs. Throws
/// std::invalid_argument if it is not supported.
void set_active_isa(Isa isa);

}  // namespace serenade::cpu

// CHOOSE_SIMD_TABLE(Table, name) defines `const Table& name()`, the table of the set in use: each
// copy of the family's source in cpu/simd defines a `const Table name` in its namespace.
// Stands in namespace serenade::cpu.
#if defined(__x86_64__)
#define CHOOSE_SIMD_TABLE(Table, name)                    \
  namespace baseline {                                    \
  extern const Table name;                                \
  }                                                       \
  namespace avx2 {                                        \
  extern const Table name;                                \
  }                                                       \
  namespace avx512 {                                      \
  extern const Table name;                                \
  }                                                       \
  const Table& name() {                                   \
    if (active_isa() == Isa::avx512) return avx512::name; \
    if (active_isa() == Isa::avx2) return avx2::name;     \
    return baseline::name;                                \
  }                                                       \
  static_assert(true, "ask for a semicolon")
#else
#define CHOOSE_SIMD_TABLE(Table, name)           \
  namespace baseline {                           \
  extern const Table name;                       \
  }                                              \
  const Table& name() { return baseline::name; } \
  static_assert(true, "ask for a semicolon")
#endif
