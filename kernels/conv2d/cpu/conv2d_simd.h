#pragma once
// The inner loops of the direct convolution, one table of functions per instruction set (source:
// kernels/conv2d/cpu/simd/rows.cpp).
//
// They work on a padded image cut into planes whose rows follow each other without a gap
// ("flattened": pixel p = row * pitch + column). In this form tap (c, r, s) of a stride-1
// convolution is the same pixel range moved by offset = c * plane + r * pitch + s, for every output
// row: the convolution is a matrix product whose right factor, the im2col matrix, is never built,
// because each of its rows is a shifted view of the image. The S - 1 last pixels of every row come
// out as garbage that the caller drops.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

struct Conv2dSimd {
  std::int64_t lanes;                   ///< elements per vector
  std::int64_t channel_block;           ///< output channels per register tile of `correlate`
  std::int64_t pixel_block;             ///< pixels per register tile of `correlate`
  std::int64_t gradient_channel_block;  ///< output channels per tile of `weight_gradient`
  std::int64_t tap_block;               ///< taps per tile of `weight_gradient`

  /// out[k][p] = bias[k] + sum_t weights[t][k] in[p + offsets[t]] for p < pixels rounded up to
  /// whole pixel blocks. weights: [channel_blocks][taps][channel_block]; bias: one per channel;
  /// out: rows of out_plane.
  void (*correlate)(real* out, std::int64_t out_plane, const real* in, const std::int64_t* offsets,
                    std::int64_t taps, const real* weights, const real* bias,
                    std::int64_t channel_blocks, std::int64_t pixels);

  /// sums[b][tile][k][t][lane] += sum of dout[k][p] in[p + offsets[t]] over the pixels of that
  /// lane; pixels is a multiple of lanes and dout is 0 where there is no output. offsets: tiles *
  /// tap_block of them. dout: rows of dout_plane, aligned to vectors.
  void (*weight_gradient)(real* sums, const real* in, const std::int64_t* offsets,
                          std::int64_t tiles, const real* dout, std::int64_t dout_plane,
                          std::int64_t channel_blocks, std::int64_t pixels);

  /// ReLU and max-pooling of one row of windows: pool_h rows of `pitch` in, `count` results out.
  void (*relu_maxpool_row)(real* y, std::uint8_t* index, const real* rows, std::int64_t pitch,
                           std::int64_t pool_h, std::int64_t pool_w, std::int64_t count);

  /// The backward pass: to[pool_w * j + b] = dy[j] where index[j] is first + b, otherwise 0, for
  /// `count` windows and b < pool_w; first + b < kKilledByRelu.
  void (*unpool_row)(real* to, const real* dy, const std::uint8_t* index, std::int64_t count,
                     std::int64_t first, std::int64_t pool_w);

  /// Sum of dy[j] over the j < count where index, if there is one, is not kKilledByRelu.
  real (*sum_alive)(const real* dy, const std::uint8_t* index, std::int64_t count);
};

/// The table of the active instruction set.
const Conv2dSimd& conv2d_simd();

}  // namespace serenade::cpu
