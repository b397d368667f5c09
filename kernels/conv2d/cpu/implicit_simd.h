#pragma once
// The inner loops of the implicit matrix product, one table of functions per instruction set
// (source: kernels/conv2d/cpu/simd/implicit.cpp).

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// Columns of a panel whose elements lie side by side in a window, too.
struct Run {
  std::int64_t column;  ///< the first one, of its panel
  std::int64_t from;    ///< where it lies
  std::int64_t length;
};

struct ImplicitSimd {
  std::int64_t lanes;

  /// panel[d * width + run.column + i] = window[offsets[d] + run.from + i] for d < depth and all
  /// runs, in ascending order of columns. Up to lanes - 1 elements after a run are read and
  /// written, too: those after the panel are to be packed later or not at all.
  void (*pack_runs)(real* panel, std::int64_t width, const real* window,
                    const std::int64_t* offsets, std::int64_t depth, const Run* runs,
                    std::int64_t count);

  /// window[run.from + i] += tile[run.column + i] for all runs. Up to lanes - 1 elements after a
  /// run are read, too, and of the window written as they are.
  void (*add_runs)(real* window, const real* tile, const Run* runs, std::int64_t count);
};

/// The table of the active instruction set.
const ImplicitSimd& implicit_simd();

}  // namespace serenade::cpu
