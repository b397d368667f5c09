#pragma once
// A loop over elements, a lane each, for the sources of kernels/*/cpu/simd.

#include <cstdint>

#include "kernels/simd/math.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

namespace {

// kLanes elements from `first` on, or the `count` that are left.
struct WholeVector {
  std::int64_t first;
  Vector operator[](const real* p) const { return load(p + first); }
  void put(real* p, Vector v) const { store(p + first, v); }
};
struct PartVector {
  std::int64_t first, count;
  Vector operator[](const real* p) const { return load_part(p + first, count); }
  void put(real* p, Vector v) const { store_part(p + first, v, count); }
};

// Calls body for all of `size` elements. A body reads `at[p]` and writes `at.put(p, v)`.
template <class Body>
[[gnu::always_inline]] inline void for_elements(std::int64_t size, const Body& body) {
  std::int64_t j = 0;
  for (; j + kLanes <= size; j += kLanes) body(WholeVector{j});
  if (j < size) body(PartVector{j, size - j});
}

}  // namespace
}  // namespace serenade::cpu::SERENADE_ISA
