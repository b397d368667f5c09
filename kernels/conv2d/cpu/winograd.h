#pragma once
// The inner loops of the Winograd convolution, one table of functions per instruction set (source:
// kernels/conv2d/cpu/simd/winograd_forward.cpp; the transforms:
// kernels/conv2d/cpu/simd/winograd.h).

#include <cstdint>

#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/real.h"

namespace serenade::cpu {

inline constexpr int kWinogradMaxBlocks = 16;  ///< of 16 channels, on either side

/// A stride-1 correlation of an image `in` with kernels of R x S that gives an image `out`, and how
/// it is cut. Output is computed in tiles of tile_h x tile_w = (9 - R) x (9 - S), each from 8 x 8
/// inputs. A unit of work is a strip: some consecutive rows of tiles, and some consecutive columns
/// of tiles, of one sample. Walking down a strip, the rows that neighbouring tiles share are read
/// once. A function of the shape, not of the number of threads.
struct WinogradPlan {
  ImageShape in, out;
  std::int64_t R, S;
  std::int64_t top, left;  ///< padding
  std::int64_t tile_h, tile_w;
  std::int64_t in_blocks, out_blocks;  ///< of 16 channels
  std::int64_t tile_rows;              ///< of one sample
  std::int64_t tile_columns;
  std::int64_t strip_rows;     ///< tile rows of a strip; the last of a sample may have fewer
  std::int64_t strip_columns;  ///< tile columns of a strip, at most; strips differ by few
  std::int64_t strips_down, strips_across;
  std::int64_t columns_unit;  ///< strips begin at multiples of so many tile columns
  std::int64_t ring_pitch;    ///< pixels between two rows of a strip's input
  std::int64_t ring_margin;   ///< pixels before them
  std::int64_t block_rows;    ///< output rows that wait for the rest of their pooling windows

  // Sizes of the buffers of one thread, in elements.
  std::int64_t ring_size;      ///< [in_blocks][8][ring_pitch][16]: input rows as pixels
  std::int64_t columns_size;   ///< [in_blocks][8][pixels][16]: B^T applied down the columns
  std::int64_t products_size;  ///< [out_blocks][8][pixels][16]: A^T applied along the rows
  std::int64_t block_size;     ///< [out_blocks][block_rows][pixels][16]
  std::int64_t per_thread() const;
};

struct WinogradSimd {
  /// U = G w G^T of one input channel for one block of output channels. rows: the kernels, R * S
  /// taps for each of `channels` output channels, `plane` elements apart; turned: rotated by 180
  /// degrees. u: [8][u_row] with [8][16] at the start of each row.
  void (*transform_kernel)(real* u, std::int64_t u_row, const real* rows, std::int64_t plane,
                           int channels, std::int64_t R, std::int64_t S, bool turned);

  /// One strip. u: [8][out_blocks][in_blocks][16 input channels][8][16]; bias: out_blocks * 16;
  /// memory: plan.per_thread() elements.
  void (*correlate_strip)(const RowSink& sink, const RowSource& source, const real* u,
                          const real* bias, const WinogradPlan& plan, std::int64_t unit,
                          real* memory);
};

/// The table of the active instruction set.
const WinogradSimd& winograd_simd();

}  // namespace serenade::cpu
