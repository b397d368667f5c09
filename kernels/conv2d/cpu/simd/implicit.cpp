// Inner loops of the implicit matrix product (what they compute:
// kernels/conv2d/cpu/implicit_simd.h). Runs are often shorter than a vector; whole vectors are
// moved all the same, and what is too much is overwritten by the run after it, or added as zeros.

#include "kernels/conv2d/cpu/implicit_simd.h"

#include <cstdint>
#include <type_traits>

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const ImplicitSimd implicit_simd;

namespace {

using Bits = std::conditional_t<sizeof(real) == 4, std::int32_t, std::int64_t>;
typedef Bits Mask __attribute__((vector_size(kVectorBytes), may_alias));

void pack_runs(real* panel, std::int64_t width, const real* window, const std::int64_t* offsets,
               std::int64_t depth, const Run* runs, std::int64_t count) {
  for (std::int64_t d = 0; d < depth; ++d, panel += width) {
    const real* source = window + offsets[d];
    for (std::int64_t r = 0; r < count; ++r) {
      const real* from = source + runs[r].from;
      real* to = panel + runs[r].column;
      for (std::int64_t i = 0; i < runs[r].length; i += kLanes) store(to + i, load(from + i));
    }
  }
}

// The first `count` lanes of v, and zeros.
[[gnu::always_inline]] inline Vector first_lanes(Vector v, std::int64_t count) {
  Mask lane;
  unroll<kLanes>([&](auto i) { lane[i.value] = i.value; });
  const Mask kept = lane < Mask{} + static_cast<Bits>(count);
  return reinterpret_cast<Vector>(reinterpret_cast<Mask>(v) & kept);
}

void add_runs(real* window, const real* tile, const Run* runs, std::int64_t count) {
  for (std::int64_t r = 0; r < count; ++r) {
    real* to = window + runs[r].from;
    const real* from = tile + runs[r].column;
    const std::int64_t length = runs[r].length;
    std::int64_t i = 0;
    for (; i + kLanes <= length; i += kLanes) store(to + i, load(to + i) + load(from + i));
    if (i < length) store(to + i, load(to + i) + first_lanes(load(from + i), length - i));
  }
}

}  // namespace

const ImplicitSimd implicit_simd = {kLanes, pack_runs, add_runs};

}  // namespace serenade::cpu::SERENADE_ISA
