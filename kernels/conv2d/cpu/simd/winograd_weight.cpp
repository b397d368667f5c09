// Inner loops of the Winograd weight gradient (what they compute:
// kernels/conv2d/cpu/winograd_weight.h).
//
// Compiled once per instruction set (vector.h).

#include "kernels/conv2d/cpu/winograd_weight.h"
#include "kernels/conv2d/cpu/simd/winograd.h"
#include "kernels/simd/vector.h"

namespace serenade::cpu::SERENADE_ISA {

extern const Conv2dWinogradWeightSimd conv2d_winograd_weight_simd;

namespace {

static_assert(kTile == kWinogradTile && kChannelBlock == kWinogradBlock);

// A gradient entry that is exactly zero (after ReLU the input may be zero wherever a tap meets a
// gradient) comes out of the transforms as the rounding errors of values that cancel. To most
// readers that is as good as zero, but not to an optimiser that divides by the size of the
// gradient, as Adam does: it would move the weight by a whole step. So what is not larger than
// rounding errors may be, this many times the sum of the magnitudes of all terms that were added,
// becomes zero again.
constexpr real kRounding = 2 * (sizeof(real) == 4 ? 0x1p-23 : 0x1p-52);

[[gnu::always_inline]] inline Vector magnitude(Vector v) { return v < Vector{} ? -v : v; }

// Register tile of the products: input channels times vectors of output channels.
#if defined(__AVX512F__)
constexpr int kMaxInputs = 16;  // 16 of 32 registers: enough for the latency of 4 at one per cycle
constexpr int kTileVectors = 1;
#elif defined(__AVX2__)
constexpr int kMaxInputs = 6;  // 6 x 2 of 16
constexpr int kTileVectors = 2;
#else
constexpr int kMaxInputs = 4;  // 4 x 2 of 16: without fused multiply-add the product needs one too
constexpr int kTileVectors = 2;
#endif

void channel_last(real* to, const real* from, std::int64_t plane, std::int64_t channels,
                  std::int64_t count) {
  pixels_from_rows(to, from, plane, static_cast<int>(channels), count);
}

void channel_last_bytes(real* to, const std::uint8_t* from, std::int64_t plane,
                        std::int64_t channels, std::int64_t count) {
  std::int64_t w = 0;
  for (; w + kLanes <= count; w += kLanes) {
    transpose_to_pixels<false>(to + w * kChannelBlock, static_cast<int>(channels), [&](int c) {
      const Bytes bytes = *reinterpret_cast<const Bytes*>(from + c * plane + w);
      return __builtin_convertvector(__builtin_convertvector(bytes, Mask), Vector);
    });
  }
  for (; w < count; ++w) {
    for (int c = 0; c < kChannelBlock; ++c) {
      to[w * kChannelBlock + c] = c < channels ? from[c * plane + w] : 0;
    }
  }
}

void input_columns(real* to, std::int64_t plane, const real* const* rows, std::int64_t count) {
  for (std::int64_t p = 0; p < count * kChannelBlock; p += kLanes) {
    Vector d[kTile], t[kTile];
    unroll<kTile>([&](auto h) { d[h.value] = load(rows[h.value] + p); });
    input_transform(t, d);
    unroll<kTile>([&](auto i) { store(to + i.value * plane + p, t[i.value]); });
  }
}

template <int taps>
void dense_columns(real* to, std::int64_t plane, const WinogradGradientRows& rows,
                   std::int64_t count) {
  for (std::int64_t p = 0; p < count * kChannelBlock; p += kLanes) {
    Vector g[taps], t[kTile];
    unroll<taps>([&](auto r) { g[r.value] = load(rows.value[r.value] + p); });
    kernel_transform(t, g);
    unroll<kTile>([&](auto i) { store(to + i.value * plane + p, t[i.value]); });
  }
}

template <int taps>
void pooled_columns(real* to, std::int64_t plane, const WinogradGradientRows& rows,
                    std::int64_t count) {
  std::int64_t from = 0;
  std::int64_t phase = rows.phase;
  for (std::int64_t w = 0; w < count; ++w, to += kChannelBlock) {
    for (int v = 0; v < kChannelBlock; v += kLanes) {
      Vector g[taps], t[kTile];
      unroll<taps>([&](auto r) {
        const Vector position = load(rows.position[r.value] + from + v);
        const real here = rows.first_position[r.value] + static_cast<real>(phase);
        g[r.value] = position == Vector{} + here ? load(rows.value[r.value] + from + v) : Vector{};
      });
      kernel_transform(t, g);
      unroll<kTile>([&](auto i) { store(to + i.value * plane + v, t[i.value]); });
    }
    if (++phase == rows.pool_w) {
      phase = 0;
      from += kChannelBlock;
    }
  }
}

// Calls f(Constant<taps>).
template <class F>
void with_taps(std::int64_t taps, const F& f) {
  if (taps == 2) return f(Constant<2>{});
  if (taps == 3) return f(Constant<3>{});
  if (taps == 4) return f(Constant<4>{});
  if (taps == 5) return f(Constant<5>{});
  f(Constant<6>{});
}

template <int taps>
void gradient_columns_of(real* to, std::int64_t plane, const WinogradGradientRows& rows,
                         std::int64_t count) {
  if (rows.position[0] == nullptr) {
    dense_columns<taps>(to, plane, rows, count);
  } else {
    pooled_columns<taps>(to, plane, rows, count);
  }
}

void gradient_columns(real* to, std::int64_t plane, const WinogradGradientRows& rows,
                      std::int64_t taps, std::int64_t count) {
  with_taps(taps, [&](auto t) { gradient_columns_of<t.value>(to, plane, rows, count); });
}

// Both transforms along the row, tile by tile. v, d: [8][pitch].
template <int taps>
void row_transforms(real* v, real* d, std::int64_t pitch, const real* x, const real* dy,
                    std::int64_t tiles) {
  for (std::int64_t p = 0; p < tiles * kChannelBlock; p += kChannelBlock) {
    for (int lane = 0; lane < kChannelBlock; lane += kLanes) {
      const std::int64_t from = p * taps + lane;
      Vector in[kTile], g[taps], t[kTile];
      unroll<kTile>([&](auto j) { in[j.value] = load(x + from + j.value * kChannelBlock); });
      input_transform(t, in);
      unroll<kTile>([&](auto j) { store(v + j.value * pitch + p + lane, t[j.value]); });
      unroll<taps>([&](auto j) { g[j.value] = load(dy + from + j.value * kChannelBlock); });
      kernel_transform(t, g);
      unroll<kTile>([&](auto j) { store(d + j.value * pitch + p + lane, t[j.value]); });
    }
  }
}

// sums[inputs][kTileVectors] (+)= sum over tiles of v[tile][input] d[tile][output]. The tiles are
// added up on their own first: starting from `sums` would cost the same and lose digits, since a
// small product added to a long sum is rounded to the digits of the sum.
template <int inputs>
[[gnu::always_inline]] inline void products_tile(real* sums, const real* v, const real* d,
                                                 std::int64_t tiles, bool first) {
  Vector sum[inputs][kTileVectors];
  unroll<inputs>(
      [&](auto c) { unroll<kTileVectors>([&](auto k) { sum[c.value][k.value] = Vector{}; }); });
  for (const real* const end = v + tiles * kChannelBlock; v < end;
       v += kChannelBlock, d += kChannelBlock) {
    Vector dy[kTileVectors];
    unroll<kTileVectors>([&](auto k) { dy[k.value] = load(d + k.value * kLanes); });
    unroll<inputs>([&](auto c) {
      unroll<kTileVectors>([&](auto k) { sum[c.value][k.value] += v[c.value] * dy[k.value]; });
    });
  }
  unroll<inputs>([&](auto c) {
    unroll<kTileVectors>([&](auto k) {
      real* const to = sums + c.value * kChannelBlock + k.value * kLanes;
      store(to, first ? sum[c.value][k.value] : load(to) + sum[c.value][k.value]);
    });
  });
}

// The products of one point, as register tiles of nearly equal size.
void products(real* sums, const real* v, const real* d, std::int64_t tiles, bool first) {
  constexpr int kInputTiles = (kChannelBlock + kMaxInputs - 1) / kMaxInputs;
  for (int k = 0; k < kChannelBlock; k += kTileVectors * kLanes) {
    unroll<kInputTiles>([&](auto tile) {
      constexpr int kBegin = kChannelBlock * tile.value / kInputTiles;
      constexpr int kEnd = kChannelBlock * (tile.value + 1) / kInputTiles;
      products_tile<kEnd - kBegin>(sums + kBegin * kChannelBlock + k, v + kBegin, d + k, tiles,
                                   first);
    });
  }
}

template <int taps>
void add_products_of(real* sums, const real* x, const real* dy, std::int64_t tiles, bool first,
                     real* memory) {
  // An odd number of pixels between the points, so that they do not map to the same cache sets.
  const std::int64_t pitch = (tiles | 1) * kChannelBlock;
  real* const v = memory;
  real* const d = v + kTile * pitch;
  row_transforms<taps>(v, d, pitch, x, dy, tiles);
  for (int j = 0; j < kTile; ++j) {
    products(sums + j * kChannelBlock * kChannelBlock, v + j * pitch, d + j * pitch, tiles, first);
  }
}

void add_products(real* sums, const real* x, const real* dy, std::int64_t taps, std::int64_t tiles,
                  bool first, real* memory) {
  with_taps(taps, [&](auto t) { add_products_of<t.value>(sums, x, dy, tiles, first, memory); });
}

// to[r] = row r of A^T applied to the scaled from[0], .., from[7], and bound[r] the same for the
// magnitudes of all terms: sum of |A^T| |from|. Their positions are `between` and `stride` elements
// apart. from_bound may be from itself.
template <int outputs>
void finish_axis(real* to, real* bound, std::int64_t stride, const real* from,
                 const real* from_bound, std::int64_t between) {
  for (int k = 0; k < kChannelBlock; k += kLanes) {
    Vector t[kTile], size[kTile], y[outputs];
    unroll<kTile>([&](auto i) {
      const real scale = static_cast<real>(kKernelScale[i.value]);
      t[i.value] = load(from + i.value * between + k) * scale;
      size[i.value] = magnitude(load(from_bound + i.value * between + k) * scale);
    });
    output_transform(y, t);
    unroll<outputs>([&](auto r) { store(to + r.value * stride + k, y[r.value]); });
    // With the sizes of a pair of points p, -p in the place of p, differences become sums.
    for (int pair = 1; pair < kTile - 1; pair += 2) {
      size[pair] += size[pair + 1];
      size[pair + 1] = Vector{};
    }
    output_transform(y, size);
    unroll<outputs>([&](auto r) { store(bound + r.value * stride + k, y[r.value]); });
  }
}

void finish_axis(std::int64_t outputs, real* to, real* bound, std::int64_t stride, const real* from,
                 const real* from_bound, std::int64_t between) {
  with_taps(kTile + 1 - outputs, [&](auto t) {
    finish_axis<kTile + 1 - t.value>(to, bound, stride, from, from_bound, between);
  });
}

void finish(real* to, const real* sums, std::int64_t partials, std::int64_t between, std::int64_t R,
            std::int64_t S) {
  constexpr std::int64_t kPoints = kTile * kTile;
  real total[kPoints * kChannelBlock];
  for (std::int64_t point = 0; point < kPoints; ++point) {
    for (int k = 0; k < kChannelBlock; k += kLanes) {
      const real* from = sums + point * kChannelBlock * kChannelBlock + k;
      Vector sum = load(from);
      for (std::int64_t p = 1; p < partials; ++p) sum += load(from + p * between);
      store(total + point * kChannelBlock + k, sum);
    }
  }
  real rows[7 * kTile * kChannelBlock], row_bounds[7 * kTile * kChannelBlock];  // [r][j]
  for (int j = 0; j < kTile; ++j) {
    const real* from = total + j * kChannelBlock;
    finish_axis(R, rows + j * kChannelBlock, row_bounds + j * kChannelBlock, kTile * kChannelBlock,
                from, from, kTile * kChannelBlock);
  }
  real bounds[7 * 7 * kChannelBlock];
  for (std::int64_t r = 0; r < R; ++r) {
    finish_axis(S, to + r * S * kChannelBlock, bounds + r * S * kChannelBlock, kChannelBlock,
                rows + r * kTile * kChannelBlock, row_bounds + r * kTile * kChannelBlock,
                kChannelBlock);
  }
  for (std::int64_t p = 0; p < R * S * kChannelBlock; p += kLanes) {
    const Vector y = load(to + p);
    store(to + p, magnitude(y) < load(bounds + p) * kRounding ? Vector{} : y);
  }
}

}  // namespace

const Conv2dWinogradWeightSimd conv2d_winograd_weight_simd = {
    .channel_last = channel_last,
    .channel_last_bytes = channel_last_bytes,
    .input_columns = input_columns,
    .gradient_columns = gradient_columns,
    .add_products = add_products,
    .finish = finish};

}  // namespace serenade::cpu::SERENADE_ISA
