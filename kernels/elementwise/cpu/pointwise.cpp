// Formulas over whole arrays on the host: one element at a time, with the C++ library's functions.

#include "kernels/elementwise/pointwise.h"

#include <algorithm>

#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

namespace {

// Loops work on copies of what they call: the compiler then knows that writing a result changes
// none of its numbers, and makes vectors of what it can.

// Calls use(element of the result, offset in a, offset in b) for every element.
template <class Use>
void for_each_pair(const Broadcast& s, Use use) {
  const int last = s.dims - 1;
  const std::int64_t length = s.shape[last], step_a = s.stride_a[last], step_b = s.stride_b[last];
  parallel_blocks(s.count(), [=](std::int64_t begin, std::int64_t end) {
    const Use local = use;
    while (begin < end) {  // a stretch along the last axis
      std::int64_t a = begin % length * step_a, b = begin % length * step_b;
      std::int64_t row = begin / length;
      for (int axis = last - 1; axis >= 0; --axis) {
        const std::int64_t position = row % s.shape[axis];
        row /= s.shape[axis];
        a += position * s.stride_a[axis];
        b += position * s.stride_b[axis];
      }
      const std::int64_t stop = std::min(end, (begin / length + 1) * length);
      if (step_a == 1 && step_b == 1) {  // a loop that the compiler may turn into vectors
        a -= begin, b -= begin;
        for (; begin < stop; ++begin) local(begin, a + begin, b + begin);
      }
      for (; begin < stop; ++begin, a += step_a, b += step_b) local(begin, a, b);
    }
  });
}

}  // namespace

template <class Formula>
void unary_forward(real* y, const real* x, std::int64_t count, const Formula& formula) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    const Formula local = formula;
    for (std::int64_t i = begin; i < end; ++i) y[i] = local.value(x[i]);
  });
}

template <class Formula>
void unary_backward(real* dx, const real* dy, const real* x, std::int64_t count,
                    const Formula& formula) {
  parallel_blocks(count, [=](std::int64_t begin, std::int64_t end) {
    const Formula local = formula;
    for (std::int64_t i = begin; i < end; ++i) dx[i] += local.gradient(dy[i], x[i]);
  });
}

template <class Formula>
void binary_forward(real* y, const real* a, const real* b, const Broadcast& broadcast,
                    const Formula& formula) {
  for_each_pair(broadcast, [=](std::int64_t i, std::int64_t at_a, std::int64_t at_b) {
    y[i] = formula.value(a[at_a], b[at_b]);
  });
}

template <class Formula>
void binary_backward(real* g, const real* dy, const real* a, const real* b,
                     const Broadcast& broadcast, const Formula& formula, Operand by) {
  for_each_pair(broadcast, [=](std::int64_t i, std::int64_t at_a, std::int64_t at_b) {
    g[i] += by == Operand::a ? formula.gradient_a(dy[i], a[at_a], b[at_b])
                             : formula.gradient_b(dy[i], a[at_a], b[at_b]);
  });
}

void select_forward(real* y, const real* mask, const real* a, const real* b,
                    const Broadcast& broadcast) {
  for_each_pair(broadcast, [=](std::int64_t i, std::int64_t at_a, std::int64_t at_b) {
    const real left = a[at_a], right = b[at_b];  // read both: no branch that may be guessed wrong
    y[i] = mask[i] != 0 ? left : right;
  });
}

SERENADE_FORMULAS(SERENADE_UNARY, SERENADE_BINARY, SERENADE_COMPARISON)

}  // namespace serenade::cpu
