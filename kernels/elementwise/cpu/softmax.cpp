// Softmax and its logarithm on the host.
//
// v0 is the definition, one exponential of the C++ library at a time: 6 ns per element. The version
// in use evaluates the exponentials of a vector together
// (kernels/elementwise/cpu/simd/softmax.cpp); three passes over an item that fits the first-level
// cache, so that a long array waits for memory: 8 bytes per element forward, 16 backward.

#include "kernels/elementwise/softmax.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise/cpu/softmax_simd.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(SoftmaxSimd, softmax_simd);

namespace {

// Calls pass(first item, last item + 1) for ranges that cover all items.
template <class Pass>
void for_each_item(std::int64_t outer, const SoftmaxAxis& shape, Pass pass) {
  const SoftmaxSimd& simd = softmax_simd();
  const std::int64_t items = outer * simd.items_per_outer(shape);
  const std::int64_t size = shape.axis * std::min(shape.inner, simd.lanes);
  const std::int64_t range =
      std::max<std::int64_t>(1, kLoopBlock / std::max<std::int64_t>(1, size));
  parallel_items((items + range - 1) / range, range * size,
                 [&](std::int64_t i) { pass(i * range, std::min(items, (i + 1) * range)); });
}

// Calls lane(offset of its first element) for all lanes.
template <class Lane>
void for_each_lane(std::int64_t outer, std::int64_t axis, std::int64_t inner, Lane lane) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) lane(o * axis * inner + i);
  }
}

real largest_of(const real* x, std::int64_t axis, std::int64_t stride) {
  real largest = x[0];
  for (std::int64_t k = 1; k < axis; ++k) largest = std::max(largest, x[k * stride]);
  return largest;
}

}  // namespace

void softmax_forward_v0_plain(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                              std::int64_t inner) {
  for_each_lane(outer, axis, inner, [=](std::int64_t start) {
    const real largest = largest_of(x + start, axis, inner);
    real total = 0;
    for (std::int64_t k = 0; k < axis; ++k) {
      const std::int64_t at = start + k * inner;
      y[at] = std::exp(x[at] - largest);
      total += y[at];
    }
    for (std::int64_t k = 0; k < axis; ++k) y[start + k * inner] /= total;
  });
}

void log_softmax_forward_v0_plain(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                                  std::int64_t inner) {
  for_each_lane(outer, axis, inner, [=](std::int64_t start) {
    const real largest = largest_of(x + start, axis, inner);
    real total = 0;
    for (std::int64_t k = 0; k < axis; ++k) total += std::exp(x[start + k * inner] - largest);
    for (std::int64_t k = 0; k < axis; ++k) {
      const std::int64_t at = start + k * inner;
      y[at] = x[at] - largest - std::log(total);
    }
  });
}

void softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                     std::int64_t inner) {
  const SoftmaxAxis shape{axis, inner};
  for_each_item(outer, shape, [=](std::int64_t first, std::int64_t last) {
    softmax_simd().softmax(y, x, shape, first, last);
  });
}

void softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                      std::int64_t axis, std::int64_t inner) {
  const SoftmaxAxis shape{axis, inner};
  for_each_item(outer, shape, [=](std::int64_t first, std::int64_t last) {
    softmax_simd().softmax_backward(dx, dy, y, shape, first, last);
  });
}

void log_softmax_forward(real* y, const real* x, std::int64_t outer, std::int64_t axis,
                         std::int64_t inner) {
  const SoftmaxAxis shape{axis, inner};
  for_each_item(outer, shape, [=](std::int64_t first, std::int64_t last) {
    softmax_simd().log_softmax(y, x, shape, first, last);
  });
}

void log_softmax_backward(real* dx, const real* dy, const real* y, std::int64_t outer,
                          std::int64_t axis, std::int64_t inner) {
  const SoftmaxAxis shape{axis, inner};
  for_each_item(outer, shape, [=](std::int64_t first, std::int64_t last) {
    softmax_simd().log_softmax_backward(dx, dy, y, shape, first, last);
  });
}

}  // namespace serenade::cpu
