// Convolution, v2: direct, register-blocked, stride 1. The image is padded and flattened block by
// block; the inner loops then see no edges at all (kernels/conv2d/cpu/conv2d_simd.h explains the
// form). The input gradient is the same operation on dy with the kernel rotated by 180 degrees and
// its two channel axes exchanged; the weight gradient has an inner loop of its own.

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/conv2d_simd.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

namespace {

constexpr std::int64_t kLine = 64 / sizeof(real);  // elements per cache line

// An odd number of cache lines between planes, so that the same pixel of many planes does not fall
// into the same few sets of the cache.
std::int64_t spread(std::int64_t plane) {
  const std::int64_t lines = ceil_div(plane, kLine);
  return (lines | 1) * kLine;
}

// A stride-1 correlation of an image of `in` with kernels of R x S that gives an image of `out`.
struct Geometry {
  std::int64_t samples;
  ImageShape in, out;
  std::int64_t R, S;
  std::int64_t top, left;

  std::int64_t taps() const { return in.channels * R * S; }
};

// How the output rows are cut into chunks, and the sizes of a chunk's buffers. A function of the
// shape and the instruction set, not of the number of threads.
struct Chunks {
  std::int64_t rows;        // output rows of a chunk; the last of a sample may have fewer
  std::int64_t per_sample;  // chunks of one sample
  std::int64_t units;       // chunks of all samples
  std::int64_t pitch;       // padded row
  std::int64_t in_plane;    // rows of one chunk and R - 1 more
  std::int64_t in_size;     // all input channels, and what the inner loops read beyond them
  std::int64_t out_plane;   // pixels of one chunk, rounded up to whole blocks of the inner loops

  Chunks(const Geometry& g, std::int64_t row_multiple, const Conv2dSimd& simd) {
    constexpr std::int64_t kBudget =
        64 * 1024;                          // elements: both buffers fit the second-level cache
    constexpr std::int64_t kMinUnits = 16;  // where rows allow, so that all threads have work
    pitch = g.out.width + g.S - 1;
    const std::int64_t fitting =
        (kBudget / pitch - g.in.channels * (g.R - 1)) / (g.in.channels + g.out.channels);
    const std::int64_t sharing = ceil_div(g.samples * g.out.height, kMinUnits);
    // Every chunk reads R - 1 rows more than it writes: fewer than R rows would be mostly overlap.
    rows = std::max(std::min(fitting, sharing), g.R);
    rows = std::min(round_up(rows, row_multiple), g.out.height);
    per_sample = ceil_div(g.out.height, rows);
    units = g.samples * per_sample;
    const std::int64_t block = std::max(simd.pixel_block, simd.lanes);
    in_plane = spread((rows + g.R - 1) * pitch);
    in_size = round_up(g.in.channels * in_plane + block + g.S, kLine);
    out_plane = spread(round_up(rows * pitch, block));
  }
};

// One chunk: rows first .. first + rows - 1 of a sample.
struct Chunk {
  std::int64_t sample, first, rows;

  Chunk(const Geometry& g, const Chunks& chunks, std::int64_t unit) {
    sample = unit / chunks.per_sample;
    first = unit % chunks.per_sample * chunks.rows;
    rows = std::min(chunks.rows, g.out.height - first);
  }
};

std::vector<std::int64_t> tap_offsets(const Geometry& g, const Chunks& chunks) {
  std::vector<std::int64_t> offsets;
  for (std::int64_t c = 0; c < g.in.channels; ++c) {
    for (std::int64_t r = 0; r < g.R; ++r) {
      for (std::int64_t s = 0; s < g.S; ++s) {
        offsets.push_back(c * chunks.in_plane + r * chunks.pitch + s);
      }
    }
  }
  return offsets;
}

// The chunk's input rows of every channel, with zeros where the kernel reaches over the edge.
void fill_padded(real* to, const RowSource& source, const Geometry& g, const Chunks& chunks,
                 const Chunk& chunk) {
  for (std::int64_t c = 0; c < g.in.channels; ++c) {
    for (std::int64_t r = 0; r < chunk.rows + g.R - 1; ++r) {
      real* row = to + c * chunks.in_plane + r * chunks.pitch;
      const std::int64_t h = chunk.first + r - g.top;
      if (h < 0 || h >= g.in.height) {
        std::fill(row, row + chunks.pitch, real(0));
        continue;
      }
      std::fill(row, row + g.left, real(0));
      read_row(row + g.left, source, g.in, chunk.sample, c, h);
      std::fill(row + g.left + g.in.width, row + chunks.pitch, real(0));
    }
  }
}

// weights: [blocks][taps][channel_block], as Conv2dSimd::correlate wants them.
void correlate(const RowSink& sink, const RowSource& source, const real* weights, const real* bias,
               const Geometry& g, const Chunks& chunks, real* memory) {
  const Conv2dSimd& simd = conv2d_simd();
  const std::vector<std::int64_t> offsets = tap_offsets(g, chunks);
  const std::int64_t blocks = ceil_div(g.out.channels, simd.channel_block);
  const std::int64_t per_thread = chunks.in_size + blocks * simd.channel_block * chunks.out_plane;
  parallel_each(chunks.units, [&](std::int64_t unit) {
    const Chunk chunk(g, chunks, unit);
    real* in = memory + thread_index() * per_thread;
    real* out = in + chunks.in_size;
    fill_padded(in, source, g, chunks, chunk);
    const std::int64_t pixels = (chunk.rows - 1) * chunks.pitch + g.out.width;
    simd.correlate(out, chunks.out_plane, in, offsets.data(), g.taps(), weights, bias, blocks,
                   pixels);
    write_rows(sink, g.out, chunk.sample, chunk.first, chunk.rows, out, chunks.out_plane,
               chunks.pitch);
  });
}

// Sizes of the working memory of one correlation.
struct Memory {
  std::int64_t channels;  // of the output, rounded up to whole blocks
  std::int64_t weights;   // packed kernel
  std::int64_t total;

  Memory(const Geometry& g, const Chunks& chunks, const Conv2dSimd& simd) {
    channels = round_up(g.out.channels, simd.channel_block);
    weights = round_up(channels * g.taps(), kLine);
    total = weights + round_up(channels, kLine) +
            thread_count() * (chunks.in_size + channels * chunks.out_plane);
  }
};

// Packs kernel(out channel, in channel, r, s) and a bias, 0 for the channels beyond the last, and
// runs the correlation.
template <class Kernel>
void pack_and_correlate(const RowSink& sink, const RowSource& source, const Kernel& kernel,
                        const real* bias, const Geometry& g) {
  const Conv2dSimd& simd = conv2d_simd();
  const Chunks chunks(g, sink.pool_h, simd);
  const Memory sizes(g, chunks, simd);
  real* const weights = scratch(sizes.total);
  real* const biases = weights + sizes.weights;
  real* to = weights;
  for (std::int64_t b = 0; b < sizes.channels; b += simd.channel_block) {
    for (std::int64_t c = 0; c < g.in.channels; ++c) {
      for (std::int64_t tap = 0; tap < g.R * g.S; ++tap) {
        for (std::int64_t k = b; k < b + simd.channel_block; ++k) {
          *to++ = k < g.out.channels ? kernel(k, c, tap / g.S, tap % g.S) : real(0);
        }
      }
    }
  }
  for (std::int64_t k = 0; k < sizes.channels; ++k) {
    biases[k] = bias != nullptr && k < g.out.channels ? bias[k] : real(0);
  }
  correlate(sink, source, weights, biases, g, chunks, biases + round_up(sizes.channels, kLine));
}

Geometry forward_geometry(const Conv2dShape& s) {
  return {s.N, {s.C, s.H, s.W}, {s.K, s.out_h(), s.out_w()}, s.R, s.S, s.pad_top, s.pad_left};
}

}  // namespace

void conv2d_forward_v2_direct(const RowSink& y, const real* x, const real* weight, const real* bias,
                              const Conv2dShape& shape) {
  const Conv2dShape& z = shape;
  pack_and_correlate(
      y, {.data = x},
      [&](auto k, auto c, auto r, auto s) { return weight[((k * z.C + c) * z.R + r) * z.S + s]; },
      bias, forward_geometry(shape));
}

void conv2d_backward_input_v2_direct(real* dx, const RowSource& dy, const real* weight,
                                     const Conv2dShape& shape) {
  const Conv2dShape& z = shape;
  const Geometry turned = {z.N, {z.K, z.out_h(), z.out_w()}, {z.C, z.H, z.W},     z.R,
                           z.S, z.R - 1 - z.pad_top,         z.S - 1 - z.pad_left};
  pack_and_correlate(
      {.data = dx, .add = true}, dy,
      [&](auto c, auto k, auto r, auto s) {
        return weight[((k * z.C + c) * z.R + (z.R - 1 - r)) * z.S + (z.S - 1 - s)];
      },
      nullptr, turned);
}

namespace {

// dy of a chunk, flattened with the pitch of the padded input; zero wherever there is no output.
void fill_gradient(real* to, const RowSource& dy, const Geometry& g, const Chunks& chunks,
                   const Chunk& chunk) {
  for (std::int64_t k = 0; k < g.out.channels; ++k) {
    real* plane = to + k * chunks.out_plane;
    for (std::int64_t i = 0; i < chunk.rows; ++i) {
      read_row(plane + i * chunks.pitch, dy, g.out, chunk.sample, k, chunk.first + i);
      std::fill(plane + i * chunks.pitch + g.out.width, plane + (i + 1) * chunks.pitch, real(0));
    }
    std::fill(plane + chunk.rows * chunks.pitch, plane + chunks.out_plane, real(0));
  }
}

// dweight = the lanes of sums ([block][tile][channel][tap][lane]) added up.
void add_lanes(real* dweight, const real* sums, std::int64_t channels, std::int64_t taps,
               std::int64_t tiles, const Conv2dSimd& simd) {
  for (std::int64_t k = 0; k < channels; ++k) {
    for (std::int64_t t = 0; t < taps; ++t) {
      const std::int64_t tile = k / simd.gradient_channel_block * tiles + t / simd.tap_block;
      const std::int64_t offset =
          (tile * simd.gradient_channel_block + k % simd.gradient_channel_block) * simd.tap_block +
          t % simd.tap_block;
      const real* lanes = sums + offset * simd.lanes;
      real sum = 0;
      for (std::int64_t lane = 0; lane < simd.lanes; ++lane) sum += lanes[lane];
      dweight[k * taps + t] = sum;
    }
  }
}

}  // namespace

void conv2d_backward_weight_v2_direct(real* dweight, const RowSource& dy, const real* x,
                                      const Conv2dShape& shape) {
  const Conv2dSimd& simd = conv2d_simd();
  const Geometry g = forward_geometry(shape);
  const Chunks chunks(g, 1, simd);
  const std::int64_t taps = g.taps();
  const std::int64_t tiles = ceil_div(taps, simd.tap_block);
  std::vector<std::int64_t> offsets = tap_offsets(g, chunks);
  offsets.resize(tiles * simd.tap_block, 0);  // the taps beyond the last are computed and dropped
  const std::int64_t channels = round_up(g.out.channels, simd.gradient_channel_block);
  const std::int64_t blocks = channels / simd.gradient_channel_block;

  const std::int64_t partials = conv2d_weight_partials(shape, chunks.units);
  const std::int64_t partials_size = round_up(partials * g.out.channels * taps, kLine);
  const std::int64_t sums_size = channels * tiles * simd.tap_block * simd.lanes;
  const std::int64_t per_thread = chunks.in_size + channels * chunks.out_plane + sums_size;
  real* const partial_sums = scratch(partials_size + thread_count() * per_thread);
  real* const memory = partial_sums + partials_size;
  parallel_each(partials, [&](std::int64_t p) {
    real* in = memory + thread_index() * per_thread;
    real* dout = in + chunks.in_size;
    real* sums = dout + channels * chunks.out_plane;
    // Also what lies between and beyond planes: it is multiplied by zero, so it must be finite.
    std::fill(in, sums + sums_size, real(0));
    const std::int64_t end = (p + 1) * chunks.units / partials;
    for (std::int64_t unit = p * chunks.units / partials; unit < end; ++unit) {
      const Chunk chunk(g, chunks, unit);
      fill_padded(in, {.data = x}, g, chunks, chunk);
      fill_gradient(dout, dy, g, chunks, chunk);
      simd.weight_gradient(sums, in, offsets.data(), tiles, dout, chunks.out_plane, blocks,
                           round_up(chunk.rows * chunks.pitch, simd.lanes));
    }
    add_lanes(partial_sums + p * g.out.channels * taps, sums, g.out.channels, taps, tiles, simd);
  });
  add_partials(dweight, partial_sums, partials, g.out.channels * taps);
}

}  // namespace serenade::cpu
