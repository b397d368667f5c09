// Convolution of a first layer, with ReLU and max-pooling over pairs of rows: cutting the work,
// and packing the kernel. The idea and the inner loops:
// kernels/conv2d/cpu/first_layer.h.
//
// Per pooled result and channel: 1.5 R S multiply-adds in place of 2 R S (R even), one value and
// one byte written; the input is read once and its lines, three or four per pair of rows, stay in
// the first-level cache. With 8 channels of 2x8 kernels that is 192 multiply-adds of 16 lanes for
// 16 pooled results of all channels, and about a hundred other vector instructions to pool them.

#include "kernels/conv2d/cpu/first_layer.h"

#include <algorithm>
#include <vector>

#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(FirstLayerSimd, first_layer_simd);

namespace {

constexpr std::int64_t kPoolRows = 2;
constexpr std::int64_t kLine = 64 / sizeof(real);  // elements per cache line

// Sizes, and how the pooled rows are cut into units: a function of the shape and the instruction
// set, not of the number of threads.
struct Plan {
  std::int64_t out_h, out_w;    // pooled
  std::int64_t pair_rows;       // pairs of kernel rows
  std::int64_t pairs, singles;  // taps: pairs of rows times columns, and the row left over
  std::int64_t phases;          // columns of a window
  std::int64_t lead;            // columns before the padding, so that images begin at a cache line
  std::int64_t pitch;           // of a line
  std::int64_t group;           // lines of one pair of rows
  std::int64_t rows;            // pooled rows of a unit; the last of a sample may have fewer
  std::int64_t per_sample, units;
  std::int64_t lines_size;  // of a unit

  Plan(const Conv2dShape& s, std::int64_t pool_w, const FirstLayerSimd& simd) {
    constexpr std::int64_t kMaxRows = 16;   // lines of a unit in the second-level cache
    constexpr std::int64_t kMinUnits = 16;  // where rows allow, so that all threads have work
    out_h = s.out_h() / kPoolRows;
    out_w = s.out_w() / pool_w;
    pair_rows = s.R / 2;
    pairs = pair_rows * s.S;
    singles = s.R % 2 * s.S;
    phases = pool_w;
    const std::int64_t read = round_up(out_w, std::max(simd.columns, simd.lanes)) + s.S / phases;
    const std::int64_t image = (s.pad_left + s.W) / phases;
    lead = round_up(s.pad_left, kLine * phases) - s.pad_left;
    pitch = round_up(lead / phases + std::max(read, image) + 2, kLine) * phases;
    group = kFirstLayerLines * pitch;
    rows = std::min(kMaxRows, ceil_div(s.N * out_h, kMinUnits));
    per_sample = ceil_div(out_h, rows);
    units = s.N * per_sample;
    lines_size = (rows + (s.R + 1) / 2 - 1) * group;
  }

  // [phase][tap]: the offset of tap (row pair or row left over, column) of the first result.
  std::vector<std::int64_t> all_offsets(std::int64_t S) const {
    std::vector<std::int64_t> result;
    for (std::int64_t phase = 0; phase < phases; ++phase) {
      for (std::int64_t t = 0; t < pairs + singles; ++t) {
        const std::int64_t column = lead + phase + t % S;
        result.push_back(t / S * group + column % phases * (pitch / phases) + column / phases);
      }
    }
    return result;
  }
};

// One unit: pooled rows first .. first + rows - 1 of a sample.
struct Unit {
  std::int64_t sample, first, rows;

  Unit(const Plan& plan, std::int64_t number) {
    sample = number / plan.per_sample;
    first = number % plan.per_sample * plan.rows;
    rows = std::min(plan.rows, plan.out_h - first);
  }
};

// The lines of every pair of input rows that the unit sees; zeros: a row of zeros for those outside
// of the image.
void make_lines(real* lines, const real* x, const real* zeros, const Conv2dShape& s,
                const Plan& plan, const Unit& unit, const FirstLayerSimd& simd) {
  const auto row = [&](std::int64_t padded) {
    const std::int64_t h = padded - s.pad_top;
    return h < 0 || h >= s.H ? zeros : x + (unit.sample * s.H + h) * s.W;
  };
  for (std::int64_t i = 0; i < unit.rows + (s.R + 1) / 2 - 1; ++i) {
    const std::int64_t top = kPoolRows * (unit.first + i);
    simd.make_lines(lines + i * plan.group, plan.pitch, plan.phases, row(top), row(top + 1),
                    row(top + 2), plan.lead + s.pad_left, s.W, plan.singles > 0);
  }
}

// weights: [blocks][pairs][3][channel_block], after them in each block [singles][channel_block].
void pack(real* to, real* biases, const real* weight, const real* bias, const Conv2dShape& s,
          const Plan& plan, const FirstLayerSimd& simd) {
  for (std::int64_t b = 0; b < s.K; b += simd.channel_block) {
    const auto at = [&](std::int64_t k, std::int64_t r, std::int64_t t) {
      return b + k < s.K ? weight[((b + k) * s.R + r) * s.S + t % s.S] : real(0);
    };
    for (std::int64_t t = 0; t < plan.pairs; ++t, to += 3 * simd.channel_block) {
      for (std::int64_t k = 0; k < simd.channel_block; ++k) {
        const real upper = at(k, t / s.S * 2, t);
        const real lower = at(k, t / s.S * 2 + 1, t);
        to[k] = upper;
        to[simd.channel_block + k] = upper + lower;
        to[2 * simd.channel_block + k] = lower;
      }
    }
    for (std::int64_t t = 0; t < plan.singles; ++t, to += simd.channel_block) {
      for (std::int64_t k = 0; k < simd.channel_block; ++k) to[k] = at(k, s.R - 1, t);
    }
    for (std::int64_t k = b; k < b + simd.channel_block; ++k) {
      biases[k] = bias != nullptr && k < s.K ? bias[k] : real(0);
    }
  }
}

}  // namespace

bool conv2d_first_layer_supports(const Conv2dShape& s, std::int64_t pool_h, std::int64_t pool_w) {
  return s.C == 1 && conv2d_direct_supports(s) && pool_h == kPoolRows &&
         (pool_w == 1 || pool_w == 2);
}

void conv2d_first_layer_forward(real* y, std::uint8_t* index, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& s, std::int64_t pool_w) {
  const FirstLayerSimd& simd = first_layer_simd();
  const Plan plan(s, pool_w, simd);
  if (plan.out_h == 0 || plan.out_w == 0) return;
  const std::int64_t channels = round_up(s.K, simd.channel_block);
  const std::int64_t weights_size = round_up((3 * plan.pairs + plan.singles) * channels, kLine);
  const std::int64_t biases_size = round_up(channels, kLine);
  const std::int64_t zeros_size = round_up(s.W, kLine);
  real* const weights =
      scratch(weights_size + biases_size + zeros_size + thread_count() * plan.lines_size);
  real* const biases = weights + weights_size;
  real* const zeros = biases + biases_size;
  real* const memory = zeros + zeros_size;
  pack(weights, biases, weight, bias, s, plan, simd);
  std::fill(zeros, memory, real(0));
  const std::vector<std::int64_t> offsets = plan.all_offsets(s.S);
  const FirstLayerTaps taps = {offsets.data(), plan.pairs, plan.singles};
  const std::int64_t plane = plan.out_h * plan.out_w;
  parallel_each(plan.units, [&](std::int64_t u) {
    const Unit unit(plan, u);
    real* lines = memory + thread_index() * plan.lines_size;
    make_lines(lines, x, zeros, s, plan, unit, simd);
    for (std::int64_t i = 0; i < unit.rows; ++i) {
      const std::int64_t to = unit.sample * s.K * plane + (unit.first + i) * plan.out_w;
      simd.forward_row(y + to, index + to, plane, s.K, plan.out_w, lines + i * plan.group,
                       plan.pitch, plan.phases, taps, weights, biases);
    }
  });
}

}  // namespace serenade::cpu
