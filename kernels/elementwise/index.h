#pragma once
// Elements chosen by number along one axis. Tensors are seen as [outer, axis, inner], row-major:
// the axis in the middle is chosen from. Indices lie in host memory, in 0 .. axis - 1.

#include <cstdint>

#include "kernels/runtime/dispatch.h"

namespace serenade {

struct IndexShape {
  std::int64_t outer, axis, inner;  ///< what is chosen from
  std::int64_t count;               ///< elements chosen along the axis
};

/// y[o, k, i] = x[o, indices[k], i]. x: [outer, axis, inner]; y: [outer, count, inner]; indices:
/// [count].
DECLARE_KERNEL(void index_select_forward(real* y, const real* x, const std::int64_t* indices,
                                         const IndexShape& s));
/// dx[o, indices[k], i] += dy[o, k, i], in the order of k.
DECLARE_KERNEL(void index_select_backward(real* dx, const real* dy, const std::int64_t* indices,
                                          const IndexShape& s));

/// y[o, k, i] (+)= x[o, indices[o, k, i], i]; y, indices: [outer, count, inner].
DECLARE_KERNEL(void gather_forward(real* y, const real* x, const std::int64_t* indices,
                                   const IndexShape& s));
DECLARE_KERNEL(void gather_add(real* y, const real* x, const std::int64_t* indices,
                               const IndexShape& s));
/// y[o, indices[o, k, i], i] += x[o, k, i], in the order of k. y: [outer, axis, inner].
DECLARE_KERNEL(void scatter_add(real* y, const real* x, const std::int64_t* indices,
                                const IndexShape& s));

}  // namespace serenade
