// Convolution, v4: the matrix product of v1 without its matrix (the implicit product of Chetlur et
// al., "cuDNN: efficient primitives for deep learning", 2014, section 3).
//
// With the weight as [K, taps], taps = C * R * S, and the im2col matrix as [taps, pixels]
//   forward:          y        = weight columns
//   backward input:   columns  = weight^T dy, then every entry is added to the x it came from
//   backward weight:  dweight += dy columns^T
// A product packs its operands into panels anyway (kernels/gemm/cpu/packed_simd.h). Here the panels
// of columns are packed straight from a window of the image (window.h), and those of the weight
// once for all units. Each thread packs what it multiplies: panels that another core has just
// written come slower than they are packed.

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/implicit_simd.h"
#include "kernels/conv2d/cpu/units.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/conv2d/cpu/window.h"
#include "kernels/gemm/cpu/packed_simd.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(ImplicitSimd, implicit_simd);

namespace {

// Of a thread's operands: a panel of columns is swept over by all rows, while it is in the
// second-level cache beside the sums.
constexpr std::int64_t kDepth = 384;
constexpr std::int64_t kColumns = 384;
constexpr std::int64_t kOperand = 64 * 1024;  // elements
constexpr std::int64_t kItems = 16;           // pieces of work for threads to share, at least
constexpr std::int64_t kSlice = 32;           // rows that are packed at a time (see pack_matrix)

std::int64_t round_up(std::int64_t count, std::int64_t step) {
  return ceil_div(count, step) * step;
}

// Rows of a matrix in panels of nearly equal height, each with room for what packing spills.
struct RowPanels {
  std::int64_t rows, panels, pitch;

  RowPanels(std::int64_t row_count, std::int64_t depth)
      : rows(row_count),
        panels(ceil_div(rows, gemm_simd().tile_rows)),
        pitch(round_up(gemm_simd().tile_rows * depth + gemm_simd().tile_columns, 16)) {}

  std::int64_t size() const { return panels * pitch; }
  std::int64_t first(std::int64_t panel) const { return rows * panel / panels; }
  std::int64_t count(std::int64_t panel) const { return first(panel + 1) - first(panel); }
};

// Columns of a panel or more, as the runs that they are in a window.
class Runs {
 public:
  explicit Runs(std::int64_t most) {
    runs_.reserve(most);
    first_.reserve(most + 1);
  }

  // Column j lies at offsets[j]; panels have `width` columns.
  void set(const std::int64_t* offsets, std::int64_t columns, std::int64_t width) {
    runs_.clear();
    first_.clear();
    for (std::int64_t j = 0; j < columns; ++j) {
      if (j % width == 0) {
        first_.push_back(runs_.size());
      } else if (Run& last = runs_.back(); offsets[j] == last.from + last.length) {
        ++last.length;
        continue;
      }
      runs_.push_back({j % width, offsets[j], 1});
    }
    first_.push_back(runs_.size());
    width_ = width;
  }

  void pack(real* panels, const real* window, const std::int64_t* offsets,
            std::int64_t depth) const {
    for (std::size_t p = 0; p + 1 < first_.size(); ++p) {
      implicit_simd().pack_runs(panels + p * depth * width_, width_, window, offsets, depth,
                                &runs_[first_[p]], first_[p + 1] - first_[p]);
    }
  }
  void add(real* window, const real* row) const {
    implicit_simd().add_runs(window, row, runs_.data(), runs_.size());
  }

 private:
  std::vector<Run> runs_;
  std::vector<std::int64_t> first_;  // run of each panel
  std::int64_t width_ = 1;
};

std::vector<Runs> runs_of_threads(std::int64_t most) {
  return std::vector<Runs>(thread_count(), Runs(most));
}

// Offsets in a window of the taps of a channel, and of the pixels of a unit.
std::vector<std::int64_t> tap_offsets(const Conv2dShape& s, const Window& window) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t r = 0; r < s.R; ++r) {
    for (std::int64_t t = 0; t < s.S; ++t) offsets.push_back(window.tap(r, t));
  }
  return offsets;
}
std::vector<std::int64_t> pixel_offsets(const Conv2dShape& s, const UnitCut& cut,
                                        const Window& window) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t n = 0; n < cut.samples; ++n) {
    for (std::int64_t i = 0; i < cut.rows; ++i) {
      for (std::int64_t j = 0; j < s.out_w(); ++j) offsets.push_back(window.pixel(n, i, j));
    }
  }
  return offsets;
}

// Some taps of neighbouring channels, and the offsets of each in a window of these channels.
struct TapRange {
  std::int64_t begin, end, first_channel, channels;

  TapRange(const Conv2dShape& s, std::int64_t first, std::int64_t count)
      : begin(first), end(std::min(first + count, s.C * s.R * s.S)) {
    first_channel = begin / (s.R * s.S);
    channels = ceil_div(end, s.R * s.S) - first_channel;
  }
  std::int64_t size() const { return end - begin; }

  void set_offsets(std::int64_t* offsets, const std::vector<std::int64_t>& of_taps,
                   std::int64_t channel) const {
    const auto area = static_cast<std::int64_t>(of_taps.size());
    for (std::int64_t t = begin; t < end; ++t) {
      offsets[t - begin] = (t / area - first_channel) * channel + of_taps[t % area];
    }
  }
  // Most channels that `count` taps can touch.
  static std::int64_t most_channels(const Conv2dShape& s, std::int64_t count) {
    const std::int64_t area = s.R * s.S;
    return std::min(s.C, count % area == 0 ? count / area : count / area + 2);
  }
};

// A matrix of columns stored row by row into panels: some rows of all panels at a time, since a row
// of one panel is a line or two of a page of memory.
void pack_matrix(real* panels, const real* matrix, std::int64_t pitch, std::int64_t depth,
                 std::int64_t columns) {
  const GemmSimd& simd = gemm_simd();
  for (std::int64_t l = 0; l < depth; l += kSlice) {
    for (std::int64_t j = 0; j < columns; j += simd.tile_columns) {
      simd.pack_columns(panels + j * depth + l * simd.tile_columns, matrix + l * pitch + j, pitch,
                        false, std::min(kSlice, depth - l),
                        std::min(simd.tile_columns, columns - j));
    }
  }
}

// dy of a unit as panels of rows. matrix: room for [K, pixels] where dy is pooled.
void pack_gradient(real* packed, const RowPanels& rows, const RowSource& dy, const Conv2dShape& s,
                   const Unit& unit, real* matrix) {
  const std::int64_t samples = dy.index == nullptr ? unit.samples : 1;
  const std::int64_t steps = unit.pixels / samples;
  const std::int64_t plane = s.out_h() * s.out_w();
  Matrix<const real> gradient = {dy.data + unit.n0 * s.K * plane + unit.i0 * s.out_w(), plane};
  if (dy.index != nullptr) gradient = gradient_of(dy, s, unit, matrix);
  for (std::int64_t panel = 0; panel < rows.panels; ++panel) {
    for (std::int64_t n = 0; n < samples; ++n) {
      gemm_simd().pack_rows(packed + panel * rows.pitch + n * steps * rows.count(panel),
                            gradient.data + (n * s.K + rows.first(panel)) * gradient.pitch,
                            gradient.pitch, false, steps, rows.count(panel));
    }
  }
}

// C = A B + beta C for a packed panel of rows and packed panels of columns.
void multiply(real* c, std::int64_t pitch, const real* panel, std::int64_t rows,
              const real* columns, std::int64_t count, std::int64_t depth, real beta) {
  const std::int64_t width = gemm_simd().tile_columns;
  gemm_simd().multiply(c, pitch, panel, columns, width, width * depth, depth, rows, count, 1, beta);
}

std::int64_t wanted_pixels(std::int64_t rows) {
  return std::clamp(kOperand / rows, gemm_simd().tile_columns, kColumns);
}

}  // namespace

void conv2d_forward_v4_implicit(const RowSink& y, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& s) {
  const GemmSimd& simd = gemm_simd();
  const UnitCut cut(s, wanted_pixels(s.K), y.pool_h, s.N);
  const Window window(s, cut, true, 1);
  const ImageShape image = {s.K, s.out_h(), s.out_w()};
  const std::int64_t taps = s.C * s.R * s.S, area = s.R * s.S;
  const std::int64_t depth = std::min(taps, area < kDepth ? kDepth / area * area : kDepth);
  const std::int64_t blocks = ceil_div(taps, depth);
  const std::int64_t pitch = round_up(cut.pixels, simd.tile_columns);
  const std::int64_t lanes = implicit_simd().lanes;
  // The bias is the weight of a tap that sees a 1 everywhere; it comes first.
  const std::int64_t ones = bias != nullptr ? 1 : 0;
  const std::int64_t channels = TapRange::most_channels(s, depth);
  const RowPanels rows(s.K, ones + depth);
  const std::int64_t window_size = round_up((channels + ones) * window.channel() + lanes, 16);
  const std::int64_t columns_size = (ones + depth) * pitch + round_up(lanes, 16);
  const std::int64_t per_thread = window_size + columns_size + s.K * pitch;

  real* const packed = scratch(blocks * rows.size() + per_thread * thread_count());
  real* const memory = packed + blocks * rows.size();
  std::vector<Runs> runs = runs_of_threads(cut.pixels);
  const std::vector<std::int64_t> pixels = pixel_offsets(s, cut, window);
  const std::vector<std::int64_t> of_taps = tap_offsets(s, window);
  std::vector<std::int64_t> offsets(1 + taps, channels * window.channel());
  for (std::int64_t b = 0; b < blocks; ++b) {
    TapRange(s, b * depth, depth).set_offsets(&offsets[1 + b * depth], of_taps, window.channel());
  }

  parallel_each(blocks * rows.panels, [&](std::int64_t i) {
    const std::int64_t first = i / rows.panels * depth, panel = i % rows.panels;
    const std::int64_t row = rows.first(panel), count = rows.count(panel);
    const std::int64_t before = first == 0 ? ones : 0;
    if (before == 1) std::copy_n(bias + row, count, packed + i * rows.pitch);
    simd.pack_rows(packed + i * rows.pitch + before * count, weight + row * taps + first, taps,
                   false, std::min(depth, taps - first), count);
  });
  // Sums that are complete after one block are written where they belong.
  const bool in_place = blocks == 1 && cut.samples == 1 && y.index == nullptr && !y.add;
  parallel_each(cut.units(), [&](std::int64_t u) {
    const Unit unit(s, cut, u);
    real* const seen = memory + thread_index() * per_thread;
    real* const columns = seen + window_size;
    real* const sums = in_place ? y.data + (unit.n0 * s.K * image.height + unit.i0) * image.width
                                : columns + columns_size;
    const std::int64_t sums_pitch = in_place ? image.height * image.width : pitch;
    Runs& own = runs[thread_index()];
    own.set(pixels.data(), unit.pixels, simd.tile_columns);
    std::fill_n(seen + channels * window.channel(), ones * window.channel(), real(1));
    for (std::int64_t b = 0; b < blocks; ++b) {
      const TapRange range(s, b * depth, depth);
      const std::int64_t before = b == 0 ? ones : 0, steps = before + range.size();
      for (std::int64_t c = 0; c < range.channels; ++c) {
        window.fill(seen + c * window.channel(), x, unit, range.first_channel + c);
      }
      own.pack(columns, seen, &offsets[1 + range.begin - before], steps);
      for (std::int64_t panel = 0; panel < rows.panels; ++panel) {
        multiply(sums + rows.first(panel) * sums_pitch, sums_pitch,
                 packed + (b * rows.panels + panel) * rows.pitch, rows.count(panel), columns,
                 unit.pixels, steps, b > 0 ? 1 : 0);
      }
    }
    for (std::int64_t n = 0; n < unit.samples && !in_place; ++n) {
      write_rows(y, image, unit.n0 + n, unit.i0, unit.rows, sums + n * unit.rows * image.width,
                 pitch, image.width);
    }
  });
}

void conv2d_backward_input_v4_implicit(real* dx, const RowSource& dy, const real* weight,
                                       const Conv2dShape& s) {
  const GemmSimd& simd = gemm_simd();
  const UnitCut cut(s, wanted_pixels(s.K), 1, s.N);
  const std::int64_t lanes = implicit_simd().lanes;
  // Runs of neighbouring rows must not touch: what one adds is loaded by the next too soon else.
  const Window window(s, cut, true, lanes);
  const std::int64_t taps = s.C * s.R * s.S, area = s.R * s.S;
  const std::int64_t pitch = round_up(cut.pixels, simd.tile_columns);
  // Row units of a sample overlap in dx, so they stay with one thread, in order; channels do not.
  const std::int64_t parts = std::clamp<std::int64_t>(ceil_div(kItems, cut.groups), 1, s.C);
  const auto channel_of = [&](std::int64_t part) { return s.C * part / parts; };
  const RowPanels largest(ceil_div(s.C, parts) * area, s.K);
  const std::int64_t window_size = round_up(window.channel() + lanes, 16);
  const std::int64_t tile_size = simd.tile_rows * pitch + round_up(lanes, 16);
  const std::int64_t per_thread = window_size + tile_size + 2 * s.K * pitch;

  real* const packed = scratch(parts * largest.size() + per_thread * thread_count());
  real* const memory = packed + parts * largest.size();
  std::vector<Runs> runs = runs_of_threads(cut.pixels);
  const std::vector<std::int64_t> pixels = pixel_offsets(s, cut, window);
  const std::vector<std::int64_t> of_taps = tap_offsets(s, window);

  // weight^T, some rows of the weight by neighbouring panels at a time.
  constexpr std::int64_t kPanels = 32;
  const std::int64_t packs = ceil_div(largest.panels, kPanels);
  parallel_each(parts * packs, [&](std::int64_t i) {
    const std::int64_t part = i / packs, begin = channel_of(part) * area;
    const RowPanels rows(channel_of(part + 1) * area - begin, s.K);
    const std::int64_t end = std::min((i % packs + 1) * kPanels, rows.panels);
    for (std::int64_t k = 0; k < s.K; k += kSlice) {
      for (std::int64_t panel = i % packs * kPanels; panel < end; ++panel) {
        simd.pack_rows(packed + part * largest.size() + panel * rows.pitch + k * rows.count(panel),
                       weight + k * taps + begin + rows.first(panel), taps, true,
                       std::min(kSlice, s.K - k), rows.count(panel));
      }
    }
  });
  parallel_each(cut.groups * parts, [&](std::int64_t i) {
    const std::int64_t group = i / parts, part = i % parts;
    const std::int64_t begin = channel_of(part) * area;
    const RowPanels rows(channel_of(part + 1) * area - begin, s.K);
    real* const seen = memory + thread_index() * per_thread;
    real* const tile = seen + window_size;
    real* const columns = tile + tile_size;
    Runs& own = runs[thread_index()];
    for (std::int64_t u = 0; u < cut.row_units; ++u) {
      const Unit unit(s, cut, group * cut.row_units + u);
      const Matrix<const real> gradient = gradient_of(dy, s, unit, columns + s.K * pitch);
      pack_matrix(columns, gradient.data, gradient.pitch, s.K, unit.pixels);
      own.set(pixels.data(), unit.pixels, pitch);
      for (std::int64_t panel = 0; panel < rows.panels; ++panel) {
        multiply(tile, pitch, packed + part * largest.size() + panel * rows.pitch,
                 rows.count(panel), columns, unit.pixels, s.K, 0);
        for (std::int64_t row = 0; row < rows.count(panel); ++row) {
          const std::int64_t t = begin + rows.first(panel) + row;
          if (t % area == 0) std::fill_n(seen, window.channel(), real(0));
          own.add(seen + of_taps[t % area], tile + row * pitch);
          if (t % area == area - 1) window.add(dx, seen, unit, t / area);
        }
      }
    }
  });
}

void conv2d_backward_weight_v4_implicit(real* dweight, const RowSource& dy, const real* x,
                                        const Conv2dShape& s) {
  const GemmSimd& simd = gemm_simd();
  const UnitCut cut(s, std::min(kDepth, wanted_pixels(s.K)), 1, s.N);
  const Window window(s, cut, false, 1);
  const std::int64_t taps = s.C * s.R * s.S, size = s.K * taps;
  // Threads share the taps, each with whole sums, or samples, each with partial sums; the former
  // pack dy again for every part.
  constexpr std::int64_t kFewestParts = 4, kPixelsOfPartial = 1024;
  const std::int64_t pixels_of_all = s.N * s.out_h() * s.out_w();
  const std::int64_t most =
      std::clamp<std::int64_t>(pixels_of_all / kPixelsOfPartial, 1, cut.units());
  const std::int64_t parts = ceil_div(kFewestParts, most);
  const std::int64_t width = std::min(std::max(wanted_pixels(s.K), kDepth / 3),
                                      round_up(ceil_div(taps, parts), simd.tile_columns));
  const std::int64_t tap_units = ceil_div(taps, width);
  std::int64_t partials = 1;
  while (2 * partials <= most && tap_units * partials < kItems) partials *= 2;
  const std::int64_t lanes = implicit_simd().lanes;
  const RowPanels rows(s.K, cut.pixels);
  const std::int64_t window_size =
      round_up(TapRange::most_channels(s, width) * window.channel() + lanes, 16);
  const std::int64_t columns_size = cut.pixels * width + round_up(lanes, 16);
  const std::int64_t matrix_size = dy.index == nullptr ? 0 : round_up(s.K * cut.pixels, 16);
  const std::int64_t per_thread = window_size + columns_size + rows.size() + matrix_size;

  const std::int64_t sums_size = partials > 1 ? round_up(partials * size, 16) : 0;
  real* const sums = scratch(sums_size + per_thread * thread_count());
  real* const memory = sums + sums_size;
  std::vector<Runs> runs = runs_of_threads(width);
  std::vector<std::vector<std::int64_t>> tap_tables(thread_count(),
                                                    std::vector<std::int64_t>(width));
  const std::vector<std::int64_t> pixels = pixel_offsets(s, cut, window);
  const std::vector<std::int64_t> of_taps = tap_offsets(s, window);

  parallel_each(partials * tap_units, [&](std::int64_t item) {
    const std::int64_t p = item / tap_units;
    const TapRange range(s, item % tap_units * width, width);
    real* const seen = memory + thread_index() * per_thread;
    real* const columns = seen + window_size;
    real* const packed = columns + columns_size;
    Runs& own = runs[thread_index()];
    std::vector<std::int64_t>& offsets = tap_tables[thread_index()];
    range.set_offsets(offsets.data(), of_taps, window.channel());
    own.set(offsets.data(), range.size(), simd.tile_columns);
    real* const sum = (partials > 1 ? sums + p * size : dweight) + range.begin;
    const std::int64_t first = p * cut.units() / partials;
    for (std::int64_t u = first; u < (p + 1) * cut.units() / partials; ++u) {
      const Unit unit(s, cut, u);
      for (std::int64_t c = 0; c < range.channels; ++c) {
        window.fill(seen + c * window.channel(), x, unit, range.first_channel + c);
      }
      own.pack(columns, seen, pixels.data(), unit.pixels);
      pack_gradient(packed, rows, dy, s, unit, packed + rows.size());
      for (std::int64_t panel = 0; panel < rows.panels; ++panel) {
        multiply(sum + rows.first(panel) * taps, taps, packed + panel * rows.pitch,
                 rows.count(panel), columns, range.size(), unit.pixels,
                 partials > 1 && u == first ? 0 : 1);
      }
    }
  });
  if (partials > 1) add_partials(dweight, sums, partials, size);
}

}  // namespace serenade::cpu
