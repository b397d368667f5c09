#pragma once
// How strips of the Winograd convolution end (winograd_forward.cpp, step 4): A^T down the columns,
// bias, and out, as image rows or through ReLU and pooling.

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/simd/winograd.h"
#include "kernels/conv2d/cpu/winograd.h"

namespace serenade::cpu::SERENADE_ISA {

namespace {

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// A strip's position in the image, and its buffers.
struct Strip {
  std::int64_t sample;
  std::int64_t first_row, rows;      // of tiles
  std::int64_t first_tile, tiles;    // across
  std::int64_t out_column, columns;  // of output; the last ones may lie outside of the image
  std::int64_t in_column, in_columns;
  real *ring, *down, *products, *block;
};

// A^T down `count` columns plus the bias: rows[k][column][16], `pitch` pixels apart.
template <int outputs>
[[gnu::always_inline]] inline void finish_columns(real* const (&rows)[outputs],
                                                  const real* products, std::int64_t row,
                                                  const real* bias, std::int64_t count) {
  unroll<kBlockVectors>([&](auto part) {
    const Vector b = load(bias + part.value * kLanes);
    for (std::int64_t c = 0; c < count; ++c) {
      const std::int64_t at = c * kChannelBlock + part.value * kLanes;
      Vector t[kTile], y[outputs];
      unroll<kTile>([&](auto i) { t[i.value] = load(products + i.value * row + at); });
      output_transform<outputs>(y, t);
      unroll<outputs>([&](auto k) { store(rows[k.value] + at, y[k.value] + b); });
    }
  });
}

// count <= kLanes pixels to the image rows of `channels` channels, `plane` apart.
template <class Put>
[[gnu::always_inline]] inline void rows_from_pixels(const real* pixels, int channels,
                                                    const Put& put) {
  unroll<kBlockVectors>([&](auto part) {
    Vector v[kLanes];
    unroll<kLanes>(
        [&](auto i) { v[i.value] = load(pixels + i.value * kChannelBlock + part.value * kLanes); });
    transpose(v);
    unroll<kLanes>([&](auto i) {
      constexpr int channel = part.value * kLanes + i.value;
      if (channel < channels) put(channel, v[i.value]);
    });
  });
}

inline void write_pixels(real* to, std::int64_t plane, const real* pixels, int channels, bool add,
                         std::int64_t count) {
  if (count < kLanes) {
    for (int c = 0; c < channels; ++c) {
      for (std::int64_t w = 0; w < count; ++w) {
        const real value = pixels[w * kChannelBlock + c];
        to[c * plane + w] = add ? to[c * plane + w] + value : value;
      }
    }
  } else if (add) {
    rows_from_pixels(pixels, channels,
                     [&](int c, Vector v) { store(to + c * plane, load(to + c * plane) + v); });
  } else {
    rows_from_pixels(pixels, channels, [&](int c, Vector v) { store(to + c * plane, v); });
  }
}

template <int outputs>
void finish_plain(const RowSink& sink, const WinogradPlan& p, const Strip& s, const real* bias,
                  std::int64_t tile_row) {
  alignas(64) real pixels[outputs][kLanes * kChannelBlock];
  real* rows[outputs];
  for (int k = 0; k < outputs; ++k) rows[k] = pixels[k];
  const std::int64_t plane = p.out.height * p.out.width;
  const std::int64_t row = s.columns * kChannelBlock;
  const std::int64_t h = tile_row * outputs;
  const std::int64_t height = smaller(outputs, p.out.height - h);
  const std::int64_t width = smaller(s.columns, p.out.width - s.out_column);
  for (std::int64_t block = 0; block < p.out_blocks; ++block) {
    const std::int64_t first = block * kChannelBlock;
    const int channels = static_cast<int>(smaller(kChannelBlock, p.out.channels - first));
    real* const to = sink.data +
                     ((s.sample * p.out.channels + first) * p.out.height + h) * p.out.width +
                     s.out_column;
    for (std::int64_t c = 0; c < width; c += kLanes) {
      // The last vector takes some columns a second time, unless they would be added twice.
      if (!sink.add && c + kLanes > width && width >= kLanes) c = width - kLanes;
      const std::int64_t count = smaller(kLanes, width - c);
      finish_columns<outputs>(rows, s.products + block * kTile * row + c * kChannelBlock, row,
                              bias + first, count);
      for (std::int64_t k = 0; k < height; ++k) {
        write_pixels(to + k * p.out.width + c, plane, pixels[k], channels, sink.add, count);
      }
    }
  }
}

// The maximum of one pooling window of pixels, with ReLU, and its position in the window. Same
// rules as Conv2dSimd::relu_maxpool_row: the first of equals, and NaN before other values.
template <int known_h, int known_w>
[[gnu::always_inline]] inline void pool_window(real* best_to, Integer* where_to,
                                               const real* const* rows, std::int64_t column,
                                               std::int64_t pool_h, std::int64_t pool_w) {
  unroll<kBlockVectors>([&](auto part) {
    Vector best = load(rows[0] + column * kChannelBlock + part.value * kLanes);
    Mask where{};
    const auto compare = [&](std::int64_t a, std::int64_t b) {
      const Vector value = load(rows[a] + (column + b) * kChannelBlock + part.value * kLanes);
      const Mask better = (value > best) | (value != value);
      best = better ? value : best;
      where = better ? Mask{} + static_cast<Integer>(a * pool_w + b) : where;
    };
    if constexpr (known_h > 0) {
      unroll<known_h * known_w>([&](auto position) {
        if constexpr (position.value > 0)
          compare(position.value / known_w, position.value % known_w);
      });
    } else {
      for (std::int64_t a = 0; a < pool_h; ++a) {
        for (std::int64_t b = 0; b < pool_w; ++b) compare(a, b);
      }
    }
    const Mask killed = best <= 0;
    store(best_to + part.value * kLanes, killed ? Vector{} : best);
    *reinterpret_cast<Mask*>(where_to + part.value * kLanes) =
        killed ? Mask{} + Integer(kKilledByRelu) : where;
  });
}

// index[c][w] = positions[w][c] for kWindows windows; the inverse of pixels_from_index.
inline void index_from_pixels(std::uint8_t* index, std::int64_t plane, const Integer* positions,
                              int channels) {
  alignas(64) Integer packs[kWindows / kIndexPack][kChannelBlock];
  unroll<kWindows / kIndexPack>([&](auto q) {
    unroll<kBlockVectors>([&](auto part) {
      Mask pack{};
      unroll<kIndexPack>([&](auto j) {
        const int lane = (q.value * kIndexPack + j.value) * kChannelBlock + part.value * kLanes;
        pack |= *reinterpret_cast<const Mask*>(positions + lane) << index_shift(j.value);
      });
      *reinterpret_cast<Mask*>(packs[q.value] + part.value * kLanes) = pack;
    });
  });
  for (int c = 0; c < channels; ++c) {
    for (int q = 0; q < kWindows / kIndexPack; ++q) {
      const std::uint32_t bytes = static_cast<std::uint32_t>(packs[q][c]);
      __builtin_memcpy(index + c * plane + q * kIndexPack, &bytes, kIndexPack);
    }
  }
}

// A row of pooling windows of one channel block. rows: pool_h rows of pixels. The size of windows
// is a constant for the sizes in use.
template <int known_h, int known_w>
void pool_row(real* y, std::uint8_t* index, std::int64_t plane, const real* const* rows,
              int channels, const RowSink& sink, std::int64_t windows) {
  alignas(64) real best[kWindows * kChannelBlock];
  alignas(64) Integer where[kWindows * kChannelBlock];
  for (std::int64_t j = 0; j < windows; j += kWindows) {
    if (j + kWindows > windows && windows >= kWindows) j = windows - kWindows;  // some again
    const std::int64_t count = smaller(kWindows, windows - j);
    for (std::int64_t w = 0; w < count; ++w) {
      pool_window<known_h, known_w>(best + w * kChannelBlock, where + w * kChannelBlock, rows,
                                    (j + w) * sink.pool_w, sink.pool_h, sink.pool_w);
    }
    for (std::int64_t w = 0; w < count; w += kLanes) {
      write_pixels(y + j + w, plane, best + w * kChannelBlock, channels, false,
                   smaller(kLanes, count - w));
    }
    if (count == kWindows) {
      index_from_pixels(index + j, plane, where, channels);
      continue;
    }
    for (int c = 0; c < channels; ++c) {
      for (std::int64_t w = 0; w < count; ++w) {
        index[c * plane + j + w] = static_cast<std::uint8_t>(where[w * kChannelBlock + c]);
      }
    }
  }
}

template <int outputs>
void finish_pooled(const RowSink& sink, const WinogradPlan& p, const Strip& s, const real* bias,
                   std::int64_t tile_row) {
  const auto is = [&](int h, int w) { return sink.pool_h == h && sink.pool_w == w; };
  const auto pool = is(2, 2)   ? pool_row<2, 2>
                    : is(2, 1) ? pool_row<2, 1>
                    : is(4, 1) ? pool_row<4, 1>
                               : pool_row<0, 0>;
  const std::int64_t pooled_h = p.out.height / sink.pool_h;
  const std::int64_t pooled_w = p.out.width / sink.pool_w;
  const std::int64_t row = s.columns * kChannelBlock;
  // Rows of windows that this row of tiles completes.
  const std::int64_t h = tile_row * outputs;
  const std::int64_t first_window = h / sink.pool_h;
  const std::int64_t end_window = smaller((h + outputs) / sink.pool_h, pooled_h);
  const std::int64_t first_column = s.out_column / sink.pool_w;
  const std::int64_t windows =
      smaller((s.out_column + s.columns) / sink.pool_w, pooled_w) - first_column;
  for (std::int64_t block = 0; block < p.out_blocks; ++block) {
    const auto block_row = [&](std::int64_t r) {
      return s.block + (block * p.block_rows + r % p.block_rows) * row;
    };
    real* rows[outputs];
    for (int k = 0; k < outputs; ++k) rows[k] = block_row(h + k);
    const std::int64_t first = block * kChannelBlock;
    finish_columns<outputs>(rows, s.products + block * kTile * row, row, bias + first, s.columns);
    const int channels = static_cast<int>(smaller(kChannelBlock, p.out.channels - first));
    for (std::int64_t i = first_window; i < end_window; ++i) {
      const real* window_rows[kKilledByRelu];
      for (std::int64_t a = 0; a < sink.pool_h; ++a) {
        window_rows[a] = block_row(i * sink.pool_h + a);
      }
      const std::int64_t to =
          ((s.sample * p.out.channels + first) * pooled_h + i) * pooled_w + first_column;
      pool(sink.data + to, sink.index + to, pooled_h * pooled_w, window_rows, channels, sink,
           windows);
    }
  }
}

}  // namespace
}  // namespace serenade::cpu::SERENADE_ISA
