#pragma once
// What the Winograd convolutions of this folder share: one-dimensional transforms for tiles of 8
// values, and the conversion between image rows and pixels.
//
// Winograd's algorithm (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016,
// eq. 6 to 9) computes the m outputs of a correlation with r taps, m + r - 1 = 8, from 8 products
// in place of m r:
//
//   y = A^T [(G w) * (B^T d)]      d: 8 inputs, w: r taps, y: m outputs, *: element by element
//
// The three matrices evaluate polynomials at the points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
// B^T depends on the 8 points alone, so one input transform serves all kernel sizes. In two
// dimensions a transform is applied to the columns of a tile and then to the rows of the result.
//
// Points come in pairs p, -p: what even powers of p contribute is the same for both, and what odd
// powers contribute differs in sign. Every transform computes the two parts once and adds and
// subtracts them; adding runs beside multiplying on most processors, so sums are left as sums.
//
// A vector holds channels of one pixel. Channels go in blocks of 16 whatever the width of a vector,
// so pixels are [column][16] in every copy.

#include <cstdint>

#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

namespace {

constexpr int kTile = 8;           // rows and columns of an input tile
constexpr int kChannelBlock = 16;  // channels of a pixel
constexpr int kBlockVectors = kChannelBlock / kLanes;

// Row i of G is scale[i] * (1, p, p^2, ..), and the last one selects the last tap: the division
// that makes B^T so simple has been moved there.
constexpr double kKernelScale[kTile] = {1,        -2.0 / 9,  -2.0 / 9,  1.0 / 90,
                                        1.0 / 90, 32.0 / 45, 32.0 / 45, 1};

// t = B^T d: 26 operations on 8 values.
[[gnu::always_inline]] inline void input_transform(Vector (&t)[kTile], const Vector (&d)[kTile]) {
  t[0] = (d[0] - d[6]) + (d[4] - d[2]) * real(5.25);
  t[7] = (d[7] - d[1]) + (d[3] - d[5]) * real(5.25);
  Vector even = (d[2] + d[6]) - d[4] * real(4.25);
  Vector odd = (d[1] + d[5]) - d[3] * real(4.25);
  t[1] = even + odd;
  t[2] = even - odd;
  even = (d[6] - d[4] * real(1.25)) + d[2] * real(0.25);
  odd = (d[5] * real(2) - d[3] * real(2.5)) + d[1] * real(0.5);
  t[3] = even + odd;
  t[4] = even - odd;
  even = (d[6] - d[4] * real(5)) + d[2] * real(4);
  odd = (d[1] * real(2) - d[3] * real(2.5)) + d[5] * real(0.5);
  t[5] = even + odd;
  t[6] = even - odd;
}

constexpr double power_of_two(int exponent) {
  double power = 1;
  for (int i = 0; i < exponent; ++i) power *= 2;
  for (int i = 0; i > exponent; --i) power /= 2;
  return power;
}

// y = A^T t for `outputs` outputs, 2 to 7: y[k] = sum over points of p^k t[p], and the point at
// infinity adds to the last one.
template <int outputs>
[[gnu::always_inline]] inline void output_transform(Vector (&y)[outputs],
                                                    const Vector (&t)[kTile]) {
  const Vector sum[3] = {t[1] + t[2], t[3] + t[4], t[5] + t[6]};
  const Vector difference[3] = {t[1] - t[2], t[3] - t[4], t[5] - t[6]};
  unroll<outputs>([&](auto k) {
    constexpr real two = static_cast<real>(power_of_two(k.value));
    constexpr real half = static_cast<real>(power_of_two(-k.value));
    if constexpr (k.value == 0) {
      y[0] = (t[0] + sum[0]) + (sum[1] + sum[2]);
    } else if constexpr (k.value % 2 == 0) {
      y[k.value] = (sum[0] + sum[1] * two) + sum[2] * half;
    } else {
      y[k.value] = (difference[0] + difference[1] * two) + difference[2] * half;
    }
    if constexpr (k.value == outputs - 1) y[k.value] += t[7];
  });
}

// t = G w without the scale, for 2 to 7 taps: t[p] = sum over a of p^a w[a]; the point at infinity
// takes the last tap. It is the transpose of output_transform.
template <int taps>
[[gnu::always_inline]] inline void kernel_transform(Vector (&t)[kTile], const Vector (&w)[taps]) {
  t[0] = w[0];
  t[7] = w[taps - 1];
  unroll<3>([&](auto pair) {
    constexpr int log = pair.value == 0 ? 0 : pair.value == 1 ? 1 : -1;  // of the point
    Vector even = w[0];
    Vector odd = w[1] * static_cast<real>(power_of_two(log));
    unroll<taps>([&](auto a) {
      constexpr real power = static_cast<real>(power_of_two(log * a.value));
      if constexpr (a.value > 1 && a.value % 2 == 0) even += w[a.value] * power;
      if constexpr (a.value > 1 && a.value % 2 == 1) odd += w[a.value] * power;
    });
    t[1 + 2 * pair.value] = even + odd;
    t[2 + 2 * pair.value] = even - odd;
  });
}

#ifdef SERENADE_DOUBLE
typedef std::int64_t Integer;
#else
typedef std::int32_t Integer;
#endif
typedef Integer Mask __attribute__((vector_size(kVectorBytes), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes), may_alias, aligned(1)));

// One vector of columns of 16 channels to pixels; channels beyond the last are 0.
template <bool all_channels, class LoadRow>
[[gnu::always_inline]] inline void transpose_to_pixels(real* pixels, int channels,
                                                       const LoadRow& load_row) {
  unroll<kBlockVectors>([&](auto part) {
    Vector v[kLanes];
    unroll<kLanes>([&](auto i) {
      constexpr int channel = part.value * kLanes + i.value;
      v[i.value] = all_channels || channel < channels ? load_row(channel) : Vector{};
    });
    transpose(v);
    unroll<kLanes>(
        [&](auto i) { store(pixels + i.value * kChannelBlock + part.value * kLanes, v[i.value]); });
  });
}

// pixels[w][c] = rows[c][w] for w < columns, c < channels <= 16, and 0 for the channels beyond.
// rows: one per channel, `plane` elements apart.
inline void pixels_from_rows(real* pixels, const real* rows, std::int64_t plane, int channels,
                             std::int64_t columns) {
  const auto vector_at = [&](std::int64_t w) {
    const auto load_row = [&](int channel) { return load(rows + channel * plane + w); };
    if (channels == kChannelBlock) {
      transpose_to_pixels<true>(pixels + w * kChannelBlock, channels, load_row);
    } else {
      transpose_to_pixels<false>(pixels + w * kChannelBlock, channels, load_row);
    }
  };
  std::int64_t w = 0;
  for (; w + kLanes <= columns; w += kLanes) vector_at(w);
  if (w == columns) return;
  if (columns >= kLanes) return vector_at(columns - kLanes);  // some of them for a second time
  for (; w < columns; ++w) {
    for (int c = 0; c < kChannelBlock; ++c) {
      pixels[w * kChannelBlock + c] = c < channels ? rows[c * plane + w] : real(0);
    }
  }
}

// Pooling indices change between image rows and pixels four at a time: a lane takes the bytes of
// four neighbouring windows of its channel as they lie in memory, and shifting extracts each.
constexpr int kIndexPack = 4;
constexpr int kWindows = 16;  // of a row that are processed together

// The bit at which window j of a pack begins in a lane.
constexpr int index_shift(int j) {
  return 8 * (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? j : kIndexPack - 1 - j);
}

// positions[w][c] = index[c][w] for kWindows windows. index: one row per channel, `plane` apart.
inline void pixels_from_index(Integer* positions, const std::uint8_t* index, std::int64_t plane,
                              int channels) {
  alignas(64) Integer packs[kWindows / kIndexPack][kChannelBlock] = {};
  for (int c = 0; c < channels; ++c) {
    for (int q = 0; q < kWindows / kIndexPack; ++q) {
      std::uint32_t bytes;
      __builtin_memcpy(&bytes, index + c * plane + q * kIndexPack, kIndexPack);
      packs[q][c] = static_cast<Integer>(bytes);
    }
  }
  unroll<kWindows>([&](auto w) {
    unroll<kBlockVectors>([&](auto part) {
      const Mask pack =
          *reinterpret_cast<const Mask*>(packs[w.value / kIndexPack] + part.value * kLanes);
      *reinterpret_cast<Mask*>(positions + w.value * kChannelBlock + part.value * kLanes) =
          (pack >> index_shift(w.value % kIndexPack)) & 255;
    });
  });
}

// One row of the gradient before ReLU and pooling, from the gradient after them:
// pixels[j * pool_w + b][c] = rows[c][j] where index[c][j] is first + b, else 0, for j < pooled and
// b < pool_w. first: pool_w times the row within its window; rows and index: one per channel,
// `plane` apart. The caller clears the columns past the last window. The gradients and indices of
// a few windows at a time are converted to pixels; spreading them out then needs no shuffles.
inline void pixels_from_pooled_rows(real* pixels, const real* rows, const std::uint8_t* index,
                                    std::int64_t plane, int channels, std::int64_t pooled,
                                    std::int64_t pool_w, std::int64_t first) {
  alignas(64) real values[kWindows * kChannelBlock];
  alignas(64) Integer positions[kWindows * kChannelBlock];
  for (std::int64_t from = 0; from < pooled; from += kWindows) {
    if (from + kWindows > pooled && pooled >= kWindows) from = pooled - kWindows;  // some again
    const int count = pooled - from < kWindows ? static_cast<int>(pooled - from) : kWindows;
    pixels_from_rows(values, rows + from, plane, channels, count);
    if (count == kWindows) {
      pixels_from_index(positions, index + from, plane, channels);
    } else {
      for (int j = 0; j < count; ++j) {
        for (int c = 0; c < kChannelBlock; ++c) {
          positions[j * kChannelBlock + c] = c < channels ? index[c * plane + from + j] : 0;
        }
      }
    }
    real* to = pixels + from * pool_w * kChannelBlock;
    for (int j = 0; j < count; ++j) {
      for (std::int64_t b = 0; b < pool_w; ++b, to += kChannelBlock) {
        unroll<kBlockVectors>([&](auto part) {
          const int lane = j * kChannelBlock + part.value * kLanes;
          const Mask position = *reinterpret_cast<const Mask*>(positions + lane);
          const Mask here = position == static_cast<Integer>(first + b);
          store(to + part.value * kLanes, here ? load(values + lane) : Vector{});
        });
      }
    }
  }
}

}  // namespace
}  // namespace serenade::cpu::SERENADE_ISA
