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

#include <omp.h>

#include <algorithm>

#include "kernels/cpu/conv2d_winograd_weight.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(Conv2dWinogradWeightSimd, conv2d_winograd_weight_simd);

namespace {

constexpr std::int64_t kBlock = kWinogradBlock;
constexpr std::int64_t kTile = kWinogradTile;

std::int64_t ceil_div(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

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
    constexpr std::int64_t kMostStripTiles = 32;  // the rows of a strip stay in the caches
    constexpr std::int64_t kMostPartials = 64;
    constexpr std::int64_t kLeastTiles =
        128;  // of a partial: adding it up costs about as much as 3
    tap_rows = kTile + 1 - s.R;
    tap_columns = kTile + 1 - s.S;
    tile_rows = ceil_div(out_h, tap_rows);
    tile_columns = ceil_div(out_w, tap_columns);
    strip_tiles = ceil_div(tile_columns, ceil_div(tile_columns, kMostStripTiles));
    strips = ceil_div(tile_columns, strip_tiles);
    x_columns = strip_tiles * tap_columns + kTile - tap_columns;
    dy_columns = strip_tiles * tap_columns;
    input_blocks = ceil_div(s.C, kBlock);
    output_blocks = ceil_div(s.K, kBlock);
    tiles = s.N * tile_rows * tile_columns;
    const std::int64_t most =
        std::min(kMostPartials / (input_blocks * output_blocks), tiles / kLeastTiles);
    partials = 1;  // a power of two, so that two, four or eight threads get equal shares
    while (2 * partials <= most) partials *= 2;
  }

  std::int64_t sums() const { return input_blocks * output_blocks * kWinogradSums; }
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

// The memory of one thread, in numbers, and its parts.
struct Memory {
  std::int64_t ring, columns, zeros, rows, gradient, products, sums;

  explicit Memory(const Plan& plan) {
    const std::int64_t wide = std::max(plan.x_columns, plan.dy_columns + 1) * kBlock;
    ring = plan.input_blocks * kTile * plan.x_columns * kBlock;
    columns = ring;
    zeros = wide;
    rows = 2 * kWinogradMostTaps * wide;
    gradient = plan.output_blocks * kTile * plan.dy_columns * kBlock;
    products = 2 * kTile * (plan.strip_tiles + 1) * kBlock;
    sums = plan.sums();
  }
  std::int64_t total() const { return ring + columns + zeros + rows + gradient + products + sums; }
};

// One thread's work on a partial sum.
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
    ring_sample_ = -1;
    while (begin < end) {
      const Unit unit(plan_, begin, end);
      begin += unit.tiles;
      add_unit(sums, unit, Unit(plan_, std::min(begin, end - 1), end), stretch == 0);
      stretch += unit.tiles;
      if (short_enough || (stretch < kStretch && begin < end)) continue;
      for (std::int64_t i = 0; i < plan_.sums(); ++i) {
        partial[i] = first_stretch ? sums[i] : partial[i] + sums[i];
      }
      first_stretch = false;
      stretch = 0;
    }
  }

 private:
  void add_unit(real* sums, const Unit& unit, const Unit& next, bool first) {
    read_input(unit);
    read_gradient(unit);
    const std::int64_t x_plane = plan_.x_columns * kBlock;
    const std::int64_t dy_plane = plan_.dy_columns * kBlock;
    for (std::int64_t k = 0; k < plan_.output_blocks; ++k) {
      for (std::int64_t c = 0; c < plan_.input_blocks; ++c, sums += kWinogradSums) {
        for (std::int64_t i = 0; i < kTile; ++i) {
          if (k == 0) prefetch_input(next, c * kBlock + 2 * i);
          if (c == 0) prefetch_gradient(next, k * kBlock + 2 * i);
          simd_.add_products(sums + i * kTile * kBlock * kBlock,
                             columns_ + (c * kTile + i) * x_plane,
                             gradient_ + (k * kTile + i) * dy_plane, plan_.tap_columns, unit.tiles,
                             first, products_);
        }
      }
    }
  }

  // Asks for what reading a unit will wait for, two channels at a time, while the products of the
  // unit before it are computed. Rows are short and far apart, which the processor's own
  // prefetching does not foresee.
  void prefetch_input(const Unit& unit, std::int64_t channel) const {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t left = std::max<std::int64_t>(unit.strip * plan_.dy_columns - s.pad_left, 0);
    const std::int64_t count = std::min(plan_.x_columns, s.W - left);
    const std::int64_t end = std::min((unit.row - 1) * plan_.tap_rows - s.pad_top + kTile, s.H);
    for (std::int64_t c = channel; c < std::min(channel + 2, s.C); ++c) {
      const std::int64_t first = (unit.sample * s.C + c) * s.H;
      for (std::int64_t h = std::max<std::int64_t>(end - plan_.tap_rows, 0); h < end; ++h) {
        prefetch(x_ + (first + h) * s.W + left, count);
      }
    }
  }

  void prefetch_gradient(const Unit& unit, std::int64_t channel) const {
    const std::int64_t height = plan_.out_h / dy_.pool_h;
    const std::int64_t width = plan_.out_w / dy_.pool_w;
    const std::int64_t left = unit.strip * plan_.dy_columns / dy_.pool_w;
    const std::int64_t count = std::min(plan_.dy_columns / dy_.pool_w + 1, width - left);
    const std::int64_t begin = unit.row * plan_.tap_rows / dy_.pool_h;
    const std::int64_t end =
        std::min(ceil_div((unit.row + 1) * plan_.tap_rows, dy_.pool_h), height);
    for (std::int64_t k = channel; k < std::min(channel + 2, plan_.shape.K); ++k) {
      const std::int64_t first = (unit.sample * plan_.shape.K + k) * height;
      for (std::int64_t h = begin; h < end; ++h) {
        prefetch(dy_.data + (first + h) * width + left, count);
        if (dy_.index != nullptr) prefetch(dy_.index + (first + h) * width + left, count);
      }
    }
  }

  template <class T>
  static void prefetch(const T* from, std::int64_t count) {
    constexpr std::int64_t kLine = 64 / sizeof(T);
    for (std::int64_t i = 0; i < count; i += kLine) __builtin_prefetch(from + i, 0, 2);
    if (count > 0) __builtin_prefetch(from + count - 1, 0, 2);
  }

  // The transformed columns of the unit's input tiles. Rows that the unit above has read are kept.
  void read_input(const Unit& unit) {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t plane = plan_.x_columns * kBlock;
    const std::int64_t top = unit.row * plan_.tap_rows - s.pad_top;
    const bool below = unit.sample == ring_sample_ && unit.strip == ring_strip_ &&
                       top == ring_top_ + plan_.tap_rows;
    const std::int64_t kept = below ? kTile - plan_.tap_rows : 0;
    ring_sample_ = unit.sample;
    ring_strip_ = unit.strip;
    ring_top_ = top;
    for (std::int64_t c = 0; c < plan_.input_blocks; ++c) {
      real* const ring = ring_ + c * kTile * plane;
      const real* rows[kTile];
      for (std::int64_t h = 0; h < kTile; ++h) {
        // (top is at least 1 - R.)
        real* const row = ring + (top + kTile + h) % kTile * plane;
        if (h >= kept) read_input_row(row, unit, c * kBlock, top + h);
        rows[h] = row + unit.first_tile * plan_.tap_columns * kBlock;
      }
      simd_.input_columns(columns_ + c * kTile * plane, plane, rows,
                          unit.tiles * plan_.tap_columns + kTile - plan_.tap_columns);
    }
  }

  void read_input_row(real* to, const Unit& unit, std::int64_t channel, std::int64_t h) {
    const Conv2dShape& s = plan_.shape;
    const std::int64_t left = unit.strip * plan_.dy_columns - s.pad_left;
    const std::int64_t begin = std::max<std::int64_t>(left, 0);
    const std::int64_t end = std::max(begin, std::min(left + plan_.x_columns, s.W));
    if (h < 0 || h >= s.H || begin == end) {
      std::fill(to, to + plan_.x_columns * kBlock, real(0));
      return;
    }
    std::fill(to, to + (begin - left) * kBlock, real(0));
    const real* from = x_ + ((unit.sample * s.C + channel) * s.H + h) * s.W + begin;
    simd_.channel_last(to + (begin - left) * kBlock, from, s.H * s.W,
                       std::min(kBlock, s.C - channel), end - begin);
    std::fill(to + (end - left) * kBlock, to + plan_.x_columns * kBlock, real(0));
  }

  // The gradient of the unit's output tiles at the 8 points, down the columns.
  void read_gradient(const Unit& unit) {
    for (std::int64_t k = 0; k < plan_.output_blocks; ++k) {
      WinogradGradientRows rows;
      if (dy_.index == nullptr) {
        read_dense_rows(rows, unit, k * kBlock);
      } else {
        read_pooled_rows(rows, unit, k * kBlock);
      }
      simd_.gradient_columns(gradient_ + k * kTile * plan_.dy_columns * kBlock,
                             plan_.dy_columns * kBlock, rows, plan_.tap_rows,
                             unit.tiles * plan_.tap_columns);
    }
  }

  void read_dense_rows(WinogradGradientRows& rows, const Unit& unit, std::int64_t channel) {
    const std::int64_t left = unit.strip * plan_.dy_columns + unit.first_tile * plan_.tap_columns;
    const std::int64_t count = unit.tiles * plan_.tap_columns;
    const std::int64_t stored = std::min(count, plan_.out_w - left);
    const std::int64_t plane = plan_.out_h * plan_.out_w;
    for (std::int64_t r = 0; r < plan_.tap_rows; ++r) {
      const std::int64_t h = unit.row * plan_.tap_rows + r;
      real* const row = rows_ + r * count * kBlock;
      rows.value[r] = h < plan_.out_h ? row : zeros_;
      rows.place[r] = nullptr;
      if (h >= plan_.out_h) continue;
      const real* from =
          dy_.data + ((unit.sample * plan_.shape.K + channel) * plan_.out_h + h) * plan_.out_w;
      simd_.channel_last(row, from + left, plane, std::min(kBlock, plan_.shape.K - channel),
                         stored);
      std::fill(row + stored * kBlock, row + count * kBlock, real(0));
    }
  }

  // Each pooled row is read once and serves all of the tile's rows that it was pooled from.
  void read_pooled_rows(WinogradGradientRows& rows, const Unit& unit, std::int64_t channel) {
    const std::int64_t pooled_h = plan_.out_h / dy_.pool_h;
    const std::int64_t pooled_w = plan_.out_w / dy_.pool_w;
    const std::int64_t w = unit.strip * plan_.dy_columns + unit.first_tile * plan_.tap_columns;
    const std::int64_t left = w / dy_.pool_w;
    const std::int64_t count =
        ceil_div(w + unit.tiles * plan_.tap_columns, dy_.pool_w) - left;  // windows
    const std::int64_t stored = std::clamp<std::int64_t>(pooled_w - left, 0, count);
    const std::int64_t plane = pooled_h * pooled_w;
    rows.pool_w = dy_.pool_w;
    rows.phase = w % dy_.pool_w;
    real* value = rows_;
    std::int64_t held = -1;  // pooled row that `value` holds
    for (std::int64_t r = 0; r < plan_.tap_rows; ++r) {
      const std::int64_t h = unit.row * plan_.tap_rows + r;
      const std::int64_t i = h / dy_.pool_h;
      rows.first_place[r] = static_cast<real>(h % dy_.pool_h * dy_.pool_w);
      if (i >= pooled_h) {  // below the image, or dropped by the pool
        rows.value[r] = zeros_;
        rows.place[r] = zeros_;
        continue;
      }
      if (i != held) {
        if (held >= 0) value += 2 * count * kBlock;
        held = i;
        const std::int64_t from =
            ((unit.sample * plan_.shape.K + channel) * pooled_h + i) * pooled_w + left;
        const std::int64_t channels = std::min(kBlock, plan_.shape.K - channel);
        real* const place = value + count * kBlock;
        simd_.channel_last(value, dy_.data + from, plane, channels, stored);
        simd_.channel_last_bytes(place, dy_.index + from, plane, channels, stored);
        std::fill(value + stored * kBlock, place, real(0));
        std::fill(place + stored * kBlock, place + count * kBlock, real(0));
      }
      rows.value[r] = value;
      rows.place[r] = value + count * kBlock;
    }
  }

  const Conv2dWinogradWeightSimd& simd_ = conv2d_winograd_weight_simd();
  const Plan& plan_;
  const RowSource& dy_;
  const real* x_;
  real* ring_;      // the 8 input rows of a strip, row h in place h % 8: [block][8][x_columns]
  real* columns_;   // the same, columns transformed
  real* zeros_;     // a row of zeros
  real* rows_;      // the rows of a gradient tile
  real* gradient_;  // the same, columns transformed: [block][8][dy_columns]
  real* products_;  // for add_products
  real* sums_;      // of a stretch of tiles: [output block][input block][64][16][16]
  std::int64_t ring_sample_ = -1, ring_strip_ = 0, ring_top_ = 0;
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
  real* const partials = scratch(partials_size + omp_get_max_threads() * per_thread);
  real* const memory = partials + partials_size;
#pragma omp parallel
  {
    Worker worker(plan, dy, x, memory + omp_get_thread_num() * per_thread);
#pragma omp for schedule(dynamic)
    for (std::int64_t p = 0; p < plan.partials; ++p) {
      worker.run(partials + p * plan.sums(), p * plan.tiles / plan.partials,
                 (p + 1) * plan.tiles / plan.partials);
    }
#pragma omp for schedule(static)
    for (std::int64_t i = 0; i < plan.output_blocks * shape.C; ++i) {
      finish(dweight, partials, plan, i / shape.C, i % shape.C);
    }
  }
}

}  // namespace serenade::cpu
