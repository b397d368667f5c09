// The inner loops of depthwise convolution (what they compute:
// kernels/depthwise/cpu/depthwise_simd.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/depthwise/cpu/depthwise_simd.h"
#include "kernels/simd/math.h"

namespace serenade::cpu::SERENADE_ISA {

extern const DepthwiseSimd depthwise_simd;

namespace {

struct Taps {
  const std::int64_t* offsets;
  const real* weights;
  std::int64_t count;
};

[[gnu::always_inline]] inline Vector load_some(const real* p, std::int64_t count) {
  return count == kLanes ? load(p) : load_part(p, count);
}

[[gnu::always_inline]] inline void store_some(real* p, Vector v, std::int64_t count) {
  if (count == kLanes) return store(p, v);
  store_part(p, v, count);
}

// One tile of kRows x kVectors vectors, whose sums stay in registers. Of the last vector of each
// row, `last` lanes are stored.
template <int kRows, int kVectors>
[[gnu::always_inline]] inline void tile(real* y, std::int64_t columns, const real* plane,
                                        std::int64_t row_step, const Taps& taps, real start,
                                        bool add, std::int64_t last) {
  Vector sums[kRows * kVectors];
  unroll<kRows * kVectors>([&](auto k) { sums[k.value] = Vector{} + (add ? real(0) : start); });
  for (std::int64_t t = 0; t < taps.count; ++t) {
    const Vector weight = Vector{} + taps.weights[t];
    const real* at = plane + taps.offsets[t];
    unroll<kRows * kVectors>([&](auto k) {
      constexpr int row = k.value / kVectors, column = k.value % kVectors * kLanes;
      sums[k.value] += weight * load(at + row * row_step + column);
    });
  }
  unroll<kRows * kVectors>([&](auto k) {
    constexpr int row = k.value / kVectors, vector = k.value % kVectors;
    real* to = y + row * columns + vector * kLanes;
    const std::int64_t count = vector + 1 == kVectors ? last : kLanes;
    store_some(to, add ? load_some(to, count) + sums[k.value] : sums[k.value], count);
  });
}

// All rows of kVectors vectors of columns.
template <int kVectors>
void strip(real* y, std::int64_t rows, std::int64_t columns, const real* plane,
           std::int64_t row_step, const Taps& taps, real start, bool add, std::int64_t last) {
  constexpr int kRows = kVectors >= 4 ? 2 : 8 / kVectors;  // eight sums wait for none of their own
  std::int64_t i = 0;
  for (; i + kRows <= rows; i += kRows) {
    tile<kRows, kVectors>(y + i * columns, columns, plane + i * row_step, row_step, taps, start,
                          add, last);
  }
  for (; i < rows; ++i) {
    tile<1, kVectors>(y + i * columns, columns, plane + i * row_step, row_step, taps, start, add,
                      last);
  }
}

void correlate(real* y, std::int64_t rows, std::int64_t columns, const real* plane,
               std::int64_t row_step, const std::int64_t* offsets, const real* weights,
               std::int64_t count, real start, bool add) {
  const Taps taps = {offsets, weights, count};
  for (std::int64_t j = 0; j < columns;) {
    const std::int64_t left = columns - j;
    const auto last = [&](std::int64_t vectors) {
      const std::int64_t rest = left - (vectors - 1) * kLanes;
      return rest < kLanes ? rest : kLanes;
    };
    if (left > 3 * kLanes) {
      strip<4>(y + j, rows, columns, plane + j, row_step, taps, start, add, last(4));
      j += 4 * kLanes;
    } else if (left > kLanes) {
      strip<2>(y + j, rows, columns, plane + j, row_step, taps, start, add, last(2));
      j += 2 * kLanes;
    } else {
      strip<1>(y + j, rows, columns, plane + j, row_step, taps, start, add, last(1));
      j += kLanes;
    }
  }
}

// kTaps taps at once: one load of dy for all of them. Beyond a row the plane holds other pixels,
// which may be infinite: they are left out, not multiplied by 0.
template <int kTaps>
void sums_of(double* result, const real* dy, std::int64_t rows, std::int64_t columns,
             const real* plane, std::int64_t row_step, const std::int64_t* offsets) {
  Vector sums[kTaps] = {}, lane_numbers;
  for (int lane = 0; lane < kLanes; ++lane) lane_numbers[lane] = static_cast<real>(lane);
  const std::int64_t whole = columns / kLanes * kLanes, rest = columns - whole;
  const Vector end = Vector{} + static_cast<real>(rest);
  for (std::int64_t i = 0; i < rows; ++i) {
    const real* line = plane + i * row_step;
    for (std::int64_t j = 0; j < whole; j += kLanes) {
      const Vector d = load(dy + i * columns + j);
      unroll<kTaps>([&](auto t) { sums[t.value] += d * load(line + offsets[t.value] + j); });
    }
    if (rest == 0) continue;
    const Vector d = load_part(dy + i * columns + whole, rest);
    unroll<kTaps>([&](auto t) {
      const Vector x = load(line + offsets[t.value] + whole);
      sums[t.value] += d * (lane_numbers < end ? x : Vector{});
    });
  }
  const auto plus = [](Vector a, Vector b) { return a + b; };
  unroll<kTaps>([&](auto t) {
    result[t.value] += static_cast<double>(reduce_lanes(sums[t.value], plus)[0]);
  });
}

void tap_sums(double* sums, const real* dy, std::int64_t rows, std::int64_t columns,
              const real* plane, std::int64_t row_step, const std::int64_t* offsets,
              std::int64_t taps) {
  std::int64_t t = 0;
  for (; t + 9 <= taps; t += 9) {
    sums_of<9>(sums + t, dy, rows, columns, plane, row_step, offsets + t);
  }
  for (; t + 4 <= taps; t += 4) {
    sums_of<4>(sums + t, dy, rows, columns, plane, row_step, offsets + t);
  }
  for (; t < taps; ++t) sums_of<1>(sums + t, dy, rows, columns, plane, row_step, offsets + t);
}

}  // namespace

const DepthwiseSimd depthwise_simd = {kLanes, correlate, tap_sums};

}  // namespace serenade::cpu::SERENADE_ISA
