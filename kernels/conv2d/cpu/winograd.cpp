// Convolution, v3: Winograd's algorithm on tiles of 8 x 8 inputs (Lavin and Gray 2016), stride 1.
//
// v2 is limited by its multiply-adds, R S per output and input channel. Here a tile of (9 - R) x
// (9 - S) outputs takes 64 of them: 4 per output for a 5 x 5 kernel in place of 25, 7.1 for 6 x 6
// in place of 36. What is saved has to pay for transforming inputs and products and for turning
// image rows into pixels of 16 channels and back, about half as much time again as the
// multiply-adds.
//
// The price is accuracy: the transforms add and subtract values of different magnitude, and the
// error (rms, relative) is about four times that of v2; the tests hold it below 1e-5 of double.
//
// The input gradient is the same operation on dy with the kernel rotated by 180 degrees and its two
// channel axes exchanged.

#include "kernels/conv2d/cpu/winograd.h"

#include <algorithm>
#include <numeric>

#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(WinogradSimd, winograd_simd);

namespace {

constexpr std::int64_t kTile = 8;
constexpr std::int64_t kChannelBlock = 16;

// Smallest number of tiles of `tile` that is a whole number of pooling windows of `window`.
std::int64_t tiles_per_window(std::int64_t tile, std::int64_t window) {
  return window / std::gcd(tile, window);
}

void cut_into_strips(WinogradPlan& p, std::int64_t samples, const RowSink& sink) {
  // Tiles side by side: enough to read the transformed kernels (64 KB at 16 to 16 channels) seldom
  // from a further cache, and few enough that a strip's buffers stay in the second-level one.
  constexpr std::int64_t kMaxColumns = 28;
  constexpr std::int64_t kMaxRows = 8;
  constexpr std::int64_t kMinUnits = 8;  // where the image allows, so that all threads have work
  p.columns_unit = tiles_per_window(p.tile_w, sink.pool_w);
  const std::int64_t units_across = ceil_div(p.tile_columns, p.columns_unit);
  const std::int64_t fitting = std::max<std::int64_t>(1, kMaxColumns / p.columns_unit);
  p.strips_across = ceil_div(units_across, fitting);
  if (samples * p.tile_rows * p.strips_across < kMinUnits && units_across >= 2) {
    p.strips_across = std::max<std::int64_t>(2, p.strips_across);
  }
  p.strip_columns = ceil_div(units_across, p.strips_across) * p.columns_unit;
  p.strips_across = ceil_div(p.tile_columns, p.strip_columns);
  const std::int64_t rows_unit = tiles_per_window(p.tile_h, sink.pool_h);
  const std::int64_t sharing = samples * p.tile_rows * p.strips_across / kMinUnits;
  p.strip_rows = std::clamp<std::int64_t>(sharing, 1, kMaxRows);
  p.strip_rows = ceil_div(p.tile_rows, ceil_div(p.tile_rows, p.strip_rows));  // equal strips
  p.strip_rows = round_up(p.strip_rows, rows_unit);
  p.strips_down = ceil_div(p.tile_rows, p.strip_rows);
}

WinogradPlan make_plan(const Conv2dShape& s, const RowSource& source, const RowSink& sink,
                       bool turned) {
  WinogradPlan p = {};
  p.in = {s.C, s.H, s.W};
  p.out = {s.K, s.out_h(), s.out_w()};
  p.R = s.R;
  p.S = s.S;
  p.top = s.pad_top;
  p.left = s.pad_left;
  if (turned) {
    std::swap(p.in, p.out);
    p.top = s.R - 1 - s.pad_top;
    p.left = s.S - 1 - s.pad_left;
  }
  p.tile_h = kTile + 1 - p.R;
  p.tile_w = kTile + 1 - p.S;
  p.in_blocks = ceil_div(p.in.channels, kChannelBlock);
  p.out_blocks = ceil_div(p.out.channels, kChannelBlock);
  p.tile_rows = ceil_div(p.out.height, p.tile_h);
  p.tile_columns = ceil_div(p.out.width, p.tile_w);
  cut_into_strips(p, s.N, sink);

  const std::int64_t out_pixels = p.strip_columns * p.tile_w;
  const std::int64_t in_pixels = out_pixels + p.S - 1;
  p.ring_margin = source.pool_w;  // a pooling window may begin before the strip
  p.ring_pitch = in_pixels + 2 * source.pool_w;
  p.block_rows = sink.index == nullptr ? 0 : p.tile_h + sink.pool_h - 1;
  p.ring_size = p.in_blocks * kTile * p.ring_pitch * kChannelBlock;
  p.columns_size = p.in_blocks * kTile * in_pixels * kChannelBlock;
  p.products_size = p.out_blocks * kTile * out_pixels * kChannelBlock;
  p.block_size = p.out_blocks * p.block_rows * out_pixels * kChannelBlock;
  return p;
}

// A kernel [K, C, R, S] as the correlation sees it: the row of taps of input channel 0 and output
// channel 0, and the strides between channels.
struct Kernel {
  const real* taps;
  std::int64_t in_step, out_step;
  bool turned;
};

void correlate(const RowSink& sink, const RowSource& source, const Kernel& kernel, const real* bias,
               const WinogradPlan& p, std::int64_t samples) {
  const WinogradSimd& simd = winograd_simd();
  const std::int64_t in_channels = p.in_blocks * kChannelBlock;
  const std::int64_t out_channels = p.out_blocks * kChannelBlock;
  const std::int64_t u_row = in_channels * kTile * out_channels;  // of the 8
  real* const u = scratch(kTile * u_row + out_channels + thread_count() * p.per_thread());
  real* const biases = u + kTile * u_row;
  real* const memory = biases + out_channels;
  for (std::int64_t k = 0; k < out_channels; ++k) {
    biases[k] = bias != nullptr && k < p.out.channels ? bias[k] : real(0);
  }
  const std::int64_t kernels = p.out_blocks * in_channels;
  const std::int64_t units = samples * p.strips_down * p.strips_across;
  parallel_for(kernels, [&](std::int64_t i) {
    const std::int64_t first = i / in_channels * kChannelBlock;
    const std::int64_t c = i % in_channels;
    const bool exists = c < p.in.channels;
    const std::int64_t channels = exists ? p.out.channels - first : 0;
    const real* taps = kernel.taps + (exists ? first * kernel.out_step + c * kernel.in_step : 0);
    simd.transform_kernel(u + i * kTile * kChannelBlock, u_row, taps, kernel.out_step,
                          static_cast<int>(std::min(channels, kChannelBlock)), p.R, p.S,
                          kernel.turned);
  });
  parallel_each(units, [&](std::int64_t unit) {
    simd.correlate_strip(sink, source, u, biases, p, unit,
                         memory + thread_index() * p.per_thread());
  });
}

}  // namespace

std::int64_t WinogradPlan::per_thread() const {
  return ring_size + columns_size + products_size + block_size;
}

bool conv2d_winograd_supports(const Conv2dShape& s) {
  constexpr std::int64_t kSmallest = 3, kLargest = 7;
  constexpr std::int64_t kMaxChannels = kWinogradMaxBlocks * kChannelBlock;
  return conv2d_direct_supports(s) && s.C <= kMaxChannels && s.K <= kMaxChannels &&
         s.R >= kSmallest && s.R <= kLargest && s.S >= kSmallest && s.S <= kLargest;
}

void conv2d_forward_v3_winograd(const RowSink& y, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& shape) {
  const RowSource source = {.data = x};
  const std::int64_t taps = shape.R * shape.S;
  correlate(y, source, {weight, taps, shape.C * taps, false}, bias,
            make_plan(shape, source, y, false), shape.N);
}

void conv2d_backward_input_v3_winograd(real* dx, const RowSource& dy, const real* weight,
                                       const Conv2dShape& shape) {
  const RowSink sink = {.data = dx, .add = true};
  const std::int64_t taps = shape.R * shape.S;
  correlate(sink, dy, {weight, shape.C * taps, taps, true}, nullptr,
            make_plan(shape, dy, sink, true), shape.N);
}

}  // namespace serenade::cpu
