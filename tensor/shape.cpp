#include "tensor/shape.h"

#include <algorithm>

#include "tensor/check.h"

namespace serenade {

std::int64_t element_count(const Shape& shape, const char* op) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    check(size >= 0, op, "sizes must not be negative; got ", shape);
    empty = empty || size == 0;
    const bool fits = !__builtin_mul_overflow(count, std::max<std::int64_t>(size, 1), &count);
    check(fits && count <= kMaxElements, op, "a tensor has at most 2^58 elements; got ", shape);
  }
  return empty ? 0 : count;
}

Strides row_major_strides(const Shape& shape) {
  Strides strides(shape.size());
  std::int64_t step = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (axis > 0) text += ", ";
    text += std::to_string(shape[axis]);
  }
  return text + "]";
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const std::size_t dims = std::max(a.size(), b.size());
  Shape result(dims);
  for (std::size_t k = 0; k < dims; ++k) {  // k counts from the last axis
    const std::int64_t size_a = k < a.size() ? a[a.size() - 1 - k] : 1;
    const std::int64_t size_b = k < b.size() ? b[b.size() - 1 - k] : 1;
    check(size_a == size_b || size_a == 1 || size_b == 1, op,
          "shapes must be equal or broadcast (sizes equal or 1, aligned at the last axis); got ", a,
          " and ", b);
    result[dims - 1 - k] = size_a == 1 ? size_b : size_a;
  }
  element_count(result, op);
  return result;
}

std::int64_t normalized_axis(const char* op, std::int64_t axis, std::int64_t dims) {
  check(axis >= -dims && axis < dims, op, "axis must be in ", -dims, " .. ", dims - 1, "; got ",
        axis);
  return axis < 0 ? axis + dims : axis;
}

}  // namespace serenade
