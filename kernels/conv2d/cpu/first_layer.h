#pragma once
// The convolution of a first layer (one input channel, stride 1) with ReLU and max-pooling over
// pairs of rows: the step of the ladder above v2 direct for this shape (versions.h).
//
// The idea is row pairs. Pooling takes the two output rows 2i and 2i + 1 together, and they share
// all but two of their input rows. For each pair of kernel rows w0, w1 and input rows a, b, c
//
//   y0 = w0 a + w1 b        m0 = w0 (a - b)      y0 = m0 + m1
//   y1 = w0 b + w1 c        m1 = (w0 + w1) b     y1 = m1 + m2
//                           m2 = w1 (c - b)
//
// needs three products instead of four (Winograd, "Arithmetic complexity of computations", SIAM
// 1980: F(2,2)). With one input channel the lines a - b, b and c - b cost next to nothing: they are
// made once and serve all output channels. Pooling happens in registers, so the map before it is
// never stored.
//
// The weight gradient has a transposed form, also with three products instead of four. Written and
// measured with AVX-512 it was 2 to 23 % slower than v2 on the shapes of conv1 and conv2, so v2
// serves.
//
// The last row of a kernel with an odd number of rows has no partner; it is applied directly.

#include <cstdint>

#include "kernels/conv2d/conv2d.h"

namespace serenade::cpu {

/// True if the function below takes the shape and the window: C = 1, stride 1, no padding wider
/// than the kernel reaches, windows of 2 x 1 or 2 x 2.
bool conv2d_first_layer_supports(const Conv2dShape& shape, std::int64_t pool_h,
                                 std::int64_t pool_w);

/// As conv2d_relu_maxpool_forward with pool_h = 2.
void conv2d_first_layer_forward(real* y, std::uint8_t* index, const real* x, const real* weight,
                                const real* bias, const Conv2dShape& shape, std::int64_t pool_w);

// The inner loops, one table of functions per instruction set
// (kernels/conv2d/cpu/simd/first_layer.cpp).
//
// The padded image is kept as groups of lines, one group per pair of rows (a, b) with c the row
// below them: kDifference, kOdd, kNextDifference and, for the kernel row without a partner, kEven.
// A line is `pitch` reals. With windows two columns wide it is cut into its even columns and, from
// pitch / 2 on, its odd columns ("phases"), so that the columns of a window lie in the same lane
// of two vectors. Tap (r, s) of a whole row of results is then one offset into the lines, per
// phase.

enum FirstLayerLine : int { kDifference = 0, kOdd = 1, kNextDifference = 2, kEven = 3 };
inline constexpr int kFirstLayerLines = 4;

/// Kernel rows in pairs, and columns: offsets[phase][tap], the `pairs` first, then the `singles` of
/// the row without a partner.
struct FirstLayerTaps {
  const std::int64_t* offsets;
  std::int64_t pairs;
  std::int64_t singles;
};

struct FirstLayerSimd {
  std::int64_t lanes;          ///< elements per vector
  std::int64_t channel_block;  ///< output channels per tile of `forward_row`
  std::int64_t columns;        ///< results per tile of `forward_row`

  /// Writes one group of lines from rows a, b, c of `width` reals, with zeros beside them: column w
  /// goes to element left + w of the padded line. kEven is written if `even` is set.
  void (*make_lines)(real* lines, std::int64_t pitch, std::int64_t phases, const real* a,
                     const real* b, const real* c, std::int64_t left, std::int64_t width,
                     bool even);

  /// One row of pooled results of all channels. y, index: rows of `count`, `plane` apart from one
  /// channel to the next. weights: [blocks][pairs * 3 + singles][channel_block], bias:
  /// [blocks][channel_block].
  void (*forward_row)(real* y, std::uint8_t* index, std::int64_t plane, std::int64_t channels,
                      std::int64_t count, const real* lines, std::int64_t pitch,
                      std::int64_t phases, const FirstLayerTaps& taps, const real* weights,
                      const real* bias);
};

/// The table of the active instruction set.
const FirstLayerSimd& first_layer_simd();

}  // namespace serenade::cpu
