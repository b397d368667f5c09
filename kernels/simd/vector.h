#pragma once
// Vectors of the native width, for the sources of kernels/*/cpu/simd.
//
// Each of them is compiled once per instruction set with SERENADE_ISA set to its name. Everything
// here stands in an unnamed namespace within the namespace of that copy: an inline function that
// the copies shared would be merged by the linker into one, perhaps the one with instructions that
// the processor lacks. For the same reason these sources use nothing of other headers but
// declarations and constants.

#include <utility>

#include "kernels/runtime/real.h"

namespace serenade::cpu::SERENADE_ISA {

namespace {

// GCC splits vectors wider than the native ones through memory, which is seven times slower.
#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(real));

typedef real Vector __attribute__((vector_size(kVectorBytes), may_alias));
typedef real UnalignedVector
    __attribute__((vector_size(kVectorBytes), may_alias, aligned(sizeof(real))));

template <int i>
struct Constant {
  static constexpr int value = i;
};

// Calls f(Constant<0>), .., f(Constant<count - 1>). Accumulators must be indexed by compile-time
// constants, or the compiler keeps them in memory.
template <int count, class F>
[[gnu::always_inline]] inline void unroll(const F& f) {
  if constexpr (count > 0) {
    unroll<count - 1>(f);
    f(Constant<count - 1>{});
  }
}

[[gnu::always_inline]] inline Vector load(const real* p) {
  return *reinterpret_cast<const UnalignedVector*>(p);
}
[[gnu::always_inline]] inline void store(real* p, Vector v) {
  *reinterpret_cast<UnalignedVector*>(p) = v;
}

template <class Pick, int... lane>
[[gnu::always_inline]] inline Vector shuffle(Vector a, Vector b, const Pick&,
                                             std::integer_sequence<int, lane...>) {
  return __builtin_shufflevector(a, b, Pick{}(lane)...);
}
// Lane i of the result is lane pick(i) of the lanes of a followed by those of b. `pick` is a lambda
// that captures nothing.
template <class Pick>
[[gnu::always_inline]] inline Vector shuffle(Vector a, Vector b, const Pick& pick) {
  return shuffle(a, b, pick, std::make_integer_sequence<int, kLanes>{});
}

// Every lane of the result is op of all lanes of v: those half a vector apart, then a quarter, ...
template <int distance = kLanes / 2, class Op>
[[gnu::always_inline]] inline Vector reduce_lanes(Vector v, const Op& op) {
  if constexpr (distance == 0) {
    return v;
  } else {
    const Vector exchanged = shuffle(v, v, [](int lane) { return lane ^ distance; });
    return reduce_lanes<distance / 2>(op(v, exchanged), op);
  }
}

// rows[i][j] becomes rows[j][i], for kLanes rows: 2 x 2 blocks of step x step at a time.
template <int step = 1>
[[gnu::always_inline]] inline void transpose(Vector* rows) {
  if constexpr (step < kLanes) {
    unroll<kLanes / 2>([&](auto q) {
      constexpr int i = q.value / step * 2 * step + q.value % step;
      const Vector upper = rows[i], lower = rows[i + step];
      rows[i] = shuffle(upper, lower, [](int lane) {
        return lane / step % 2 == 0 ? lane : kLanes + lane - step;
      });
      rows[i + step] = shuffle(upper, lower, [](int lane) {
        return lane / step % 2 == 0 ? lane + step : kLanes + lane;
      });
    });
    transpose<2 * step>(rows);
  }
}

}  // namespace
}  // namespace serenade::cpu::SERENADE_ISA
