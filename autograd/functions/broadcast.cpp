#include "autograd/functions/broadcast.h"

#include <algorithm>

#include "autograd/functions/reduce.h"
#include "autograd/functions/shape.h"

namespace serenade {

namespace {

// Size of a shape along axis `from_end`, counted from the last one; 1 where there is none.
std::int64_t size_from_end(const Shape& shape, std::size_t from_end) {
  return from_end < shape.size() ? shape[shape.size() - 1 - from_end] : 1;
}

}  // namespace

Broadcast make_broadcast(const Shape& a, const Shape& b) {
  // From the last axis outwards, since strides grow that way and shapes are aligned there.
  Broadcast found;
  std::int64_t step_a = 1, step_b = 1;
  for (std::size_t axis = 0; axis < std::max(a.size(), b.size()); ++axis) {
    const std::int64_t size_a = size_from_end(a, axis), size_b = size_from_end(b, axis);
    if (size_a == 1 && size_b == 1) continue;
    const std::int64_t stride_a = size_a == 1 ? 0 : step_a, stride_b = size_b == 1 ? 0 : step_b;
    const std::int64_t size = size_a == 1 ? size_b : size_a;
    step_a *= size_a;
    step_b *= size_b;
    const int last = found.dims - 1;
    if (last >= 0 && stride_a == found.stride_a[last] * found.shape[last] &&
        stride_b == found.stride_b[last] * found.shape[last]) {
      found.shape[last] *= size;
      continue;
    }
    found.shape[found.dims] = size;
    found.stride_a[found.dims] = stride_a;
    found.stride_b[found.dims] = stride_b;
    ++found.dims;
  }
  if (found.dims == 0) {
    found.dims = 1;
    found.shape[0] = found.stride_a[0] = found.stride_b[0] = 1;
  }
  std::reverse(found.shape, found.shape + found.dims);
  std::reverse(found.stride_a, found.stride_a + found.dims);
  std::reverse(found.stride_b, found.stride_b + found.dims);
  return found;
}

Variable sum_to(const Variable& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  Variable y = x;
  for (std::int64_t axis = 0; axis < x.dim(); ++axis) {
    const auto from_end = static_cast<std::size_t>(x.dim() - 1 - axis);
    if (size_from_end(shape, from_end) == 1 && x.size(axis) != 1) y = sum(y, axis, true);
  }
  return reshape(y, shape);
}

}  // namespace serenade
