#pragma once
// The passes of softmax over a part of its lanes, one table per instruction set
// (kernels/runtime/cpu/isa.h).
//
// An item of work is what one vector of sums serves. Where the axis is the last one (inner = 1)
// that is one row: a vector holds neighbours along it, whose maximum and sum are reduced over the
// lanes at the end. Otherwise it is `lanes` neighbours along `inner`: a vector holds one element of
// each, and no number ever moves to another lane.

#include <cstdint>

#include "kernels/runtime/real.h"

namespace serenade::cpu {

/// [outer, axis, inner], row-major; outer is told by the number of items.
struct SoftmaxAxis {
  std::int64_t axis;
  std::int64_t inner;
};

/// Each works on the items first .. last - 1. Arguments are those of kernels/elementwise/softmax.h.
struct SoftmaxSimd {
  std::int64_t lanes;

  void (*softmax)(real* y, const real* x, const SoftmaxAxis& shape, std::int64_t first,
                  std::int64_t last);
  void (*softmax_backward)(real* dx, const real* dy, const real* y, const SoftmaxAxis& shape,
                           std::int64_t first, std::int64_t last);
  void (*log_softmax)(real* y, const real* x, const SoftmaxAxis& shape, std::int64_t first,
                      std::int64_t last);
  void (*log_softmax_backward)(real* dx, const real* dy, const real* y, const SoftmaxAxis& shape,
                               std::int64_t first, std::int64_t last);

  /// softmax of one row, with what its logarithm is made of: the largest x, and the sum of
  /// e^(x - largest).
  void (*softmax_of_row)(real* y, real* largest, real* total, const real* x, std::int64_t columns);

  std::int64_t items_per_outer(const SoftmaxAxis& shape) const {
    return shape.inner == 1 ? 1 : (shape.inner + lanes - 1) / lanes;
  }
};

/// The table of the active instruction set.
const SoftmaxSimd& softmax_simd();

}  // namespace serenade::cpu
