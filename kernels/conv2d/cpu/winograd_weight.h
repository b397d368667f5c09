#pragma once
// The inner loops of the Winograd weight gradient, one table of functions per instruction set
// (source: kernels/conv2d/cpu/simd/winograd_weight.cpp; the algorithm:
// kernels/conv2d/cpu/winograd_weight.cpp).
//
// All of them work on blocks of kWinogradBlock channels in channel-last form: a pixel is the
// kWinogradBlock values of its channels side by side, a row is its pixels, and so on.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

inline constexpr std::int64_t kWinogradBlock = 16;  ///< channels of a block
inline constexpr std::int64_t kWinogradTile = 8;    ///< rows and columns of an input tile
inline constexpr std::int64_t kWinogradSums =       ///< elements in the sums of two blocks
    kWinogradTile * kWinogradTile * kWinogradBlock * kWinogradBlock;
inline constexpr std::int64_t kWinogradMaxTaps = 6;  ///< rows or columns of a gradient tile

/// Rows of a gradient tile as `gradient_columns` reads them, channel-last. Where position is not
/// null the gradient is pooled: pixel w of row r is value[r][w / pool_w] if position[r] there
/// equals first_position[r] + w % pool_w, otherwise 0.
struct WinogradGradientRows {
  const real* value[kWinogradMaxTaps];
  const real* position[kWinogradMaxTaps];
  real first_position[kWinogradMaxTaps];
  std::int64_t pool_w;
  std::int64_t phase;  ///< w % pool_w of the first pixel
};

struct Conv2dWinogradWeightSimd {
  /// to[w][c] = from[c][w] for c < channels, 0 for the other channels of the block; w < count.
  /// from: rows of `plane` elements.
  void (*channel_last)(real* to, const real* from, std::int64_t plane, std::int64_t channels,
                       std::int64_t count);
  /// The same for bytes, converted to reals.
  void (*channel_last_bytes)(real* to, const std::uint8_t* from, std::int64_t plane,
                             std::int64_t channels, std::int64_t count);

  /// B^T down the columns: to[i][w] = sum_h B[h][i] rows[h][w] for the 8 rows of a tile, w < count.
  /// `plane` elements lie between the rows of `to`.
  void (*input_columns)(real* to, std::int64_t plane, const real* const* rows, std::int64_t count);

  /// The gradient at the 8 points, down the columns: to[i][w] = sum_r p_i^r row_r[w], r < taps.
  void (*gradient_columns)(real* to, std::int64_t plane, const WinogradGradientRows& rows,
                           std::int64_t taps, std::int64_t count);

  /// One row i of the 8 x 8 points: carries the transforms of x (the row to[i] of input_columns)
  /// and dy (of gradient_columns) out along the row, and adds the products over all tiles to
  /// sums[j][input channel][output channel], or, if `first`, begins the sums. Tiles are `taps`
  /// columns apart. memory: 2 * 8 * (tiles + 1) pixels.
  void (*add_products)(real* sums, const real* x, const real* dy, std::int64_t taps,
                       std::int64_t tiles, bool first, real* memory);

  /// The gradient of one input channel: to[r][s][output channel] = A^T S A of its sums, added up
  /// over the partials in order. sums: [partials][i][j] of rows of output channels, `between`
  /// elements from one partial to the next. R, S: 3 to 7.
  void (*finish)(real* to, const real* sums, std::int64_t partials, std::int64_t between,
                 std::int64_t R, std::int64_t S);
};

/// The table of the active instruction set.
const Conv2dWinogradWeightSimd& conv2d_winograd_weight_simd();

}  // namespace serenade::cpu
