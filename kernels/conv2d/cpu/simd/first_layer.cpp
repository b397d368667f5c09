// Inner loops of the convolution of a first layer (what they compute:
// kernels/conv2d/cpu/first_layer.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/conv2d/cpu/first_layer.h"

#include "kernels/conv2d/conv2d.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const FirstLayerSimd first_layer_simd;

namespace {

// Three products per channel and vector of columns. AVX-512 multiplies with a value straight from
// memory, two per cycle; elsewhere a loaded weight has to serve two vectors, or loads would limit.
#if defined(__AVX512F__)
constexpr int kChannels = 8;  // 3 x 8 x 1 accumulators of 32 registers
constexpr int kColumns = 1;
#else
constexpr int kChannels = 2;  // 3 x 2 x 2 of 16
constexpr int kColumns = 2;
#endif

#ifdef SERENADE_DOUBLE
typedef std::int64_t Integer;
#else
typedef std::int32_t Integer;
#endif
typedef Integer Mask __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes), may_alias, aligned(1)));

// (x - 0 is x, so the subtraction costs nothing; -0 + 0 is not -0, so an addition would.)
[[gnu::always_inline]] inline Vector broadcast(real x) { return x - Vector{}; }

// Lines -------------------------------------------------------------------------------------------

// One line from rows `from` - `less` (or `from` alone) of `count` columns, every `step`th of them.
template <int step, bool subtract>
void make_line(real* __restrict to, const real* __restrict from, const real* __restrict less,
               std::int64_t count) {
  for (std::int64_t j = 0; j < count; ++j) {
    to[j] = subtract ? from[step * j] - less[step * j] : from[step * j];
  }
}

template <int phases>
void make_lines_of(real* lines, std::int64_t pitch, const real* a, const real* b, const real* c,
                   std::int64_t left, std::int64_t width, bool even) {
  const std::int64_t phase_pitch = pitch / phases;
  for (std::int64_t phase = 0; phase < phases; ++phase) {
    // Columns w = phases * j + phase - left of the image are elements j of this phase.
    const std::int64_t begin = (left - phase + phases - 1) / phases;
    const std::int64_t end = (left + width - phase + phases - 1) / phases;
    const std::int64_t w = phases * begin + phase - left;
    real* const to = lines + phase * phase_pitch + begin;
    const std::int64_t count = end - begin;
    make_line<phases, true>(to + kDifference * pitch, a + w, b + w, count);
    make_line<phases, false>(to + kOdd * pitch, b + w, b + w, count);
    make_line<phases, true>(to + kNextDifference * pitch, c + w, b + w, count);
    if (even) make_line<phases, false>(to + kEven * pitch, a + w, a + w, count);
    for (int line = 0; line < (even ? kFirstLayerLines : kFirstLayerLines - 1); ++line) {
      real* const part = lines + line * pitch + phase * phase_pitch;
      for (std::int64_t j = 0; j < begin; ++j) part[j] = 0;
      for (std::int64_t j = end; j < phase_pitch; ++j) part[j] = 0;
    }
  }
}

void make_lines(real* lines, std::int64_t pitch, std::int64_t phases, const real* a, const real* b,
                const real* c, std::int64_t left, std::int64_t width, bool even) {
  const auto run = phases == 2 ? make_lines_of<2> : make_lines_of<1>;
  run(lines, pitch, a, b, c, left, width, even);
}

// Forward -----------------------------------------------------------------------------------------

// Both output rows of a pair for kChannels channels and kColumns vectors of columns of one phase;
// emit(channel, vector, y0, y1) takes them. offsets: of the phase.
template <class Emit>
[[gnu::always_inline]] inline void row_pair_tile(const real* in, std::int64_t pitch,
                                                 const std::int64_t* offsets,
                                                 const FirstLayerTaps& taps, const real* weights,
                                                 const real* bias, const Emit& emit) {
  Vector m[3][kChannels][kColumns];
  unroll<kChannels>([&](auto k) {
    unroll<kColumns>([&](auto v) {
      m[0][k.value][v.value] = Vector{};
      m[1][k.value][v.value] = broadcast(bias[k.value]);
      m[2][k.value][v.value] = Vector{};
    });
  });
  for (std::int64_t t = 0; t < taps.pairs; ++t) {
    const real* at = in + offsets[t];
    unroll<3>([&](auto product) {
      Vector x[kColumns];
      unroll<kColumns>(
          [&](auto v) { x[v.value] = load(at + product.value * pitch + v.value * kLanes); });
      unroll<kChannels>([&](auto k) {
        const Vector weight = broadcast(weights[product.value * kChannels + k.value]);
        unroll<kColumns>(
            [&](auto v) { m[product.value][k.value][v.value] += weight * x[v.value]; });
      });
    });
    weights += 3 * kChannels;
  }
  for (std::int64_t t = taps.pairs; t < taps.pairs + taps.singles; ++t) {
    const real* at = in + offsets[t];
    Vector upper[kColumns], lower[kColumns];
    unroll<kColumns>([&](auto v) {
      upper[v.value] = load(at + kEven * pitch + v.value * kLanes);
      lower[v.value] = load(at + kOdd * pitch + v.value * kLanes);
    });
    unroll<kChannels>([&](auto k) {
      const Vector weight = broadcast(weights[k.value]);
      unroll<kColumns>([&](auto v) {
        m[0][k.value][v.value] += weight * upper[v.value];
        m[2][k.value][v.value] += weight * lower[v.value];
      });
    });
    weights += kChannels;
  }
  unroll<kChannels>([&](auto k) {
    unroll<kColumns>([&](auto v) {
      emit(k, v, m[0][k.value][v.value] + m[1][k.value][v.value],
           m[1][k.value][v.value] + m[2][k.value][v.value]);
    });
  });
}

// ReLU and the maximum of `count` elements per lane in row-major order.
template <int count>
[[gnu::always_inline]] inline void finish(real* y, std::uint8_t* index, const Vector* values) {
  Vector best = values[0];
  Mask where{};
  unroll<count - 1>([&](auto i) {
    const Vector value = values[i.value + 1];
    const Mask better = (value > best) | (value != value);  // a NaN wins over all other values
    best = better ? value : best;
    where = better ? Mask{} + Integer(i.value + 1) : where;
  });
  const Mask killed = best <= 0;  // false for NaN, which must stay visible
  store(y, killed ? Vector{} : best);
  where = killed ? Mask{} + Integer(kKilledByRelu) : where;
  *reinterpret_cast<Bytes*>(index) = __builtin_convertvector(where, Bytes);
}

// The results of one tile, whole vectors and all channels of the block.
template <int phases>
[[gnu::always_inline]] inline void forward_tile(real* y, std::uint8_t* index, std::int64_t plane,
                                                const real* lines, std::int64_t pitch,
                                                const FirstLayerTaps& taps, const real* weights,
                                                const real* bias) {
  const std::int64_t all = taps.pairs + taps.singles;
  Vector held[kChannels][kColumns][2];  // both rows of the even columns
  if constexpr (phases == 2) {
    row_pair_tile(lines, pitch, taps.offsets, taps, weights, bias,
                  [&](auto k, auto v, Vector y0, Vector y1) {
                    held[k.value][v.value][0] = y0;
                    held[k.value][v.value][1] = y1;
                  });
  }
  row_pair_tile(lines, pitch, taps.offsets + (phases - 1) * all, taps, weights, bias,
                [&](auto k, auto v, Vector y0, Vector y1) {
                  const std::int64_t to = k.value * plane + v.value * kLanes;
                  if constexpr (phases == 2) {
                    const Vector* even = held[k.value][v.value];
                    const Vector values[] = {even[0], y0, even[1], y1};
                    finish<4>(y + to, index + to, values);
                  } else {
                    const Vector values[] = {y0, y1};
                    finish<2>(y + to, index + to, values);
                  }
                });
}

// One block of channels, `channels` of which exist. What a tile computes beyond them and beyond the
// row goes to a buffer that nobody reads.
template <int phases>
void forward_block(real* y, std::uint8_t* index, std::int64_t plane, std::int64_t channels,
                   std::int64_t count, const real* lines, std::int64_t pitch,
                   const FirstLayerTaps& taps, const real* weights, const real* bias) {
  constexpr std::int64_t kTile = kColumns * kLanes;
  std::int64_t j = 0;
  if (channels >= kChannels) {
    for (; j + kTile <= count; j += kTile) {
      forward_tile<phases>(y + j, index + j, plane, lines + j, pitch, taps, weights, bias);
    }
  }
  for (; j < count; j += kTile) {
    real values[kChannels * kTile];
    std::uint8_t positions[kChannels * kTile];
    forward_tile<phases>(values, positions, kTile, lines + j, pitch, taps, weights, bias);
    const std::int64_t columns = count - j < kTile ? count - j : kTile;
    for (std::int64_t k = 0; k < (channels < kChannels ? channels : kChannels); ++k) {
      for (std::int64_t i = 0; i < columns; ++i) {
        y[k * plane + j + i] = values[k * kTile + i];
        index[k * plane + j + i] = positions[k * kTile + i];
      }
    }
  }
}

void forward_row(real* y, std::uint8_t* index, std::int64_t plane, std::int64_t channels,
                 std::int64_t count, const real* lines, std::int64_t pitch, std::int64_t phases,
                 const FirstLayerTaps& taps, const real* weights, const real* bias) {
  const auto run = phases == 2 ? forward_block<2> : forward_block<1>;
  for (std::int64_t k = 0; k < channels; k += kChannels) {
    run(y + k * plane, index + k * plane, plane, channels - k, count, lines, pitch, taps, weights,
        bias + k);
    weights += (3 * taps.pairs + taps.singles) * kChannels;
  }
}

}  // namespace

const FirstLayerSimd first_layer_simd = {
    .lanes = kLanes,
    .channel_block = kChannels,
    .columns = kColumns * kLanes,
    .make_lines = make_lines,
    .forward_row = forward_row,
};

}  // namespace serenade::cpu::SERENADE_ISA
