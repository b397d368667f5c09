// Inner loops of the GRU's recurrence (what they compute: kernels/cpu/gru_simd.h).
//
// Compiled once per instruction set (vector.h).
//
// exp is split as e^x = 2^k e^r, |r| <= ln 2 / 2 (Cody & Waite, Software Manual for the Elementary
// Functions, 1980, ch. 6), with Taylor's series for e^r: its first dropped term is below half a
// unit in the last place. Unlike std::exp it has no branches, so the compiler vectorises the loops.

#include "kernels/cpu/gru_simd.h"
#include "kernels/cpu/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const GruSimd gru_simd;

namespace {

constexpr int kTileVectors = 2;  // 4 rows x 2 vectors of sums fit the 16 registers of any set
static_assert(kGruColumns % (kTileVectors * kLanes) == 0, "a panel is whole tiles");

// rows x kTileVectors vectors of sums stay in registers while the depth is walked.
template <int rows>
void multiply_add_tile(real* out, std::int64_t out_stride, const real* a, std::int64_t a_stride,
                       const real* panel, std::int64_t depth) {
  Vector sum[rows][kTileVectors];
  unroll<rows>([&](auto r) {
    unroll<kTileVectors>([&](auto v) {
      sum[r.value][v.value] = load(out + r.value * out_stride + v.value * kLanes);
    });
  });
  for (std::int64_t i = 0; i < depth; ++i, panel += kGruColumns) {
    Vector weight[kTileVectors];
    unroll<kTileVectors>([&](auto v) { weight[v.value] = load(panel + v.value * kLanes); });
    unroll<rows>([&](auto r) {
      const Vector factor = Vector{} + a[r.value * a_stride + i];
      unroll<kTileVectors>([&](auto v) { sum[r.value][v.value] += factor * weight[v.value]; });
    });
  }
  unroll<rows>([&](auto r) {
    unroll<kTileVectors>([&](auto v) {
      store(out + r.value * out_stride + v.value * kLanes, sum[r.value][v.value]);
    });
  });
}

template <int rows>
void multiply_add_rows(real* out, std::int64_t out_stride, const real* a, std::int64_t a_stride,
                       const real* panels, std::int64_t depth, std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; j += kTileVectors * kLanes) {
    const real* panel = panels + j / kGruColumns * depth * kGruColumns + j % kGruColumns;
    multiply_add_tile<rows>(out + j, out_stride, a, a_stride, panel, depth);
  }
}

void multiply_add(real* out, std::int64_t out_stride, const real* a, std::int64_t a_stride,
                  const real* panels, std::int64_t depth, std::int64_t columns, std::int64_t rows) {
  static_assert(kGruRows == 4, "one case per number of rows");
  switch (rows) {
    case 1:
      return multiply_add_rows<1>(out, out_stride, a, a_stride, panels, depth, columns);
    case 2:
      return multiply_add_rows<2>(out, out_stride, a, a_stride, panels, depth, columns);
    case 3:
      return multiply_add_rows<3>(out, out_stride, a, a_stride, panels, depth, columns);
    default:
      return multiply_add_rows<4>(out, out_stride, a, a_stride, panels, depth, columns);
  }
}

#ifdef SERENADE_DOUBLE
typedef std::uint64_t Bits;
constexpr int kMantissaBits = 52, kTerms = 13;
constexpr real kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
constexpr real kLargestExponent = 700;
#else
typedef std::uint32_t Bits;
constexpr int kMantissaBits = 23, kTerms = 7;
constexpr real kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
constexpr real kLargestExponent = 87;
#endif
// Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the lowest bits.
constexpr real kRounder = real(3) * real(Bits(1) << (kMantissaBits - 1));

// The sum of r^(i - n) / i! over i = n .. kTerms by Horner's rule; for n = 1, (e^r - 1) / r.
template <int n>
[[gnu::always_inline]] inline real series(real r) {
  if constexpr (n > kTerms) {
    return 0;
  } else {
    constexpr auto inverse_factorial = [] {
      double value = 1;
      for (int i = 2; i <= n; ++i) value /= i;
      return static_cast<real>(value);
    }();
    return inverse_factorial + r * series<n + 1>(r);
  }
}

struct SplitExp {
  real scale;  ///< 2^k
  real part;   ///< e^r - 1
};

// e^x = scale * (1 + part), for |x| <= kLargestExponent; beyond, that of the bound; NaN stays NaN.
[[gnu::always_inline]] inline SplitExp split_exp(real x) {
  x = x < -kLargestExponent ? -kLargestExponent : x;
  x = x > kLargestExponent ? kLargestExponent : x;
  const real rounded = x * real(1.44269504088896340736) + kRounder;
  const real k = rounded - kRounder;
  const real r = (x - k * kLn2High) - k * kLn2Low;
  const Bits one = __builtin_bit_cast(Bits, real(1));
  const Bits scale = (__builtin_bit_cast(Bits, rounded) << kMantissaBits) + one;
  return {__builtin_bit_cast(real, scale), r * series<1>(r)};
}

[[gnu::always_inline]] inline real sigmoid(real x) {
  const SplitExp e = split_exp(-x);
  return 1 / (1 + (e.scale + e.scale * e.part));
}

// tanh x = m / (m + 2) with m = e^(2x) - 1, which loses no digits near 0. The bound of split_exp
// keeps m finite, and lies far beyond where tanh rounds to 1.
[[gnu::always_inline]] inline real tanh_of(real x) {
  const SplitExp e = split_exp(2 * x);
  const real m = e.scale * e.part + (e.scale - 1);
  return m / (m + 2);
}

void gates(real* __restrict gate, const real* __restrict recurrent, std::int64_t H) {
  for (std::int64_t j = 0; j < 2 * H; ++j) gate[j] = sigmoid(gate[j] + recurrent[j]);
}

void reset_state(real* __restrict m, const real* __restrict r, const real* __restrict h,
                 std::int64_t H) {
  for (std::int64_t j = 0; j < H; ++j) m[j] = r[j] * h[j];
}

void candidate_after(real* __restrict gates, real* __restrict h, const real* __restrict bias,
                     const real* __restrict product, std::int64_t H) {
  const real *r = gates, *z = gates + H;
  real *n = gates + 2 * H, *m = gates + 3 * H;
#pragma GCC ivdep  // the four parts of `gates` do not overlap
  for (std::int64_t j = 0; j < H; ++j) {
    const real candidate = tanh_of(n[j] + bias[j] + r[j] * product[j]);
    m[j] = product[j];
    n[j] = candidate;
    h[j] = (1 - z[j]) * candidate + z[j] * h[j];
  }
}

void candidate_before(real* __restrict gates, real* __restrict h, const real* __restrict bias,
                      const real* __restrict product, std::int64_t H) {
  const real* z = gates + H;
  real* n = gates + 2 * H;
#pragma GCC ivdep  // the four parts of `gates` do not overlap
  for (std::int64_t j = 0; j < H; ++j) {
    const real candidate = tanh_of(n[j] + bias[j] + product[j]);
    n[j] = candidate;
    h[j] = (1 - z[j]) * candidate + z[j] * h[j];
  }
}

}  // namespace

const GruSimd gru_simd = {multiply_add, gates, reset_state, candidate_after, candidate_before};

}  // namespace serenade::cpu::SERENADE_ISA
