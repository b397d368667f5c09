#pragma once
// Which instruction set the SIMD kernels use. Every source in kernels/cpu/simd is compiled once per
// set into namespace serenade::cpu::<set>; a kernel family asks active_isa() for the copy to call.
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
