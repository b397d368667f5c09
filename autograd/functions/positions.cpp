#include "autograd/functions/positions.h"

#include "autograd/functions.h"

namespace serenade {

Variable unpooled(const Variable& y, const Indices& places, const Shape& shape) {
  const std::int64_t planes = shape[0] * shape[1];
  const Variable zeros = Tensor({planes, shape[2] * shape[3]}, y.device());
  return reshape(scatter_add(zeros, 1, places, reshape(y, {planes, y.size(2) * y.size(3)})), shape);
}

}  // namespace serenade
