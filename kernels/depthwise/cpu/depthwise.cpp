// Depthwise convolution on the host.
//
// v0 is the definition. The version in use copies a plane into a padded one, so that no tap asks
// whether it lies in the image, and takes all taps for a tile of outputs whose sums stay in
// registers. The input's gradient is the same correlation: of dy, with zeros where a stride has
// left outputs out, and the kernel turned by 180 degrees.

#include <algorithm>
#include <vector>

#include "kernels/depthwise/cpu/depthwise_simd.h"
#include "kernels/depthwise/depthwise.h"
#include "kernels/runtime/ceil_div.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(DepthwiseSimd, depthwise_simd);

namespace {

// The places where a line of a padded plane holds elements of the image: q with 0 <= q * step +
// phase - pad < size.
struct Inside {
  std::int64_t first, end;
  Inside(std::int64_t pad, std::int64_t phase, std::int64_t step, std::int64_t size)
      : first(pad > phase ? ceil_div(pad - phase, step) : 0),
        end(size + pad > phase ? ceil_div(size + pad - phase, step) : 0) {}
};

// The padded image of one channel; columns of equal remainder modulo the stride lie side by side.
class Padded {
 public:
  explicit Padded(const DepthwiseShape& s)
      : s_(s), pitch_(ceil_div(s.padded_w(), s.stride_w) + depthwise_simd().lanes) {}

  std::int64_t size() const { return s_.padded_h() * s_.stride_w * pitch_; }
  std::int64_t row_step() const { return s_.stride_h * s_.stride_w * pitch_; }
  std::vector<std::int64_t> offsets() const {
    std::vector<std::int64_t> offsets;
    for (std::int64_t r = 0; r < s_.R; ++r) {
      for (std::int64_t t = 0; t < s_.S; ++t) {
        const std::int64_t column = t * s_.dilation_w, line = r * s_.dilation_h * s_.stride_w;
        offsets.push_back((line + column % s_.stride_w) * pitch_ + column / s_.stride_w);
      }
    }
    return offsets;
  }

  // Into a plane of zeros, or one of this shape.
  void fill(real* plane, const real* x) const {
    const std::int64_t end = std::min(s_.pad_top + s_.H, s_.padded_h());
    for (std::int64_t row = s_.pad_top; row < end; ++row) {
      for (std::int64_t phase = 0; phase < s_.stride_w; ++phase) {
        const Inside inside(s_.pad_left, phase, s_.stride_w, s_.W);
        real* const line = plane + (row * s_.stride_w + phase) * pitch_;
        const real* const from = x + (row - s_.pad_top) * s_.W + phase - s_.pad_left;
        if (s_.stride_w == 1) {
          std::copy(from + inside.first, from + inside.end, line + inside.first);
          continue;
        }
        for (std::int64_t q = inside.first; q < inside.end; ++q) line[q] = from[q * s_.stride_w];
      }
    }
  }

 private:
  const DepthwiseShape& s_;
  std::int64_t pitch_;
};

// dy of one channel as the input's gradient reads it: `stride` apart, and zeros around.
class Spread {
 public:
  explicit Spread(const DepthwiseShape& s)
      : s_(s),
        rows_(s.H + (s.R - 1) * s.dilation_h),
        columns_(s.W + (s.S - 1) * s.dilation_w),
        top_((s.R - 1) * s.dilation_h - s.pad_top),
        left_((s.S - 1) * s.dilation_w - s.pad_left),
        pitch_(columns_ + depthwise_simd().lanes) {}

  std::int64_t size() const { return rows_ * pitch_; }
  std::int64_t row_step() const { return pitch_; }
  std::vector<std::int64_t> offsets() const {
    std::vector<std::int64_t> offsets;
    for (std::int64_t r = s_.R - 1; r >= 0; --r) {
      for (std::int64_t t = s_.S - 1; t >= 0; --t) {
        offsets.push_back(r * s_.dilation_h * pitch_ + t * s_.dilation_w);
      }
    }
    return offsets;
  }

  // Into a plane of zeros, or one of this shape.
  void fill(real* plane, const real* dy) const {
    const std::int64_t out_h = s_.out_h(), out_w = s_.out_w();
    for (std::int64_t i = 0; i < out_h; ++i) {
      const std::int64_t row = top_ + i * s_.stride_h;
      if (row < 0 || row >= rows_) continue;
      real* line = plane + row * pitch_;
      const real* from = dy + i * out_w;
      const std::int64_t first = left_ < 0 ? ceil_div(-left_, s_.stride_w) : 0;
      const std::int64_t end =
          columns_ > left_ ? std::min(out_w, ceil_div(columns_ - left_, s_.stride_w)) : 0;
      if (s_.stride_w == 1) {
        std::copy(from + first, from + end, line + left_ + first);
        continue;
      }
      for (std::int64_t j = first; j < end; ++j) line[left_ + j * s_.stride_w] = from[j];
    }
  }

 private:
  const DepthwiseShape& s_;
  std::int64_t rows_, columns_, top_, left_, pitch_;
};

// A plane of zeros for each thread.
real* planes_of_zeros(std::int64_t size) {
  real* const planes = scratch(thread_count() * size);
  std::fill_n(planes, thread_count() * size, real(0));
  return planes;
}

std::int64_t work_of(const DepthwiseShape& s) { return s.M * s.out_h() * s.out_w() * s.R * s.S; }

// Where the element that tap (r, t) of output (i, j) sees lies in the image; -1: beyond it.
std::int64_t seen(const DepthwiseShape& s, std::int64_t i, std::int64_t j, std::int64_t r,
                  std::int64_t t) {
  const std::int64_t h = i * s.stride_h + r * s.dilation_h - s.pad_top;
  const std::int64_t w = j * s.stride_w + t * s.dilation_w - s.pad_left;
  return h < 0 || h >= s.H || w < 0 || w >= s.W ? -1 : h * s.W + w;
}

// Calls see(output, weight, input) with the index of each for every product of the formula.
template <class See>
void for_each_product(const DepthwiseShape& s, const See& see) {
  std::int64_t output = 0;
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t k = 0; k < s.C * s.M; ++k) {
      const std::int64_t plane = (n * s.C + k / s.M) * s.H * s.W;
      for (std::int64_t i = 0; i < s.out_h(); ++i) {
        for (std::int64_t j = 0; j < s.out_w(); ++j, ++output) {
          for (std::int64_t tap = 0; tap < s.R * s.S; ++tap) {
            const std::int64_t at = seen(s, i, j, tap / s.S, tap % s.S);
            if (at >= 0) see(output, k * s.R * s.S + tap, plane + at);
          }
        }
      }
    }
  }
}

}  // namespace

void depthwise_conv2d_forward_v0(real* y, const real* x, const real* weight, const real* bias,
                                 const DepthwiseShape& s) {
  const std::int64_t plane = s.out_h() * s.out_w();
  for (std::int64_t i = 0; i < s.N * s.C * s.M * plane; ++i) {
    y[i] = bias == nullptr ? real(0) : bias[i / plane % (s.C * s.M)];
  }
  for_each_product(s, [=](std::int64_t output, std::int64_t w, std::int64_t input) {
    y[output] += weight[w] * x[input];
  });
}

void depthwise_conv2d_backward_input_v0(real* dx, const real* dy, const real* weight,
                                        const DepthwiseShape& s) {
  for_each_product(s, [=](std::int64_t output, std::int64_t w, std::int64_t input) {
    dx[input] += weight[w] * dy[output];
  });
}

void depthwise_conv2d_backward_weight_v0(real* dweight, const real* dy, const real* x,
                                         const DepthwiseShape& s) {
  for_each_product(s, [=](std::int64_t output, std::int64_t w, std::int64_t input) {
    dweight[w] += dy[output] * x[input];
  });
}

void depthwise_conv2d_forward(real* y, const real* x, const real* weight, const real* bias,
                              const DepthwiseShape& s) {
  const Padded padded(s);
  const std::vector<std::int64_t> offsets = padded.offsets();
  const std::int64_t taps = s.R * s.S, out = s.out_h() * s.out_w();
  real* planes = planes_of_zeros(padded.size());
  parallel_items(s.N * s.C, work_of(s), [&](std::int64_t item) {
    real* plane = planes + thread_index() * padded.size();
    padded.fill(plane, x + item * s.H * s.W);
    for (std::int64_t m = 0; m < s.M; ++m) {
      const std::int64_t k = item % s.C * s.M + m;
      depthwise_simd().correlate(y + (item * s.M + m) * out, s.out_h(), s.out_w(), plane,
                                 padded.row_step(), offsets.data(), weight + k * taps, taps,
                                 bias == nullptr ? real(0) : bias[k], false);
    }
  });
}

void depthwise_conv2d_backward_input(real* dx, const real* dy, const real* weight,
                                     const DepthwiseShape& s) {
  const Spread spread(s);
  const std::vector<std::int64_t> offsets = spread.offsets();
  const std::int64_t taps = s.R * s.S, out = s.out_h() * s.out_w();
  real* planes = planes_of_zeros(spread.size());
  parallel_items(s.N * s.C, s.M * s.H * s.W * taps, [&](std::int64_t item) {
    real* plane = planes + thread_index() * spread.size();
    for (std::int64_t m = 0; m < s.M; ++m) {
      spread.fill(plane, dy + (item * s.M + m) * out);
      depthwise_simd().correlate(dx + item * s.H * s.W, s.H, s.W, plane, spread.row_step(),
                                 offsets.data(), weight + (item % s.C * s.M + m) * taps, taps, 0,
                                 true);
    }
  });
}

// A channel is one thread's work: its sums are added in the order of the samples.
void depthwise_conv2d_backward_weight(real* dweight, const real* dy, const real* x,
                                      const DepthwiseShape& s) {
  const Padded padded(s);
  const std::vector<std::int64_t> offsets = padded.offsets();
  const std::int64_t taps = s.R * s.S, out = s.out_h() * s.out_w();
  real* planes = planes_of_zeros(padded.size());
  std::vector<double> sums(static_cast<std::size_t>(s.C * s.M * taps));
  parallel_items(s.C, s.N * work_of(s), [&](std::int64_t c) {
    real* plane = planes + thread_index() * padded.size();
    for (std::int64_t n = 0; n < s.N; ++n) {
      const std::int64_t item = n * s.C + c;
      padded.fill(plane, x + item * s.H * s.W);
      for (std::int64_t m = 0; m < s.M; ++m) {
        depthwise_simd().tap_sums(sums.data() + (c * s.M + m) * taps, dy + (item * s.M + m) * out,
                                  s.out_h(), s.out_w(), plane, padded.row_step(), offsets.data(),
                                  taps);
      }
    }
    for (std::int64_t i = c * s.M * taps; i < (c + 1) * s.M * taps; ++i) {
      dweight[i] += static_cast<real>(sums[static_cast<std::size_t>(i)]);
    }
  });
}

}  // namespace serenade::cpu
