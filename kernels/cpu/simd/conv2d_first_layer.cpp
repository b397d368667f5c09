// Inner loops of the convolution of a first layer (what they compute: conv2d_first_layer.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/cpu/conv2d_first_layer.h"

#include "kernels/conv2d.h"
#include "kernels/cpu/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const FirstLayerSimd first_layer_simd;

namespace {

// Three products per channel and vector of columns. AVX-512 multiplies with a number straight from
// memory, two per cycle; elsewhere a loaded weight has to serve two vectors, or loads would limit.
#if defined(__AVX512F__)
constexpr int kChannels = 8;  // 3 x 8 x 1 accumulators of 32 registers
constexpr int kColumns = 1;
constexpr int kGradientChannels = 2;  // 3 x 2 x 4 of 32
constexpr int kGradientTaps = 4;
#else
constexpr int kChannels = 2;  // 3 x 2 x 2 of 16
constexpr int kColumns = 2;
constexpr int kGradientChannels = 2;  // 3 x 2 x 2 of 16
constexpr int kGradientTaps = 2;
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

// Lines
// -----

void make_lines(real* lines, std::int64_t pitch, std::int64_t phases, const real* a, const real* b,
                const real* c, std::int64_t left, std::int64_t width, bool even) {
  real* const __restrict difference = lines + kDifference * pitch;
  real* const __restrict odd = lines + kOdd * pitch;
  real* const __restrict next = lines + kNextDifference * pitch;
  real* const __restrict plain = lines + kEven * pitch;
  const auto put = [&](std::int64_t to, std::int64_t w) {
    difference[to] = a[w] - b[w];
    odd[to] = b[w];
    next[to] = c[w] - b[w];
    if (even) plain[to] = a[w];
  };
  const std::int64_t phase_pitch = pitch / phases;
  // The zeros beside the image, then the image.
  for (int line = 0; line < kFirstLayerLines; ++line) {
    for (std::int64_t phase = 0; phase < phases; ++phase) {
      real* const part = lines + line * pitch + phase * phase_pitch;
      const std::int64_t first = (left - phase + phases - 1) / phases;  // columns of the image
      const std::int64_t last = (left + width - phase + phases - 1) / phases;
      for (std::int64_t j = 0; j < first; ++j) part[j] = 0;
      for (std::int64_t j = last; j < phase_pitch; ++j) part[j] = 0;
    }
  }
  if (phases == 1) {
    if (even) {
      for (std::int64_t w = 0; w < width; ++w) plain[left + w] = a[w];
    }
    for (std::int64_t w = 0; w < width; ++w) {
      difference[left + w] = a[w] - b[w];
      odd[left + w] = b[w];
      next[left + w] = c[w] - b[w];
    }
    return;
  }
  std::int64_t w = 0;
  if (left % 2 == 1) {  // the image begins in an odd column
    put(phase_pitch + left / 2, 0);
    w = 1;
  }
  const std::int64_t start = (left + w) / 2;
  const std::int64_t whole = (width - w) / 2;
  const real *a1 = a + w, *b1 = b + w, *c1 = c + w;
  for (std::int64_t phase = 0; phase < 2; ++phase) {
    const std::int64_t to = phase * phase_pitch + start;
    for (std::int64_t j = 0; j < whole; ++j) {
      difference[to + j] = a1[2 * j + phase] - b1[2 * j + phase];
      odd[to + j] = b1[2 * j + phase];
      next[to + j] = c1[2 * j + phase] - b1[2 * j + phase];
    }
    if (even) {
      for (std::int64_t j = 0; j < whole; ++j) plain[to + j] = a1[2 * j + phase];
    }
  }
  if ((width - w) % 2 == 1) put(start + whole, width - 1);
}

// Forward
// -------

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

// ReLU and the maximum of `count` elements per lane in row-major order, to y[0..n), index[0..n).
template <int count>
[[gnu::always_inline]] inline void finish(real* y, std::uint8_t* index, const Vector* values,
                                          std::int64_t n) {
  Vector best = values[0];
  Mask where{};
  unroll<count - 1>([&](auto i) {
    const Vector value = values[i.value + 1];
    const Mask better = (value > best) | (value != value);  // a NaN wins over all numbers
    best = better ? value : best;
    where = better ? Mask{} + Integer(i.value + 1) : where;
  });
  const Mask killed = best <= 0;  // false for NaN, which must stay visible
  best = killed ? Vector{} : best;
  where = killed ? Mask{} + Integer(kKilledByRelu) : where;
  const Bytes bytes = __builtin_convertvector(where, Bytes);
  if (n >= kLanes) {
    store(y, best);
    *reinterpret_cast<Bytes*>(index) = bytes;
    return;
  }
  for (std::int64_t j = 0; j < n; ++j) {
    y[j] = best[j];
    index[j] = bytes[j];
  }
}

template <int phases>
void forward_tile(real* y, std::uint8_t* index, std::int64_t plane, std::int64_t channels,
                  std::int64_t count, const real* lines, std::int64_t pitch,
                  const FirstLayerTaps& taps, const real* weights, const real* bias) {
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
                  if (k.value >= channels) return;
                  real* const to = y + k.value * plane + v.value * kLanes;
                  std::uint8_t* const to_index = index + k.value * plane + v.value * kLanes;
                  const std::int64_t n = count - v.value * kLanes;
                  if constexpr (phases == 2) {
                    const Vector* even = held[k.value][v.value];
                    const Vector values[] = {even[0], y0, even[1], y1};
                    finish<4>(to, to_index, values, n);
                  } else {
                    const Vector values[] = {y0, y1};
                    finish<2>(to, to_index, values, n);
                  }
                });
}

void forward_row(real* y, std::uint8_t* index, std::int64_t plane, std::int64_t channels,
                 std::int64_t count, const real* lines, std::int64_t pitch, std::int64_t phases,
                 const FirstLayerTaps& taps, const real* weights, const real* bias) {
  const auto tile = phases == 2 ? forward_tile<2> : forward_tile<1>;
  const std::int64_t block = (3 * taps.pairs + taps.singles) * kChannels;
  for (std::int64_t k = 0; k < channels; k += kChannels) {
    for (std::int64_t j = 0; j < count; j += kColumns * kLanes) {
      tile(y + k * plane + j, index + k * plane + j, plane, channels - k, count - j, lines + j,
           pitch, taps, weights, bias + k);
    }
    weights += block;
  }
}

// Weight gradient
// ---------------

void expand_row(real* to, std::int64_t pitch, const real* dy, const std::uint8_t* index,
                std::int64_t count, std::int64_t phase, std::int64_t phases) {
  const auto place0 = static_cast<std::uint8_t>(phase);
  const auto place1 = static_cast<std::uint8_t>(phases + phase);
  std::int64_t j = 0;
  for (; j + kLanes <= count; j += kLanes) {
    const Mask where = __builtin_convertvector(*reinterpret_cast<const Bytes*>(index + j), Mask);
    const Vector g = load(dy + j);
    const Vector g0 = where == Integer(place0) ? g : Vector{};
    const Vector g1 = where == Integer(place1) ? g : Vector{};
    store(to + j, g0);
    store(to + pitch + j, g0 + g1);
    store(to + 2 * pitch + j, g1);
  }
  for (; j < count; ++j) {
    const real g0 = index[j] == place0 ? dy[j] : 0;
    const real g1 = index[j] == place1 ? dy[j] : 0;
    to[j] = g0;
    to[pitch + j] = g0 + g1;
    to[2 * pitch + j] = g1;
  }
  for (; j < pitch; ++j) to[j] = to[pitch + j] = to[2 * pitch + j] = 0;
}

// Where product `p` of `products` finds its line and its gradient.
constexpr int line_of(int products, int p) {
  if (products == 3) return p == 0 ? kDifference : p == 1 ? kOdd : kNextDifference;
  return p == 0 ? kEven : kOdd;
}
constexpr int gradient_of(int products, int p) { return products == 3 ? p : 2 * p; }

template <int products>
void weight_gradient_tile(real* sums, const real* lines, std::int64_t pitch,
                          const std::int64_t* offsets, const real* gradient,
                          std::int64_t gradient_pitch, std::int64_t rows) {
  constexpr auto place = [](int k, int t, int p) {
    return ((k * kGradientTaps + t) * products + p) * kLanes;
  };
  Vector sum[kGradientChannels][kGradientTaps][products];
  unroll<kGradientChannels>([&](auto k) {
    unroll<kGradientTaps>([&](auto t) {
      unroll<products>([&](auto p) {
        sum[k.value][t.value][p.value] = load(sums + place(k.value, t.value, p.value));
      });
    });
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    const real* at[kGradientTaps];
    unroll<kGradientTaps>(
        [&](auto t) { at[t.value] = lines + row * kFirstLayerLines * pitch + offsets[t.value]; });
    const real* g = gradient + row * kGradientChannels * 3 * gradient_pitch;
    for (std::int64_t j = 0; j < gradient_pitch; j += kLanes) {
      unroll<products>([&](auto p) {
        Vector x[kGradientTaps];
        unroll<kGradientTaps>([&](auto t) {
          x[t.value] = load(at[t.value] + line_of(products, p.value) * pitch + j);
        });
        unroll<kGradientChannels>([&](auto k) {
          const int from = k.value * 3 + gradient_of(products, p.value);
          const Vector dy = load(g + from * gradient_pitch + j);
          unroll<kGradientTaps>([&](auto t) { sum[k.value][t.value][p.value] += dy * x[t.value]; });
        });
      });
    }
  }
  unroll<kGradientChannels>([&](auto k) {
    unroll<kGradientTaps>([&](auto t) {
      unroll<products>([&](auto p) {
        store(sums + place(k.value, t.value, p.value), sum[k.value][t.value][p.value]);
      });
    });
  });
}

void weight_gradient(real* sums, const real* lines, std::int64_t pitch, const std::int64_t* offsets,
                     std::int64_t tiles, bool pairs, const real* gradient,
                     std::int64_t gradient_pitch, std::int64_t rows) {
  for (std::int64_t tile = 0; tile < tiles; ++tile) {
    constexpr std::int64_t kPlaces = kGradientChannels * kGradientTaps * kLanes;
    if (pairs) {
      weight_gradient_tile<3>(sums + tile * 3 * kPlaces, lines, pitch,
                              offsets + tile * kGradientTaps, gradient, gradient_pitch, rows);
    } else {
      weight_gradient_tile<2>(sums + tile * 2 * kPlaces, lines, pitch,
                              offsets + tile * kGradientTaps, gradient, gradient_pitch, rows);
    }
  }
}

}  // namespace

const FirstLayerSimd first_layer_simd = {.lanes = kLanes,
                                         .channel_block = kChannels,
                                         .columns = kColumns * kLanes,
                                         .gradient_channel_block = kGradientChannels,
                                         .tap_block = kGradientTaps,
                                         .make_lines = make_lines,
                                         .forward_row = forward_row,
                                         .expand_row = expand_row,
                                         .weight_gradient = weight_gradient};

}  // namespace serenade::cpu::SERENADE_ISA
