// Formulas over whole arrays on the host: a vector of elements at a time, by
// cpu/simd/pointwise.cpp. Long arrays then wait for memory.

#include "kernels/elementwise/pointwise.h"

#include <algorithm>

#include "kernels/elementwise/cpu/pointwise_simd.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(PointwiseSimd, pointwise_simd);

namespace {

// Calls use(first element of the result, operands, length) for stretches along the last axis, along
// which an operand moves by one or stays.
template <class Use>
void for_each_stretch(const Broadcast& s, const real* a, const real* b, Use use) {
  const int last = s.dims - 1;
  const std::int64_t length = s.shape[last], step_a = s.stride_a[last], step_b = s.stride_b[last];
  parallel_blocks(s.count(), [=](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t column = begin % length;
      const real *row_a = a + column * step_a, *row_b = b + column * step_b;
      std::int64_t row = begin / length;
      for (int axis = last - 1; axis >= 0; --axis) {
        const std::int64_t position = row % s.shape[axis];
        row /= s.shape[axis];
        row_a += position * s.stride_a[axis];
        row_b += position * s.stride_b[axis];
      }
      const std::int64_t size = std::min(end - begin, length - column);
      use(begin, Operands{row_a, row_b, step_a != 0, step_b != 0}, size);
      begin += size;
    }
  });
}

}  // namespace

template <class Formula>
void unary_forward(real* y, const real* x, std::int64_t count, const Formula& formula) {
  const UnaryLoops<Formula>& loops = pointwise_simd();
  parallel_blocks(count, [&](std::int64_t begin, std::int64_t end) {
    loops.value(y + begin, x + begin, end - begin, formula);
  });
}

template <class Formula>
void unary_backward(real* dx, const real* dy, const real* x, std::int64_t count, Write write,
                    const Formula& formula) {
  const UnaryLoops<Formula>& loops = pointwise_simd();
  parallel_blocks(count, [&](std::int64_t begin, std::int64_t end) {
    loops.gradient(dx + begin, dy + begin, x + begin, end - begin, write, formula);
  });
}

template <class Formula>
void binary_forward(real* y, const real* a, const real* b, const Broadcast& broadcast,
                    const Formula& formula) {
  const ComparisonLoops<Formula>& loops = pointwise_simd();
  for_each_stretch(broadcast, a, b,
                   [=, &loops](std::int64_t first, const Operands& from, std::int64_t size) {
                     loops.value(y + first, from, size, formula);
                   });
}

template <class Formula>
void binary_backward(real* g, const real* dy, const real* a, const real* b,
                     const Broadcast& broadcast, Write write, const Formula& formula, Operand by) {
  const BinaryLoops<Formula>& loops = pointwise_simd();
  for_each_stretch(broadcast, a, b,
                   [=, &loops](std::int64_t first, const Operands& from, std::int64_t size) {
                     loops.gradient(g + first, dy + first, from, size, write, formula, by);
                   });
}

void select_forward(real* y, const real* mask, const real* a, const real* b,
                    const Broadcast& broadcast) {
  for_each_stretch(broadcast, a, b,
                   [=](std::int64_t first, const Operands& from, std::int64_t size) {
                     const std::int64_t step_a = from.a_moves, step_b = from.b_moves;
                     const real *left = from.a, *right = from.b;
                     for (std::int64_t i = 0; i < size; ++i) {
                       const real u = left[i * step_a], v = right[i * step_b];  // no branch
                       y[first + i] = mask[first + i] != 0 ? u : v;
                     }
                   });
}

SERENADE_FORMULAS(SERENADE_UNARY, SERENADE_BINARY, SERENADE_COMPARISON)

}  // namespace serenade::cpu
