#pragma once
// exp, logarithms, sigmoid, tanh, the error function and the normal distribution of a vector, for
// the sources of kernels/*/cpu/simd.
//
// exp is split as e^x = 2^k e^r, |r| <= ln 2 / 2 (Cody & Waite, Software Manual for the Elementary
// Functions, 1980, ch. 6), with Taylor's series for e^r: its first dropped term is below half a
// unit in the last place. Unlike std::exp there are no branches, so all lanes are worked on at
// once. A NaN stays a NaN. Errors in units in the last place (tests/kernels/simd_math.cpp): exp 2,
// sigmoid 4, tanh 5, the logarithm 2, expm1 3, log1p 3, erf 3, the normal distribution 10.

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
constexpr int kErfTerms = 15;                                   // next: 3e-19
#else
typedef std::uint32_t Bits;
constexpr int kMantissaBits = 23, kExponentBias = 127, kSeriesTerms = 7;
constexpr real kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
constexpr real kLowestExponent = -104, kHighestExponent = 89;
constexpr real kNormalExponent = 87;
constexpr int kErfTerms = 8;  // next: 1e-9
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

/// e^x - 1, which loses no digits near 0; beyond |x| = kNormalExponent, that of the bound.
[[gnu::always_inline]] inline Vector expm1_of(Vector x) {
  const SplitExp e = split_exp(x, -kNormalExponent, kNormalExponent);
  const Vector scale = power_of_two(e.k + Bits(kExponentBias));
  return scale * e.part + (scale - 1);
}

/// ln(1 + x) of a finite x > -1, which loses no digits near 0: what rounding took from 1 + x is
/// given back.
[[gnu::always_inline]] inline Vector log1p_of(Vector x) {
  const Vector y = 1 + x;
  return log_of(y) + (x - (y - 1)) / y;
}

[[gnu::always_inline]] inline Vector abs_of(Vector x) {
  constexpr Bits sign = Bits(1) << (8 * sizeof(Bits) - 1);
  return __builtin_bit_cast(Vector, __builtin_bit_cast(BitsVector, x) & ~sign);
}

/// e^(factor x^2), factor -1 or -1/2. An error of x^2 would count as often as x^2 is large, so x is
/// cut into s, whose square is exact, and the rest.
[[gnu::always_inline]] inline Vector exp_of_square(Vector x, real factor) {
  constexpr real kFarthest = 40;  // e^(-40^2 / 2) is 0
  constexpr Bits kLowerHalf = (Bits(1) << (kMantissaBits + 2) / 2) - 1;
  x = abs_of(x);
  x = x > kFarthest ? Vector{} + kFarthest : x;
  const Vector s = __builtin_bit_cast(Vector, __builtin_bit_cast(BitsVector, x) & ~kLowerHalf);
  const Vector rest = factor * ((x - s) * (x + s)), e = exp_of(factor * (s * s));
  return e + e * (rest * exp_series<1>(rest));
}

// The coefficients of P(q) = erfc(t) e^(t^2) / q with q = 1 / (1 + 0.3 t), 0 <= t: the polynomial
// through its values at the zeros of Chebyshev's, worked out in 40 digits. With so many terms it is
// as good as its evaluation: 3e-8 of the value in float, 6e-18 in double.
#ifdef SERENADE_DOUBLE
constexpr real kErfcTerms[] = {
    0.16925687506810084,  0.16925687479172616,   0.16164032482805649,  0.14640700751255363,
    0.12458847720323776,  0.098203554444374851,  0.070436132444880022, 0.042167824114231636,
    0.029322599024784141, -0.026471516088078013, 0.10707368528982968,  -0.31266016948763863,
    0.70079288575872689,  -1.3277037317128178,   2.0372347631770532,   -2.5207176634052914,
    2.4856197428712205,   -1.9005813183523595,   1.0908754415294788,   -0.45222294806536903,
    0.12777505976022643,  -0.02205132476167638,  0.0017574240547497231};
#else
constexpr real kErfcTerms[] = {0.169172781f,  0.170955771f,  0.146737549f,
                               0.220801936f,  -0.107663993f, 0.565572838f,
                               -0.527127987f, 0.492426395f,  -0.130875313f};
#endif

/// erfc(t) e^(t^2), t >= 0.
[[gnu::always_inline]] inline Vector scaled_erfc_of(Vector t) {
  constexpr int kLast = sizeof kErfcTerms / sizeof(real) - 1;
  const Vector q = 1 / (1 + real(0.3) * t);
  Vector sum = Vector{} + kErfcTerms[kLast];
  unroll<kLast>([&](auto i) { sum = sum * q + kErfcTerms[kLast - 1 - i.value]; });
  return sum * q;
}

// The sum of 2 / sqrt(pi) (-z)^i / (i! (2 i + 1)) over i = n .. kErfTerms, divided by z^n.
template <int n>
[[gnu::always_inline]] inline Vector erf_series(Vector z) {
  constexpr real term = [] {
    double value = 1.12837916709551257;  // 2 / sqrt(pi)
    for (int i = 1; i <= n; ++i) value /= -i;
    return static_cast<real>(value / (2 * n + 1));
  }();
  if constexpr (n == kErfTerms) {
    return Vector{} + term;
  } else {
    return term + z * erf_series<n + 1>(z);
  }
}

/// 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x: a series near 0, 1 - erfc beyond.
[[gnu::always_inline]] inline Vector erf_of(Vector x) {
  const Vector t = abs_of(x), far = 1 - scaled_erfc_of(t) * exp_of_square(x, -1);
  return t < real(0.75) ? x * erf_series<0>(x * x) : (x < 0 ? -far : far);
}

/// The standard normal distribution, erfc(-x / sqrt 2) / 2, to the last digits of its tail.
[[gnu::always_inline]] inline Vector phi_of(Vector x) {
  const Vector t = abs_of(x) * real(0.70710678118654752);
  const Vector tail = scaled_erfc_of(t) * exp_of_square(x, real(-0.5)) / 2;
  return x < 0 ? tail : 1 - tail;
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
