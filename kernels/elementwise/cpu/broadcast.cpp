// Broadcasting arithmetic on the host: y = a op b with repeated axes, and the sums over repetitions
// that are its gradients.

#include <cstddef>
#include <vector>

#include "kernels/elementwise/cpu/rows_simd.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/runtime/cpu/isa.h"
#include "kernels/runtime/cpu/parallel.h"

namespace serenade::cpu {

CHOOSE_SIMD_TABLE(RowsSimd, rows_simd);

namespace {

// Forward -----------------------------------------------------------------------------------------

// Offsets of the operands for a position along some of the axes (row-major).
struct Axes {
  int dims = 0;
  std::int64_t count = 1;
  std::int64_t shape[kMaxDims];
  std::int64_t stride_y[kMaxDims];
  std::int64_t stride_b[kMaxDims];

  void append(std::int64_t size, std::int64_t step_y, std::int64_t step_b) {
    shape[dims] = size;
    stride_y[dims] = step_y;
    stride_b[dims] = step_b;
    ++dims;
    count *= size;
  }

  void offsets(std::int64_t index, std::int64_t& y, std::int64_t& b) const {
    for (int axis = dims - 1; axis >= 0; --axis) {
      const std::int64_t position = index % shape[axis];
      index /= shape[axis];
      y += position * stride_y[axis];
      b += position * stride_b[axis];
    }
  }
};

// Calls run(first element of the result, offset in a, offset in b, length) for stretches along the
// last axis that cover the result.
template <class Run>
void for_each_run(const Broadcast& s, Run run) {
  const int last = s.dims - 1;
  const std::int64_t length = s.shape[last];
  Axes outer;
  for (int axis = 0; axis < last; ++axis) {
    outer.append(s.shape[axis], s.stride_a[axis], s.stride_b[axis]);
  }
  parallel_blocks(s.count(), [=](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      const std::int64_t column = begin % length;
      const std::int64_t size = std::min(end - begin, length - column);
      std::int64_t a = column * s.stride_a[last], b = column * s.stride_b[last];
      outer.offsets(begin / length, a, b);
      run(begin, a, b, size);
      begin += size;
    }
  });
}

// y = f(a, b). Along the last axis an operand moves by one or stays: three loops that vectorise.
template <class F>
void binary(real* y, const real* a, const real* b, const Broadcast& s, F f) {
  const bool a_moves = s.stride_a[s.dims - 1] != 0, b_moves = s.stride_b[s.dims - 1] != 0;
  for_each_run(s, [=](std::int64_t first, std::int64_t at_a, std::int64_t at_b, std::int64_t n) {
    real* out = y + first;
    const real* left = a + at_a;
    const real* right = b + at_b;
    if (a_moves && b_moves) {
      for (std::int64_t i = 0; i < n; ++i) out[i] = f(left[i], right[i]);
    } else if (a_moves) {
      const real value = *right;
      for (std::int64_t i = 0; i < n; ++i) out[i] = f(left[i], value);
    } else {
      const real value = *left;
      for (std::int64_t i = 0; i < n; ++i) out[i] = f(value, b_moves ? right[i] : *right);
    }
  });
}

// Backward ----------------------------------------------------------------------------------------
//
// The gradient of operand a sums term(dy, b) over the axes where a was repeated. The work is cut
// into strips of a (up to kStrip neighbouring elements, or one element where a stays along the last
// axis) and, for each strip, into fixed blocks of the repeated positions. Block sums are added in
// order, so the bits do not depend on the thread count, and long sums lose little in float.

constexpr std::int64_t kStrip = 1024;     // elements of a summed together; their sums stay in L1
constexpr std::int64_t kPiece = 4096;     // of the last axis, where it is summed over
constexpr std::int64_t kBlock = 1 << 14;  // elements of dy per block

// The axes of a broadcast apart: those along which a moves, and those over which its gradient sums.
struct Reduction {
  Axes kept, summed;
  std::int64_t strip = 1, strips = 1;  // along the last axis, where a moves along it
  std::int64_t piece = 1, length = 1;  // along the last axis, where it is summed over
  std::int64_t pieces = 1;
  std::int64_t step_b = 0;  // of b along the last axis
  bool last_is_summed = false;
  std::int64_t rows_per_block = 1, blocks = 1;

  explicit Reduction(const Broadcast& s) {
    std::int64_t stride_y[kMaxDims];
    std::int64_t step = 1;
    for (int axis = s.dims - 1; axis >= 0; --axis) {
      stride_y[axis] = step;
      step *= s.shape[axis];
    }
    const int last = s.dims - 1;
    for (int axis = 0; axis < last; ++axis) {
      Axes& axes = s.stride_a[axis] != 0 ? kept : summed;
      axes.append(s.shape[axis], stride_y[axis], s.stride_b[axis]);
    }
    length = s.shape[last];
    step_b = s.stride_b[last];
    last_is_summed = s.stride_a[last] == 0;
    strip = last_is_summed ? 1 : std::min(length, kStrip);
    strips = last_is_summed ? 1 : (length + strip - 1) / strip;
    piece = last_is_summed ? std::min(length, kPiece) : 1;
    pieces = last_is_summed ? (length + piece - 1) / piece : 1;
    rows_per_block = std::max<std::int64_t>(1, kBlock / std::max(strip, piece));
    blocks = (rows() + rows_per_block - 1) / rows_per_block;
  }

  std::int64_t rows() const { return summed.count * pieces; }  // what one strip sums over
  std::int64_t items() const { return kept.count * strips; }
  std::int64_t first_of(std::int64_t item) const {  // element of a where a strip begins
    return last_is_summed ? item : item / strips * length + item % strips * strip;
  }
  std::int64_t size_of(std::int64_t item) const {
    return last_is_summed ? 1 : std::min(strip, length - item % strips * strip);
  }
};

// What is summed, of an element of dy and one of b; sum() is that along a row of dy, along which b
// moves by step_b, 0 or 1.
struct Alone {
  real operator()(real d, real) const { return d; }
  double sum(const real* d, const real*, std::int64_t, std::int64_t count) const {
    return rows_simd().sum(d, count);
  }
};
struct Product {
  real operator()(real d, real v) const { return d * v; }
  double sum(const real* d, const real* b, std::int64_t step_b, std::int64_t count) const {
    if (step_b != 0) return rows_simd().sum_of_products(d, b, count);
    return rows_simd().sum(d, count) * static_cast<double>(*b);
  }
};
struct Quotient {
  real operator()(real d, real v) const { return d / v; }
  double sum(const real* d, const real* b, std::int64_t step_b, std::int64_t count) const {
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(d[i] / b[i * step_b]);
    return sum;
  }
};

// total[0 .. size) = the sum of term over one block of one strip.
template <class Term>
void sum_block(real* total, const Reduction& r, std::int64_t item, std::int64_t block,
               const real* dy, const real* b, Term term) {
  const std::int64_t size = r.size_of(item);
  std::fill_n(total, size, real(0));
  std::int64_t kept_y = 0, kept_b = 0;
  r.kept.offsets(item / r.strips, kept_y, kept_b);
  const std::int64_t column = r.last_is_summed ? 0 : item % r.strips * r.strip;
  const std::int64_t end = std::min(r.rows(), (block + 1) * r.rows_per_block);
  for (std::int64_t row = block * r.rows_per_block; row < end; ++row) {
    const std::int64_t start = r.last_is_summed ? row % r.pieces * r.piece : column;
    std::int64_t at_y = kept_y + start, at_b = kept_b + start * r.step_b;
    r.summed.offsets(row / r.pieces, at_y, at_b);
    const real* d = dy + at_y;
    const real* other = b + at_b;
    if (r.last_is_summed) {
      const std::int64_t n = std::min(r.piece, r.length - start);
      total[0] += static_cast<real>(term.sum(d, other, r.step_b, n));
    } else if (r.step_b != 0) {
      for (std::int64_t i = 0; i < size; ++i) total[i] += term(d[i], other[i]);
    } else {
      const real value = *other;
      for (std::int64_t i = 0; i < size; ++i) total[i] += term(d[i], value);
    }
  }
}

void leave(real& da, real gradient, Write write) {
  da = write == Write::set ? gradient : da + gradient;
}

// Where nothing was repeated there is nothing to sum: da[i] += finish(i, term(dy[i], b)).
template <class Term, class Finish>
void map_terms(real* da, const real* dy, const real* b, const Broadcast& s, Term term,
               Finish finish, Write write) {
  const bool b_moves = s.stride_b[s.dims - 1] != 0;
  for_each_run(s, [=](std::int64_t first, std::int64_t at_a, std::int64_t at_b, std::int64_t n) {
    const real *d = dy + first, *other = b + at_b;
    if (b_moves) {
      for (std::int64_t i = 0; i < n; ++i) {
        leave(da[at_a + i], finish(at_a + i, term(d[i], other[i])), write);
      }
    } else {
      const real value = *other;
      for (std::int64_t i = 0; i < n; ++i) {
        leave(da[at_a + i], finish(at_a + i, term(d[i], value)), write);
      }
    }
  });
}

// da[i] += finish(i, sum over the repetitions of element i of term(dy, b)), or =.
template <class Term, class Finish>
void reduce(real* da, const real* dy, const real* b, const Broadcast& s, Term term, Finish finish,
            Write write) {
  if (s.count() == 0) return;
  const Reduction r(s);
  if (r.summed.count == 1 && !r.last_is_summed) {
    return map_terms(da, dy, b, s, term, finish, write);
  }
  const std::int64_t work = std::min(r.rows_per_block, r.rows()) * std::max(r.strip, r.piece);
  if (r.blocks == 1) {
    parallel_items(r.items(), work, [&](std::int64_t item) {
      real total[kStrip];
      sum_block(total, r, item, 0, dy, b, term);
      const std::int64_t first = r.first_of(item), size = r.size_of(item);
      for (std::int64_t i = 0; i < size; ++i) {
        leave(da[first + i], finish(first + i, total[i]), write);
      }
    });
    return;
  }
  std::vector<real> totals(static_cast<std::size_t>(r.items() * r.blocks * r.strip));
  parallel_items(r.items() * r.blocks, work, [&](std::int64_t task) {
    sum_block(totals.data() + task * r.strip, r, task / r.blocks, task % r.blocks, dy, b, term);
  });
  parallel_items(r.items(), r.blocks * r.strip, [&](std::int64_t item) {
    const std::int64_t first = r.first_of(item), size = r.size_of(item);
    const real* parts = totals.data() + item * r.blocks * r.strip;
    for (std::int64_t i = 0; i < size; ++i) {
      double total = 0;
      for (std::int64_t block = 0; block < r.blocks; ++block) {
        total += static_cast<double>(parts[block * r.strip + i]);
      }
      leave(da[first + i], finish(first + i, static_cast<real>(total)), write);
    }
  });
}

constexpr auto kAsIs = [](std::int64_t, real total) { return total; };

}  // namespace

void add_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  binary(y, a, b, broadcast, [](real u, real v) { return u + v; });
}

void sub_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  binary(y, a, b, broadcast, [](real u, real v) { return u - v; });
}

void mul_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  binary(y, a, b, broadcast, [](real u, real v) { return u * v; });
}

void div_forward(real* y, const real* a, const real* b, const Broadcast& broadcast) {
  binary(y, a, b, broadcast, [](real u, real v) { return u / v; });
}

void add_backward(real* da, const real* dy, real factor, const Broadcast& broadcast, Write write) {
  Broadcast alone = broadcast;  // there is no second factor; dy stands in and is not used
  std::fill_n(alone.stride_b, kMaxDims, 0);
  reduce(
      da, dy, dy, alone, Alone{}, [factor](std::int64_t, real total) { return factor * total; },
      write);
}

void mul_backward(real* da, const real* dy, const real* b, const Broadcast& broadcast,
                  Write write) {
  reduce(da, dy, b, broadcast, Product{}, kAsIs, write);
}

void div_backward_numerator(real* da, const real* dy, const real* b, const Broadcast& broadcast,
                            Write write) {
  reduce(da, dy, b, broadcast, Quotient{}, kAsIs, write);
}

void div_backward_denominator(real* db, const real* dy, const real* a, const real* b,
                              const Broadcast& broadcast, Write write) {
  // b is the same for all repetitions of an element, so -1 / b^2 leaves the sum. b * b may be 0
  // where b is not.
  reduce(
      db, dy, a, broadcast.swapped(), Product{},
      [b](std::int64_t i, real total) { return -total / b[i] / b[i]; }, write);
}

}  // namespace serenade::cpu
