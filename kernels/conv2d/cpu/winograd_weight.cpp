// Convolution, v3: weight gradient by Winograd's algorithm (Lavin and Gray 2016; Winograd 1980),
// stride 1, kernels of 3 to 7 rows and columns.
//
// Inside one tile the weight gradient is itself a small correlation, dW[r][s] = sum over the tile's
// outputs of dy[i][j] x[i + r][j + s], in which dy takes the place of the kernel. So with the
// matrices of the forward pass for R results out of 9 - R taps, per tile and pair of channels,
//
//   dW = A^T [ sum over tiles (G dy G^T) * (B^T x B) ] A        * : element by element
//
// an input tile has 8 x 8 pixels, a gradient tile (9 - R) x (9 - S). A^T is applied once, after all
// tiles have been added up, so it costs nothing. What remains per tile and pair of channels is 64
// multiply-adds in place of R S (9 - R)(9 - S): 400 for 5x5, 324 for 6x6.
//
// Everything runs on blocks of 16 channels in channel-last form: the rows of x and dy are
// transposed once, transforms then work on whole vectors, and the products of a point are the outer
// products of 16 by 16 channels, summed over tiles in registers. A pooled gradient is transposed
// together with its index and expanded while it is read, so the map before pooling never exists.

#include <algorithm>

#include "kernels/conv2d/cpu/versions.h"
#include "kernels/conv2d/cpu/winograd_weight.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(Conv2dWinogradWeightSimd, conv2d_winograd_weight_simd);

namespace {

constexpr std::int64_t kBlock = kWinogradBlock;
constexpr std::int64_t kTile = kWinogradTile;

// How the work is cut. A function of the shape alone, never of the number of threads.
struct Plan {
  Conv2dShape shape;
  std::int64_t out_h, out_w;
  std::int64_t tap_rows, tap_columns;        // of a gradient tile
  std::int64_t tile_rows, tile_columns;      // tiles of an image
  std::int64_t strips, strip_tiles;          // of tile_columns; the last strip may have fewer
  std::int64_t x_columns, dy_columns;        // pixels of a strip's row
  std::int64_t input_blocks, output_blocks;  // of channels
  std::int64_t tiles;                        // of all samples
  std::int64_t partials;

  explicit Plan(const Conv2dShape& s) : shape(s), out_h(s.out_h()), out_w(s.out_w()) {
    constexpr std::int64_t kMaxStripTiles = 64;  // the rows of a strip stay in the caches
    constexpr std::int64_t kMaxPartials = 64;    // of 16 to 16 channels, 64 KB each
    constexpr std::int64_t kFewPartials = 4;     // whatever their size: so many threads have work
    constexpr std::int64_t kMinTiles = 128;  // of a partial: adding it up costs about as much as 3
    tap_rows = kTile + 1 - s.R;
    tap_columns = kTile + 1 - s.S;
    tile_rows = ceil_div(out_h, tap_rows);
    tile_columns = ceil_div(out_w, tap_columns);
    strip_tiles = ceil_div(tile_columns, ceil_div(tile_columns, kMaxStripTiles));
    strips = ceil_div(tile_columns, strip_tiles);
    x_columns = strip_tiles * tap_columns + kTile - tap_columns;
    dy_columns = strip_tiles * tap_columns;
    input_blocks = ceil_div(s.C, kBlock);
    output_blocks = ceil_div(s.K, kBlock);
    tiles = s.N * tile_rows * tile_columns;
    const std::int64_t most = std::min(
        std::max(kMaxPartials / (input_blocks * output_blocks), kFewPartials), tiles / kMinTiles);
    partials = 1;  // a power of two, so that two, four or eight threads get equal shares
    while (2 * partials <= most) partials *= 2;
  }

  std::int64_t sums() const { return input_blocks * output_blocks * kWinogradSums; }
  // Elements of the longest row of a strip in channel-last form (dy: one more window than columns).
  std::int64_t row_size() const { return std::max(x_columns, dy_columns + 1) * kBlock; }
  // Columns of the image that a strip reads: begin .. end - 1 of those from left on.
  std::int64_t x_left(std::int64_t strip) const { return strip * dy_columns - shape.pad_left; }
  std::int64_t x_begin(std::int64_t strip) const {
    return std::clamp<std::int64_t>(x_left(strip), 0, shape.W);
  }
  std::int64_t x_end(std::int64_t strip) const {
    return std::clamp<std::int64_t>(x_left(strip) + x_columns, 0, shape.W);
  }
};

// Some neighbouring tiles of one row of tiles.
struct Unit {
  std::int64_t sample, strip, row;
  std::int64_t first_tile, tiles;  // within the strip

  // The unit that begins at tile `begin`, counted along rows, down strips, over samples, and ends
  // at tile `end` at the latest.
  Unit(const Plan& plan, std::int64_t begin, std::int64_t end) {
    const std::int64_t per_sample = plan.tile_rows * plan.tile_columns;
    sample = begin / per_sample;
    const std::int64_t in_sample = begin % per_sample;
    strip = in_sample / (plan.tile_rows * plan.strip_tiles);
    const std::int64_t in_strip = in_sample % (plan.tile_rows * plan.strip_tiles);
    const std::int64_t width =
        std::min(plan.strip_tiles, plan.tile_columns - strip * plan.strip_tiles);
    row = in_strip / width;
    first_tile = in_strip % width;
    tiles = std::min(width - first_tile, end - begin);
  }
};

// The memory of one thread, in elements, and its parts.
struct Memory {
  std::int64_t ring, columns, zeros, rows, gradient, products, sums;

  explicit Memory(const Plan& plan) {
    ring = plan.input_blocks * kTile * plan.x_columns * kBlock;
    columns = ring;
    zeros = plan.row_size();
    rows = plan.output_blocks * plan.tap_rows * 2 * plan.row_size();
    gradient = plan.output_blocks * kTile * plan.dy_columns * kBlock;
    products = 2 * kTile * (plan.strip_tiles + 1) * kBlock;
    sums = plan.sums();
  }
  std::int64_t total() const { return ring + columns + zeros + rows + gradient + products + sums; }
};

// One thread's work on a partial sum.
//
// Rows of a unit are read (made channel-last) while the products of the unit before it are
// computed, a few at a time, and are asked for a little earlier still. They lie `plane` elements
// apart for each channel, which the processor's own prefetching does not foresee, and often a
// multiple of a page: then all channels fall into the same few sets of a cache, which cannot hold
// them for long.
class Worker {
 public:
  Worker(const Plan& plan, const RowSource& dy, const real* x, real* memory)
      : plan_(plan), dy_(dy), x_(x) {
    const Memory sizes(plan);
    ring_ = memory;
    columns_ = ring_ + sizes.ring;
    zeros_ = columns_ + sizes.columns;
    rows_ = zeros_ + sizes.zeros;
    gradient_ = rows_ + sizes.rows;
    products_ = gradient_ + sizes.gradient;
    sums_ = products_ + sizes.products;
    std::fill(zeros_, zeros_ + sizes.zeros, real(0));
  }

  // partial = the sums over tiles begin .. end - 1.
  void run(real* partial, std::int64_t begin, std::int64_t end) {
    // Long sums of float lose digits, so stretches of tiles are added up on their own first.
    constexpr std::int64_t kStretch = 1024;
    const bool short_enough = end - begin <= kStretch;
    real* const sums = short_enough ? partial : sums_;
    std::int64_t stretch = 0;
    bool first_stretch = true;
    Unit unit(plan_, begin, end);
    Reading reading(plan_, dy_, unit, nullptr);
    for (std::int64_t row = 0; row < reading.rows(); ++row) read(reading, row);
    while (begin < end) {
      transform_columns(unit);
      begin += unit.tiles;
      const Unit next(plan_, std::min(begin, end - 1), end);
      reading = Reading(plan_, dy_, next, &unit);
      if (begin == end) reading.x_rows = reading.dy_rows = 0;
      add_products(sums, unit, reading, stretch == 0);
      stretch += unit.tiles;
      unit = next;
      if (short_enough || (stretch < kStretch && begin < end)) continue;
      for (std::int64_t i = 0; i < plan_.sums(); ++i) {
        partial[i] = first_stretch ? sums[i] : partial[i] + sums[i];
      }
      first_stretch = false;
      stretch = 0;
    }
  }

 private:
  // The rows of x and dy that a unit needs and the unit before it has not read.
  struct Reading {
    Unit unit;
    std::int64_t x_first, x_rows;    // of the image; rows beyond its edge included
    std::int64_t dy_first, dy_rows;  // of dy as it is stored, pooled or not
    std::int64_t rows() const { return x_rows + dy_rows; }

    Reading(const Plan& plan, const RowSource& dy, const Unit& unit, const Unit* before)
        : unit(unit) {
      const bool below = before != nullptr && before->sample == unit.sample &&
                         before->strip == unit.strip && before->row + 1 == unit.row;
      const std::int64_t top = unit.row * plan.tap_rows - plan.shape.pad_top;
      x_rows = below ? plan.tap_rows : kTile;
      x_first = top + kTile - x_rows;
      dy_first = unit.row * plan.tap_rows / dy.pool_h;
      const std::int64_t end =
          std::min(ceil_div((unit.row + 1) * plan.tap_rows, dy.pool_h), plan.out_h / dy.pool_h);
      dy_rows = std::max<std::int64_t>(end - dy_first, 0);
    }
  };

  void add_products(real* sums, const Unit& unit, const Reading& reading, bool first) {
    constexpr std::int64_t kSteps = kTile - 1;  // nothing has been asked for in the first one
    for (std::int64_t i = 0; i < kTile; ++i) {
      const std::int64_t wanted = (i + 1) * reading.rows() / kSteps;
      const std::int64_t asked = i * reading.rows() / kSteps;
      const std::int64_t done = (i - 1) * reading.rows() / kSteps;
      for (std::int64_t row = asked; row < wanted && i < kSteps; ++row) prefetch(reading, row);
      for (std::int64_t row = done; row < asked && i > 0; ++row) read(reading, row);
      for (std::int64_t k = 0; k < plan_.output_blocks; ++k) {
        for (std::int64_t c = 0; c < plan_.input_blocks; ++c) {
          simd_.add_products(
              sums + ((k * plan_.input_blocks + c) * kTile + i) * kTile * kBlock * kBlock,
              columns_ + (c * kTile + i) * plan_.x_columns * kBlock,
              gradient_ + (k * kTile + i) * plan_.dy_columns * kBlock, plan_.tap_columns,
              unit.tiles, first, products_);
        }
      }
    }
  }

  // The columns of the unit's tiles transformed, of x and of dy.
  void transform_columns(const Unit& unit) {
    const std::int64_t x_plane = plan_.x_columns * kBlock;
    const std::int64_t count = unit.tiles * plan_.tap_columns;
    for (std::int64_t c = 0; c < plan_.input_blocks; ++c) {
      const real* rows[kTile];
      for (std::int64_t h = 0; h < kTile; ++h) {
        rows[h] = ring_row(c, unit.row * plan_.tap_rows - plan_.shape.pad_top + h) +
                  unit.first_tile * plan_.tap_columns * kBlock;
      }
      simd_.input_columns(columns_ + c * kTile * x_plane, x_plane, rows,
                          count + kTile - plan_.tap_columns);
    }
    const std::int64_t dy_plane = plan_.dy_columns * kBlock;
    const Windows windows(plan_, dy_, unit);
    WinogradGradientRows rows;
    rows.pool_w = dy_.pool_w;
    rows.phase = windows.phase;
    for (std::int64_t k = 0; k < plan_.output_blocks; ++k) {
      for (std::int64_t r = 0; r < plan_.tap_rows; ++r) {
        const std::int64_t h = unit.row * plan_.tap_rows + r;
        const bool exists = h / dy_.pool_h < plan_.out_h / dy_.pool_h;  // else dropped by the pool
        const std::int64_t slot = h / dy_.pool_h - unit.row * plan_.tap_rows / dy_.pool_h;
        rows.value[r] = exists ? gradient_row(k, slot) : zeros_;
        rows.position[r] = dy_.index == nullptr ? nullptr
                           : exists             ? rows.value[r] + plan_.row_size()
                                                : zeros_;
        rows.first_position[r] = static_cast<real>(h % dy_.pool_h * dy_.pool_w);
      }
      simd_.gradient_columns(gradient_ + k * kTile * dy_plane, dy_plane, rows, plan_.tap_rows,
                             count);
    }
  }

  // The windows of dy that a unit needs from a row of it.
  struct Windows {
    std::int64_t left, phase;
    std::int64_t count;   // beyond the image too
    std::int64_t stored;  // of them in the image
    Windows(const Plan& plan, const RowSource& dy, const Unit& unit) {
      const std::int64_t w = unit.strip * plan.dy_columns + unit.first_tile * plan.tap_columns;
      left = w / dy.pool_w;
      phase = w % dy.pool_w;
      count = ceil_div(w + unit.tiles * plan.tap_columns, dy.pool_w) - left;
      stored = std::clamp<std::int64_t>(plan.out_w / dy.pool_w - left, 0, count);
    }
  };

  // (Rows of padding have indices from 1 - R on.)
  real* ring_row(std::int64_t block, std::int64_t h) const {
    return ring_ + (block * kTile + (h + kTile) % kTile) * plan_.x_columns * kBlock;
  }
  real* gradient_row(std::int64_t block, std::int64_t slot) const {
    return rows_ + (block * plan_.tap_rows + slot) * 2 * plan_.row_size();
  }

  // Where row h of a channel begins, at the first column that a unit needs.
  const real* input(const Unit& unit, std::int64_t channel, std::int64_t h) const {
    const Conv2dShape& s = plan_.shape;
    return x_ + ((unit.sample * s.C + channel) * s.H + h) * s.W + plan_.x_begin(unit.strip);
  }
  std::int64_t gradient(const Windows& windows, const Unit& unit, std::int64_t channel,
                        std::int64_t row) const {
    const std::int64_t height = plan_.out_h / dy_.pool_h;
    const std::int64_t width = plan_.out_w / dy_.pool_w;
    return ((unit.sample * plan_.shape.K + channel) * height + row) * width + windows.left;
  }

  void prefetch(const Reading& reading, std::int64_t row) const {
    const Unit& unit = reading.unit;
    if (row < reading.x_rows) {
      const std::int64_t h = reading.x_first + row;
      if (h < 0 || h >= plan_.shape.H) return;
      const std::int64_t count = plan_.x_end(unit.strip) - plan_.x_begin(unit.strip);
      for (std::int64_t c = 0; c < plan_.shape.C; ++c) prefetch(input(unit, c, h), count);
      return;
    }
    const Windows windows(plan_, dy_, unit);
    for (std::int64_t k = 0; k < plan_.shape.K; ++k) {
      const std::int64_t from = gradient(windows, unit, k, reading.dy_first + row - reading.x_rows);
      prefetch(dy_.data + from, windows.stored);
      if (dy_.index != nullptr) prefetch(dy_.index + from, windows.stored);
    }
  }

  template <class T>
  static void prefetch(const T* from, std::int64_t count) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i, 0, 2);
    if (count > 0) __builtin_prefetch(from + count - 1, 0, 2);
  }

  // A row of 16 channels. From the first whole cache line on, so that (where planes are whole
  // lines, too) no load needs two lines: 16 channels a multiple of a page apart would drive a line
  // out of the first-level cache before its other half is wanted. The columns before overlap with
  // it.
  void read_row(real* to, const real* from, std::int64_t plane, std::int64_t channels,
                std::int64_t count) const {
    constexpr std::int64_t kLine = 64 / sizeof(real);
    const auto position = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(from) % 64);
    const std::int64_t before = (64 - position) % 64 / static_cast<std::int64_t>(sizeof(real));
    if (before > 0 && count >= 2 * kLine) {
      simd_.channel_last(to, from, plane, channels, kLine);
      to += before * kBlock;
      from += before;
      count -= before;
    }
    simd_.channel_last(to, from, plane, channels, count);
  }

  void read(const Reading& reading, std::int64_t row) {
    if (row < reading.x_rows) {
      read_input(reading.unit, reading.x_first + row);
    } else {
      read_gradient(reading.unit, reading.dy_first, row - reading.x_rows);
    }
  }

  // Row h of a strip, with zeros where the kernel reaches over the edge of the image.
  void read_input(const Unit& unit, std::int64_t h) {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t left = plan_.x_left(unit.strip);
    const std::int64_t begin = plan_.x_begin(unit.strip), end = plan_.x_end(unit.strip);
    for (std::int64_t block = 0; block < plan_.input_blocks; ++block) {
      real* const to = ring_row(block, h);
      real* const to_end = to + plan_.x_columns * kBlock;
      if (h < 0 || h >= s.H || begin == end) {
        std::fill(to, to_end, real(0));
        continue;
      }
      std::fill(to, to + (begin - left) * kBlock, real(0));
      read_row(to + (begin - left) * kBlock, input(unit, block * kBlock, h), s.H * s.W,
               std::min(kBlock, s.C - block * kBlock), end - begin);
      std::fill(to + (end - left) * kBlock, to_end, real(0));
    }
  }

  // A row of dy, which serves all rows of a tile that it was pooled from.
  void read_gradient(const Unit& unit, std::int64_t first, std::int64_t slot) {
    const Windows windows(plan_, dy_, unit);
    const std::int64_t plane = (plan_.out_h / dy_.pool_h) * (plan_.out_w / dy_.pool_w);
    for (std::int64_t block = 0; block < plan_.output_blocks; ++block) {
      const std::int64_t from = gradient(windows, unit, block * kBlock, first + slot);
      const std::int64_t channels = std::min(kBlock, plan_.shape.K - block * kBlock);
      real* const value = gradient_row(block, slot);
      read_row(value, dy_.data + from, plane, channels, windows.stored);
      std::fill(value + windows.stored * kBlock, value + windows.count * kBlock, real(0));
      if (dy_.index == nullptr) continue;
      real* const position = value + plan_.row_size();
      simd_.channel_last_bytes(position, dy_.index + from, plane, channels, windows.stored);
      std::fill(position + windows.stored * kBlock, position + windows.count * kBlock, real(0));
    }
  }

  const Conv2dWinogradWeightSimd& simd_ = conv2d_winograd_weight_simd();
  const Plan& plan_;
  const RowSource& dy_;
  const real* x_;
  real* ring_;      // 8 input rows of a strip, row h in slot h % 8: [block][8][x_columns]
  real* columns_;   // the same, columns transformed
  real* zeros_;     // a row of zeros
  real* rows_;      // the rows of a gradient tile: [block][tap_rows][value, position]
  real* gradient_;  // the same, columns transformed: [block][8][dy_columns]
  real* products_;  // for add_products
  real* sums_;      // of a stretch of tiles: [output block][input block][64][16][16]
};

// dweight += the gradient of input channel c for the output channels of block k.
void finish(real* dweight, const real* partials, const Plan& plan, std::int64_t k, std::int64_t c) {
  const Conv2dShape& s = plan.shape;
  const std::int64_t taps = s.R * s.S;
  real gradient[7 * 7 * kBlock];
  const std::int64_t block = k * plan.input_blocks + c / kBlock;
  conv2d_winograd_weight_simd().finish(gradient,
                                       partials + block * kWinogradSums + c % kBlock * kBlock,
                                       plan.partials, plan.sums(), s.R, s.S);
  const std::int64_t channels = std::min(kBlock, s.K - k * kBlock);
  for (std::int64_t o = 0; o < channels; ++o) {
    real* const to = dweight + ((k * kBlock + o) * s.C + c) * taps;
    for (std::int64_t tap = 0; tap < taps; ++tap) to[tap] += gradient[tap * kBlock + o];
  }
}

}  // namespace

void conv2d_backward_weight_v3_winograd(real* dweight, const RowSource& dy, const real* x,
                                        const Conv2dShape& shape) {
  const Plan plan(shape);
  const std::int64_t per_thread = Memory(plan).total();
  const std::int64_t partials_size = plan.partials * plan.sums();
  real* const partials = scratch(partials_size + thread_count() * per_thread);
  real* const memory = partials + partials_size;
  parallel_each(plan.partials, [&](std::int64_t p) {
    Worker worker(plan, dy, x, memory + thread_index() * per_thread);
    worker.run(partials + p * plan.sums(), p * plan.tiles / plan.partials,
               (p + 1) * plan.tiles / plan.partials);
  });
  parallel_for(plan.output_blocks * shape.C,
               [&](std::int64_t i) { finish(dweight, partials, plan, i / shape.C, i % shape.C); });
}

}  // namespace serenade::cpu
