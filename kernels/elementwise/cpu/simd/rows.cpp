// Rows to one number (what it is: kernels/elementwise/cpu/rows_simd.h).
//
// Term i goes to the partial sum i % kPartialSums, whatever the width of a vector, and partial sums
// half of them apart are added, then a quarter, .. So every instruction set rounds alike.
//
// Compiled once per instruction set (vector.h).

#include "kernels/elementwise/cpu/rows_simd.h"

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const RowsSimd rows_simd;

namespace {

constexpr int kPartialSums = 16;
constexpr int kDoubles = kVectorBytes / static_cast<int>(sizeof(double));  // of a vector
constexpr int kVectors = kPartialSums / kDoubles;

typedef double Doubles __attribute__((vector_size(kVectorBytes)));

// term(i) is term i of the sum.
template <class Term>
[[gnu::always_inline]] inline double add_up(std::int64_t count, const Term& term) {
  Doubles sums[kVectors] = {};
  std::int64_t i = 0;
  for (; i + kPartialSums <= count; i += kPartialSums) {
    unroll<kVectors>([&](auto v) {
      double terms[kDoubles];  // GCC converts the vector of a whole array, not a vector of float
      for (int lane = 0; lane < kDoubles; ++lane) terms[lane] = term(i + v.value * kDoubles + lane);
      sums[v.value] += __builtin_bit_cast(Doubles, terms);
    });
  }
  double partial[kPartialSums];
  for (int s = 0; s < kPartialSums; ++s) partial[s] = sums[s / kDoubles][s % kDoubles];
  for (int s = 0; i < count; ++i, ++s) partial[s] += term(i);
  for (int half = kPartialSums / 2; half > 0; half /= 2) {
    for (int s = 0; s < half; ++s) partial[s] += partial[s + half];
  }
  return partial[0];
}

double sum(const real* x, std::int64_t count) {
  return add_up(count, [=](std::int64_t i) { return static_cast<double>(x[i]); });
}

double sum_of_products(const real* a, const real* b, std::int64_t count) {
  return add_up(count, [=](std::int64_t i) {
    const real product = a[i] * b[i];
    return static_cast<double>(product);
  });
}

// The second test lets a NaN in; once there, no comparison replaces it.
[[gnu::always_inline]] inline Vector larger(Vector best, Vector x) {
  return ((x > best) | (x != x)) ? x : best;
}

real largest(const real* x, std::int64_t count) {
  constexpr int kMaxima = 4;  // vectors of them, none of which waits for another
  Vector best[kMaxima];
  for (Vector& b : best) b = x[0] - Vector{};
  std::int64_t i = 0;
  for (; i + kMaxima * kLanes <= count; i += kMaxima * kLanes) {
    unroll<kMaxima>(
        [&](auto k) { best[k.value] = larger(best[k.value], load(x + i + k.value * kLanes)); });
  }
  for (; i + kLanes <= count; i += kLanes) best[0] = larger(best[0], load(x + i));
  for (; i < count; ++i) best[0] = larger(best[0], x[i] - Vector{});
  for (int k = 1; k < kMaxima; ++k) best[0] = larger(best[0], best[k]);
  return reduce_lanes(best[0], larger)[0];
}

}  // namespace

const RowsSimd rows_simd = {sum, sum_of_products, largest};

}  // namespace serenade::cpu::SERENADE_ISA
