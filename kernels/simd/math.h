#pragma once
// exp, sigmoid, tanh and the logarithm of a vector, for the sources of kernels/*/cpu/simd.
//
// exp is split as e^x = 2^k e^r, |r| <= ln 2 / 2 (Cody & Waite, Software Manual for the Elementary
// Functions, 1980, ch. 6), with Taylor's series for e^r: its first dropped term is below half a
// unit in the last place. Unlike std::exp there are no branches, so all lanes are worked on at
// once. A NaN stays a NaN. Errors (tests/kernels/simd_math.cpp): exp 2 units in the last place,
// sigmoid 4, tanh 5, the logarithm 2.

#include <cstdint>

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

namespace {

#ifdef SERENADE_DOUBLE
typedef std::uint64_t Bits;
constexpr int kMantissaBits = 52, kExponentBias = 1023, kSeriesTerms = 13;
constexpr real kLn2High = 6.93145751953125e-1, kLn2Low = 1.42860682030941723212e-6;
constexpr real kLowestExponent = -746, kHighestExponent = 710;  // e^x is 0, infinity beyond
constexpr real kNormalExponent = 700;                           // |x| up to which 2^k is normal
#else
typedef std::uint32_t Bits;
constexpr int kMantissaBits = 23, kExponentBias = 127, kSeriesTerms = 7;
constexpr real kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
constexpr real kLowestExponent = -104, kHighestExponent = 89;
constexpr real kNormalExponent = 87;
#endif
typedef Bits BitsVector __attribute__((vector_size(kVectorBytes)));

// Adding 1.5 * 2^mantissa rounds to an integer and leaves it in the lowest bits.
constexpr real kRounder = real(3) * real(Bits(1) << (kMantissaBits - 1));

// The sum of r^(i - n) / i! over i = n .. kSeriesTerms by Horner's rule; for n = 1, (e^r - 1) / r.
template <int n>
[[gnu::always_inline]] inline Vector exp_series(Vector r) {
  constexpr auto inverse_factorial = [] {
    double value = 1;
    for (int i = 2; i <= n; ++i) value /= i;
    return static_cast<real>(value);
  }();
  if constexpr (n == kSeriesTerms) {
    return Vector{} + inverse_factorial;
  } else {
    return inverse_factorial + r * exp_series<n + 1>(r);
  }
}

// e^x = 2^k (1 + part), lowest <= x <= highest; beyond, that of the bound.
struct SplitExp {
  BitsVector k;  ///< an integer, modulo the size of a word
  Vector part;
};

[[gnu::always_inline]] inline SplitExp split_exp(Vector x, real lowest, real highest) {
  x = x < lowest ? Vector{} + lowest : x;  // false for a NaN, which goes on
  x = x > highest ? Vector{} + highest : x;
  const Vector rounded = x * real(1.44269504088896340736) + kRounder;
  const Vector k = rounded - kRounder;
  const Vector r = (x - k * kLn2High) - k * kLn2Low;
  constexpr Bits zero = __builtin_bit_cast(Bits, kRounder);
  return {__builtin_bit_cast(BitsVector, rounded) - zero, r * exp_series<1>(r)};
}

// 2^(k - kExponentBias) for 0 < k <= 2 kExponentBias.
[[gnu::always_inline]] inline Vector power_of_two(BitsVector biased) {
  return __builtin_bit_cast(Vector, biased << kMantissaBits);
}

/// e^x: to the last denormal below, infinity above.
[[gnu::always_inline]] inline Vector exp_of(Vector x) {
  const SplitExp e = split_exp(x, kLowestExponent, kHighestExponent);
  const BitsVector k = e.k + Bits(2 * kExponentBias), half = k >> 1;  // 2^k may not be normal
  const Vector scale = power_of_two(half);
  return (scale + scale * e.part) * power_of_two(k - half);
}

/// 1 / (1 + e^-x); beyond |x| = kNormalExponent, that of the bound.
[[gnu::always_inline]] inline Vector sigmoid_of(Vector x) {
  const SplitExp e = split_exp(-x, -kNormalExponent, kNormalExponent);
  const Vector scale = power_of_two(e.k + Bits(kExponentBias));
  return 1 / ((1 + scale) + scale * e.part);
}

/// tanh x = m / (m + 2) with m = e^(2x) - 1, which loses no digits near 0. The bound keeps m
/// finite, and lies far beyond where tanh rounds to 1.
[[gnu::always_inline]] inline Vector tanh_of(Vector x) {
  const SplitExp e = split_exp(x + x, -kNormalExponent, kNormalExponent);
  const Vector scale = power_of_two(e.k + Bits(kExponentBias));
  const Vector m = scale * e.part + (scale - 1);
  return m / (m + 2);
}

#ifdef SERENADE_DOUBLE
typedef std::int64_t SignedBits;
constexpr Bits kRootHalf = 0x3fe6a09e667f3bcd;  // sqrt(1 / 2)
constexpr real kSmallestNormal = 0x1p-1022;
constexpr int kLogTerms = 10;  // next: 5e-18 of the sum
#else
typedef std::int32_t SignedBits;
constexpr Bits kRootHalf = 0x3f3504f3;
constexpr real kSmallestNormal = 0x1p-126f;
constexpr int kLogTerms = 4;  // next: 8e-9
#endif
typedef SignedBits SignedBitsVector __attribute__((vector_size(kVectorBytes)));

// The sum of 2 z^i / (2 i + 1) over i = n .. kLogTerms, divided by z^n.
template <int n>
[[gnu::always_inline]] inline Vector log_series(Vector z) {
  constexpr real term = real(2) / (2 * n + 1);
  if constexpr (n == kLogTerms) {
    return Vector{} + term;
  } else {
    return term + z * log_series<n + 1>(z);
  }
}

/// ln x: minus infinity at 0, a NaN below. With x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), and
/// s = f / (2 + f), ln(1 + f) = 2 artanh s = f - s (f - R), R = 2 s^2 / 3 + 2 s^4 / 5 + ..: f is
/// exact, and what is taken from it is small.
[[gnu::always_inline]] inline Vector log_of(Vector x) {
  constexpr real kLift = real(Bits(1) << (kMantissaBits + 2));  // makes the smallest number normal
  constexpr Bits kMantissa = (Bits(1) << kMantissaBits) - 1;
  const Vector normal = x < kSmallestNormal ? x * kLift : x;
  const auto bits = __builtin_bit_cast(BitsVector, normal) - kRootHalf;
  const auto exponent = __builtin_bit_cast(SignedBitsVector, bits) >> kMantissaBits;
  Vector k = __builtin_convertvector(exponent, Vector);
  k = x < kSmallestNormal ? k - real(kMantissaBits + 2) : k;
  const Vector f = __builtin_bit_cast(Vector, (bits & kMantissa) + kRootHalf) - 1;
  const Vector s = f / (2 + f), z = s * s;
  const Vector y = k * kLn2High + (f - (s * (f - z * log_series<1>(z)) - k * kLn2Low));
  const Vector infinity = Vector{} + __builtin_inff();
  const Vector below = x < 0 ? infinity - infinity : -infinity;
  return x > 0 ? (x == infinity ? x : y) : (x <= 0 ? below : x);
}

/// The first `count` < kLanes elements at p, the other lanes 0; nothing else is read.
[[gnu::always_inline]] inline Vector load_part(const real* p, std::int64_t count) {
  real lanes[kLanes] = {};
  for (std::int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load(lanes);
}
/// Writes the first `count` < kLanes lanes to p, and nothing else.
[[gnu::always_inline]] inline void store_part(real* p, Vector v, std::int64_t count) {
  real lanes[kLanes];
  store(lanes, v);
  for (std::int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}

}  // namespace
}  // namespace serenade::cpu::SERENADE_ISA
