// The strips of the Winograd convolution (what they are: kernels/conv2d/cpu/winograd.h).
//
// For every row of tiles of a strip:
//   1. its new input rows become pixels, in a ring of 8 rows;
//   2. B^T goes down every column once, neighbouring tiles share the result;
//   3. for each of the 8 rows, a few tiles at a time: B^T along the row, one product of matrices
//      [tiles x in channels] [in channels x out channels] for each of the 8 points of the row, A^T
//      along the row;
//   4. A^T down the columns, bias, and out: as image rows, or through ReLU and pooling
//      (winograd_output.h).
//
// On AVX-512 the products of all 8 points of 3 tiles stay in registers from step to step: 24
// accumulators, for which an input channel costs 8 loads of kernels and 24 broadcasts. Narrower
// copies have half the registers and take one point of 6 tiles and two vectors at a time.
//
// Compiled once per instruction set (vector.h).

#include "kernels/conv2d/cpu/simd/winograd.h"
#include "kernels/conv2d/cpu/simd/winograd_output.h"
#include "kernels/conv2d/cpu/winograd.h"

namespace serenade::cpu::SERENADE_ISA {

extern const WinogradSimd winograd_simd;

namespace {

#if defined(__AVX512F__)
constexpr int kPoints = 8;  // 8 x 3 accumulators of 32 registers
constexpr int kTiles = 3;
constexpr int kVectors = 1;
#else
constexpr int kPoints = 1;  // 6 x 2 of 16
constexpr int kTiles = 6;
constexpr int kVectors = 2;
#endif

// Keeps the compiler from loading a vector anew, out of memory, for every use.
[[gnu::always_inline]] inline Vector in_register(Vector v) {
#if defined(__x86_64__)
  asm("" : "+v"(v));
#endif
  return v;
}

void clear_pixels(real* pixels, std::int64_t count) {
  for (std::int64_t i = 0; i < count * kChannelBlock; i += kLanes) store(pixels + i, Vector{});
}

// Calls f(Constant<value>) for a value from `least` to `most` that is known only now.
template <int least, int most, class F>
void with_constant(std::int64_t value, const F& f) {
  if constexpr (least < most) {
    if (value == least) return f(Constant<least>{});
    with_constant<least + 1, most>(value, f);
  } else {
    f(Constant<most>{});
  }
}

constexpr int kSmallestTile = 2, kLargestTile = 6;  // outputs, for kernels of 7 and 3

// Kernels -----------------------------------------------------------------------------------------

void transform_kernel(real* u, std::int64_t u_row, const real* rows, std::int64_t plane,
                      int channels, std::int64_t R, std::int64_t S, bool turned) {
  constexpr int kMaxTaps = kTile + 1 - kSmallestTile;
  alignas(64) real pixels[kMaxTaps * kMaxTaps * kChannelBlock];
  alignas(64) real columns[kMaxTaps * kTile * kChannelBlock];  // [S][8][16]
  pixels_from_rows(pixels, rows, plane, channels, R * S);
  const auto tap = [&](std::int64_t r, std::int64_t s) {
    return pixels + (turned ? R * S - 1 - (r * S + s) : r * S + s) * kChannelBlock;
  };
  for (int part = 0; part < kChannelBlock; part += kLanes) {
    with_constant<3, kMaxTaps>(R, [&](auto taps) {
      for (std::int64_t s = 0; s < S; ++s) {
        Vector w[taps.value], t[kTile];
        unroll<taps.value>([&](auto r) { w[r.value] = load(tap(r.value, s) + part); });
        kernel_transform<taps.value>(t, w);
        unroll<kTile>([&](auto i) {
          store(columns + (s * kTile + i.value) * kChannelBlock + part, t[i.value]);
        });
      }
    });
    with_constant<3, kMaxTaps>(S, [&](auto taps) {
      for (std::int64_t i = 0; i < kTile; ++i) {
        Vector w[taps.value], t[kTile];
        unroll<taps.value>([&](auto s) {
          w[s.value] = load(columns + (s.value * kTile + i) * kChannelBlock + part);
        });
        kernel_transform<taps.value>(t, w);
        unroll<kTile>([&](auto j) {
          const real scale = static_cast<real>(kKernelScale[i] * kKernelScale[j.value]);
          store(u + i * u_row + j.value * kChannelBlock + part, t[j.value] * scale);
        });
      }
    });
  }
}

// A strip's position in the image, and its buffers.
// --------------------------------------------------

Strip make_strip(const WinogradPlan& p, std::int64_t unit, real* memory) {
  Strip s;
  const std::int64_t across = unit % p.strips_across;
  const std::int64_t down = unit / p.strips_across % p.strips_down;
  s.sample = unit / p.strips_across / p.strips_down;
  s.first_row = down * p.strip_rows;
  s.rows = smaller(p.strip_rows, p.tile_rows - s.first_row);
  s.first_tile = across * p.strip_columns;
  s.tiles = smaller(p.strip_columns, p.tile_columns - s.first_tile);
  s.out_column = s.first_tile * p.tile_w;
  s.columns = s.tiles * p.tile_w;
  s.in_column = s.out_column - p.left;
  s.in_columns = s.columns + p.S - 1;
  s.ring = memory;
  s.down = s.ring + p.ring_size;
  s.products = s.down + p.columns_size;
  s.block = s.products + p.products_size;
  return s;
}

// 1. Input rows as pixels -------------------------------------------------------------------------

real* ring_row(const WinogradPlan& p, const Strip& s, std::int64_t block, std::int64_t row) {
  const std::int64_t slot = block * kTile + row % kTile;
  return s.ring + (slot * p.ring_pitch + p.ring_margin) * kChannelBlock;
}

// One row of one channel block. `row` counts from the top of the padded image.
void fill_ring_row(const RowSource& source, const WinogradPlan& p, const Strip& s,
                   std::int64_t block, std::int64_t row) {
  real* const pixels = ring_row(p, s, block, row);
  const std::int64_t h = row - p.top;
  const std::int64_t pooled_h = p.in.height / source.pool_h;
  const std::int64_t pooled_w = p.in.width / source.pool_w;
  const bool pooled = source.index != nullptr;
  if (h < 0 || h >= (pooled ? pooled_h * source.pool_h : p.in.height)) {
    return clear_pixels(pixels, s.in_columns);
  }
  // The part of the row that lies within the image.
  const std::int64_t width = pooled ? pooled_w * source.pool_w : p.in.width;
  const std::int64_t begin = smaller(larger(0, -s.in_column), s.in_columns);
  const std::int64_t end = larger(begin, smaller(s.in_columns, width - s.in_column));
  const int channels =
      static_cast<int>(smaller(kChannelBlock, p.in.channels - block * kChannelBlock));
  const std::int64_t plane = s.sample * p.in.channels + block * kChannelBlock;
  if (!pooled) {
    const real* rows = source.data + (plane * p.in.height + h) * p.in.width + s.in_column + begin;
    pixels_from_rows(pixels + begin * kChannelBlock, rows, p.in.height * p.in.width, channels,
                     end - begin);
  } else if (begin < end) {
    const std::int64_t from = (s.in_column + begin) / source.pool_w;
    const std::int64_t to = (s.in_column + end - 1) / source.pool_w + 1;
    const std::int64_t start = (plane * pooled_h + h / source.pool_h) * pooled_w + from;
    pixels_from_pooled_rows(pixels + (from * source.pool_w - s.in_column) * kChannelBlock,
                            source.data + start, source.index + start, pooled_h * pooled_w,
                            channels, to - from, source.pool_w, h % source.pool_h * source.pool_w);
  }
  clear_pixels(pixels, begin);
  clear_pixels(pixels + end * kChannelBlock, s.in_columns - end);
}

// 2. B^T down the columns -------------------------------------------------------------------------

void transform_columns(const WinogradPlan& p, const Strip& s, std::int64_t block,
                       std::int64_t first) {
  const real* rows[kTile];
  for (int i = 0; i < kTile; ++i) rows[i] = ring_row(p, s, block, first + i);
  const std::int64_t count = s.in_columns * kChannelBlock;
  real* const to = s.down + block * kTile * count;
  for (std::int64_t at = 0; at < count; at += kLanes) {
    Vector d[kTile], t[kTile];
    unroll<kTile>([&](auto i) { d[i.value] = load(rows[i.value] + at); });
    input_transform(t, d);
    unroll<kTile>([&](auto i) { store(to + i.value * count + at, t[i.value]); });
  }
}

// 3. Along a row ----------------------------------------------------------------------------------

// The row transform of `tiles` neighbouring tiles: v[tile][8][16].
template <int outputs, int tiles>
[[gnu::always_inline]] inline void transform_tiles(real* v, const real* pixels) {
  unroll<kBlockVectors>([&](auto part) {
    constexpr int kPixels = (tiles - 1) * outputs + kTile;
    Vector row[kPixels];
    unroll<kPixels>([&](auto i) {
      row[i.value] = load(pixels + i.value * kChannelBlock + part.value * kLanes);
    });
    unroll<tiles>([&](auto tile) {
      Vector d[kTile], t[kTile];
      unroll<kTile>([&](auto i) { d[i.value] = row[tile.value * outputs + i.value]; });
      input_transform(t, d);
      unroll<kTile>([&](auto i) {
        store(v + (tile.value * kTile + i.value) * kChannelBlock + part.value * kLanes, t[i.value]);
      });
    });
  });
}

// sum[point][tile][vector] = sum over input channels of v * u, for the points and the vectors of
// output channels that v and u begin with.
template <int tiles>
[[gnu::always_inline]] inline void multiply(Vector (&sum)[kPoints][tiles][kVectors], const real* v,
                                            const real* u, std::int64_t in_blocks) {
  unroll<kPoints>([&](auto point) {
    unroll<tiles>([&](auto tile) {
      unroll<kVectors>([&](auto k) { sum[point.value][tile.value][k.value] = Vector{}; });
    });
  });
  for (std::int64_t block = 0; block < in_blocks; ++block, v += tiles * kTile * kChannelBlock) {
#pragma GCC unroll 4
    for (int c = 0; c < kChannelBlock; ++c, u += kTile * kChannelBlock) {
      unroll<kPoints>([&](auto point) {
        Vector kernel[kVectors];
        unroll<kVectors>([&](auto k) {
          kernel[k.value] = in_register(load(u + point.value * kChannelBlock + k.value * kLanes));
        });
        unroll<tiles>([&](auto tile) {
          const real x = v[(tile.value * kTile + point.value) * kChannelBlock + c];
          unroll<kVectors>(
              [&](auto k) { sum[point.value][tile.value][k.value] += kernel[k.value] * x; });
        });
      });
    }
  }
}

template <int outputs>
[[gnu::always_inline]] inline void store_outputs(real* s, const Vector (&products)[kTile]) {
  Vector y[outputs];
  output_transform<outputs>(y, products);
  unroll<outputs>([&](auto i) { store(s + i.value * kChannelBlock, y[i.value]); });
}

// Products and A^T of a few tiles for one block of output channels: s[tile * outputs][16].
template <int outputs, int tiles>
void multiply_tiles(real* s, const real* v, const real* u, std::int64_t in_blocks) {
  constexpr int kStep = kVectors * kLanes;
  for (int part = 0; part < kChannelBlock; part += kStep) {
    if constexpr (kPoints == kTile) {
      Vector sum[kPoints][tiles][kVectors];
      multiply<tiles>(sum, v, u + part, in_blocks);
      unroll<tiles>([&](auto tile) {
        Vector products[kTile];
        unroll<kTile>([&](auto i) { products[i.value] = sum[i.value][tile.value][0]; });
        store_outputs<outputs>(s + tile.value * outputs * kChannelBlock + part, products);
      });
    } else {
      alignas(64) real stored[tiles][kVectors][kTile][kLanes];
      for (int point = 0; point < kTile; ++point) {
        Vector sum[kPoints][tiles][kVectors];
        multiply<tiles>(sum, v + point * kChannelBlock, u + point * kChannelBlock + part,
                        in_blocks);
        unroll<tiles>([&](auto tile) {
          unroll<kVectors>([&](auto k) {
            store(stored[tile.value][k.value][point], sum[0][tile.value][k.value]);
          });
        });
      }
      for (int tile = 0; tile < tiles; ++tile) {
        for (int k = 0; k < kVectors; ++k) {
          Vector products[kTile];
          unroll<kTile>([&](auto i) { products[i.value] = load(stored[tile][k][i.value]); });
          store_outputs<outputs>(s + tile * outputs * kChannelBlock + part + k * kLanes, products);
        }
      }
    }
  }
}

// Asks for rows of an image that will be read or written soon, one row at a time, so that they come
// from memory to the second-level cache during the products.
struct Ahead {
  const real* from = nullptr;  // first row of the first channel; null: nothing to fetch
  std::int64_t plane, pitch;   // elements between channels, and between rows
  std::int64_t rows, pieces;   // rows of a channel; rows of all channels
  std::int64_t width;
  std::int64_t next = 0;

  void fetch(std::int64_t count) {
    if (from == nullptr) return;
    for (; count > 0 && next < pieces; --count, ++next) {
      const real* row = from + next / rows * plane + next % rows * pitch;
      constexpr std::int64_t kLine = 64 / sizeof(real);
      for (std::int64_t w = 0; w < width + kLine; w += kLine) __builtin_prefetch(row + w, 0, 2);
    }
  }
};

Ahead look_ahead(const real* data, const ImageShape& image, std::int64_t sample, std::int64_t first,
                 std::int64_t rows, std::int64_t column, std::int64_t columns) {
  Ahead ahead = {};
  rows = smaller(rows, image.height - first);
  if (data == nullptr || rows <= 0 || first < 0) return ahead;
  column = larger(0, column);
  ahead.plane = image.height * image.width;
  ahead.pitch = image.width;
  ahead.from = data + sample * image.channels * ahead.plane + first * image.width + column;
  ahead.rows = rows;
  ahead.pieces = rows * image.channels;
  ahead.width = smaller(columns, image.width - column);
  return ahead;
}

// One of the 8 rows of all tiles of the strip. Tiles are transformed one group ahead of their
// products, which so find them in the cache and not on the way there.
template <int outputs>
void multiply_row(const WinogradPlan& p, const Strip& s, const real* u, std::int64_t i,
                  Ahead& input, Ahead& output) {
  constexpr int kGroup = kWinogradMaxBlocks * kTiles * kTile * kChannelBlock;
  alignas(64) real v[2][kGroup];
  const std::int64_t groups = (s.tiles + kTiles - 1) / kTiles;
  const std::int64_t in_row = s.in_columns * kChannelBlock;
  const std::int64_t out_row = s.columns * kChannelBlock;
  const std::int64_t u_block = p.in_blocks * kChannelBlock * kTile * kChannelBlock;
  const real* const down = s.down + i * in_row;
  const real* const u_row = u + i * p.out_blocks * u_block;
  const auto share = [&](const Ahead& ahead) { return ahead.pieces / (kTile * groups) + 1; };
  const auto begin = [&](std::int64_t group) { return s.tiles * group / groups; };
  const auto transform_group = [&](std::int64_t group) {
    const std::int64_t at = begin(group) * outputs * kChannelBlock;
    with_constant<1, kTiles>(begin(group + 1) - begin(group), [&](auto count) {
      for (std::int64_t block = 0; block < p.in_blocks; ++block) {
        transform_tiles<outputs, count.value>(
            v[group % 2] + block * count.value * kTile * kChannelBlock,
            down + block * kTile * in_row + at);
      }
    });
  };
  transform_group(0);
  for (std::int64_t group = 0; group < groups; ++group) {
    if (group + 1 < groups) transform_group(group + 1);
    input.fetch(share(input));
    output.fetch(share(output));
    const std::int64_t at = begin(group) * outputs * kChannelBlock;
    with_constant<1, kTiles>(begin(group + 1) - begin(group), [&](auto count) {
      for (std::int64_t block = 0; block < p.out_blocks; ++block) {
        multiply_tiles<outputs, count.value>(s.products + (block * kTile + i) * out_row + at,
                                             v[group % 2], u_row + block * u_block, p.in_blocks);
      }
    });
  }
}

void correlate_strip(const RowSink& sink, const RowSource& source, const real* u, const real* bias,
                     const WinogradPlan& p, std::int64_t unit, real* memory) {
  const Strip s = make_strip(p, unit, memory);
  std::int64_t filled = s.first_row * p.tile_h;  // input rows above are in the ring, or not needed
  for (std::int64_t tile_row = s.first_row; tile_row < s.first_row + s.rows; ++tile_row) {
    const std::int64_t first = tile_row * p.tile_h;
    for (; filled < first + kTile; ++filled) {
      for (std::int64_t block = 0; block < p.in_blocks; ++block) {
        fill_ring_row(source, p, s, block, filled);
      }
    }
    for (std::int64_t block = 0; block < p.in_blocks; ++block) {
      transform_columns(p, s, block, first);
    }
    Ahead input = look_ahead(source.index == nullptr ? source.data : nullptr, p.in, s.sample,
                             filled - p.top, p.tile_h, s.in_column, s.in_columns);
    Ahead output = look_ahead(sink.index == nullptr ? sink.data : nullptr, p.out, s.sample, first,
                              p.tile_h, s.out_column, s.columns);
    with_constant<kSmallestTile, kLargestTile>(p.tile_w, [&](auto outputs) {
      for (std::int64_t i = 0; i < kTile; ++i)
        multiply_row<outputs.value>(p, s, u, i, input, output);
    });
    with_constant<kSmallestTile, kLargestTile>(p.tile_h, [&](auto outputs) {
      if (sink.index == nullptr) {
        finish_plain<outputs.value>(sink, p, s, bias, tile_row);
      } else {
        finish_pooled<outputs.value>(sink, p, s, bias, tile_row);
      }
    });
  }
}

}  // namespace

const WinogradSimd winograd_simd = {.transform_kernel = transform_kernel,
                                    .correlate_strip = correlate_strip};

}  // namespace serenade::cpu::SERENADE_ISA
