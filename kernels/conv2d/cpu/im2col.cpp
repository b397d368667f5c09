// Convolution, v1: im2col and a matrix product (Chellapilla, Puri, Simard, "High performance
// convolutional neural networks for document processing", IWFHR 2006).
//
// A unit of work is a block of output rows of one sample, or, where images are small, a group of
// whole samples. Its im2col matrix `columns` is [C * R * S, pixels of the unit]; with the weight
// read as [K, C * R * S]
//   forward:          y       = weight columns
//   backward input:   columns = weight^T dy, then every column entry is added to the x it came from
//   backward weight:  dweight += dy columns^T
// A 1x1 kernel of stride 1 reads the image as it lies: it is the matrix of columns. Likewise y and
// dy are no copies where a unit is a part of one sample and nothing is pooled.

#include <algorithm>

#include "kernels/conv2d/cpu/conv2d_simd.h"
#include "kernels/conv2d/cpu/units.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/gemm/gemm.h"
#include "kernels/runtime/cpu/parallel.h"
#include "kernels/runtime/cpu/scratch.h"

namespace serenade::cpu {

namespace {

// The matrix of columns is the image itself.
bool is_in_place(const Conv2dShape& s) {
  return s.R == 1 && s.S == 1 && s.stride_h == 1 && s.stride_w == 1 && s.pad_top == 0 &&
         s.pad_bottom == 0 && s.pad_left == 0 && s.pad_right == 0;
}

// The matrix of columns of a unit stays in the second-level cache.
UnitCut cut_of(const Conv2dShape& s, std::int64_t row_multiple) {
  constexpr std::int64_t kColumnsBudget = 64 * 1024, kFewest = 32;  // elements, pixels
  return {s, std::max(kColumnsBudget / (s.C * s.R * s.S), kFewest), row_multiple,
          is_in_place(s) ? 1 : s.N};
}

// Output columns j in [begin, end) read inside the image with kernel column t.
struct Inside {
  std::int64_t begin, end;

  Inside(const Conv2dShape& s, std::int64_t t) {
    const std::int64_t shift = t - s.pad_left;  // w = j * stride + shift must lie in [0, W)
    begin = shift >= 0 ? 0 : (-shift + s.stride_w - 1) / s.stride_w;
    end = shift >= s.W ? 0 : (s.W - 1 - shift) / s.stride_w + 1;
    end = std::min(end, s.out_w());
    begin = std::min(begin, end);
  }
};

// Calls visit(columns row segment, offset of input row in x or -1, Inside, shift) for every tap and
// every output row of the unit.
template <class Visit>
void for_each_segment(real* columns, const Conv2dShape& s, const Unit& unit, const Visit& visit) {
  for (std::int64_t c = 0; c < s.C; ++c) {
    for (std::int64_t r = 0; r < s.R; ++r) {
      for (std::int64_t t = 0; t < s.S; ++t) {
        const Inside inside(s, t);
        for (std::int64_t n = unit.n0; n < unit.n0 + unit.samples; ++n) {
          for (std::int64_t i = unit.i0; i < unit.i0 + unit.rows; ++i) {
            const std::int64_t h = i * s.stride_h + r - s.pad_top;
            const bool exists = h >= 0 && h < s.H;
            visit(columns, exists ? ((n * s.C + c) * s.H + h) * s.W : -1, inside, t - s.pad_left);
            columns += s.out_w();
          }
        }
      }
    }
  }
}

Matrix<const real> columns_of(const real* x, const Conv2dShape& s, const Unit& unit,
                              real* columns) {
  if (is_in_place(s)) return part_of(x, {s.C, s.H, s.W}, unit);
  const std::int64_t width = s.out_w();
  for_each_segment(columns, s, unit, [&](real* to, auto row, const Inside& inside, auto shift) {
    if (row < 0) return std::fill(to, to + width, real(0));
    std::fill(to, to + inside.begin, real(0));
    const real* from = x + row + shift;
    if (s.stride_w == 1) {
      for (std::int64_t j = inside.begin; j < inside.end; ++j) to[j] = from[j];
    } else {
      for (std::int64_t j = inside.begin; j < inside.end; ++j) to[j] = from[j * s.stride_w];
    }
    std::fill(to + inside.end, to + width, real(0));
  });
  return {columns, unit.pixels};
}

void add_columns(real* dx, real* columns, const Conv2dShape& s, const Unit& unit) {
  for_each_segment(columns, s, unit, [&](real* from, auto row, const Inside& inside, auto shift) {
    if (row < 0) return;
    real* to = dx + row + shift;
    for (std::int64_t j = inside.begin; j < inside.end; ++j) to[j * s.stride_w] += from[j];
  });
}

}  // namespace

void conv2d_forward_v1_im2col(const RowSink& y, const real* x, const real* weight, const real* bias,
                              const Conv2dShape& shape) {
  const UnitCut cut = cut_of(shape, y.pool_h);
  const std::int64_t taps = shape.C * shape.R * shape.S;
  const ImageShape image = {shape.K, shape.out_h(), shape.out_w()};
  const std::int64_t per_thread = (taps + shape.K) * cut.pixels;
  real* const memory = scratch(per_thread * thread_count());
  conv2d_simd();  // pooling needs it: a bad SERENADE_ISA must throw here, not inside the region
  parallel_each(cut.units(), [&](std::int64_t u) {
    const Unit unit(shape, cut, u);
    real* const memory_of_columns = memory + thread_index() * per_thread;
    const Matrix<const real> columns = columns_of(x, shape, unit, memory_of_columns);
    const bool stored = y.index == nullptr && !y.add && unit.samples == 1;
    const Matrix<real> out = stored
                                 ? part_of(y.data, image, unit)
                                 : Matrix<real>{memory_of_columns + taps * cut.pixels, unit.pixels};
    for (std::int64_t k = 0; k < shape.K && bias != nullptr; ++k) {
      std::fill_n(out.data + k * out.pitch, unit.pixels, bias[k]);
    }
    gemm(false, false, shape.K, unit.pixels, taps, 1, weight, taps, columns.data, columns.pitch,
         bias != nullptr ? 1 : 0, out.data, out.pitch);
    if (stored) return;
    for (std::int64_t n = 0; n < unit.samples; ++n) {
      write_rows(y, image, unit.n0 + n, unit.i0, unit.rows, out.data + n * unit.rows * image.width,
                 unit.pixels, image.width);
    }
  });
}

void conv2d_backward_input_v1_im2col(real* dx, const RowSource& dy, const real* weight,
                                     const Conv2dShape& shape) {
  const UnitCut cut = cut_of(shape, 1);
  const std::int64_t taps = shape.C * shape.R * shape.S;
  const std::int64_t per_thread = (taps + shape.K) * cut.pixels;
  real* const memory = scratch(per_thread * thread_count());
  // Row blocks of one sample overlap in dx, so they stay with one thread, in order.
  parallel_each(cut.groups, [&](std::int64_t group) {
    real* const columns = memory + thread_index() * per_thread;
    for (std::int64_t u = 0; u < cut.row_units; ++u) {
      const Unit unit(shape, cut, group * cut.row_units + u);
      const Matrix<const real> gradient = gradient_of(dy, shape, unit, columns + taps * cut.pixels);
      const Matrix<real> to = is_in_place(shape) ? part_of(dx, {shape.C, shape.H, shape.W}, unit)
                                                 : Matrix<real>{columns, unit.pixels};
      gemm(true, false, taps, unit.pixels, shape.K, 1, weight, taps, gradient.data, gradient.pitch,
           is_in_place(shape) ? 1 : 0, to.data, to.pitch);
      if (!is_in_place(shape)) add_columns(dx, columns, shape, unit);
    }
  });
}

void conv2d_backward_weight_v1_im2col(real* dweight, const RowSource& dy, const real* x,
                                      const Conv2dShape& shape) {
  const UnitCut cut = cut_of(shape, 1);
  const std::int64_t taps = shape.C * shape.R * shape.S;
  const std::int64_t units = cut.units();
  const std::int64_t partials = conv2d_weight_partials(shape, units);
  const std::int64_t size = shape.K * taps;
  const std::int64_t per_thread = (taps + shape.K) * cut.pixels;
  real* const sums = scratch(partials * size + per_thread * thread_count());
  real* const memory = sums + partials * size;
  parallel_each(partials, [&](std::int64_t p) {
    real* const own = memory + thread_index() * per_thread;
    const std::int64_t first = p * units / partials;
    for (std::int64_t u = first; u < (p + 1) * units / partials; ++u) {
      const Unit unit(shape, cut, u);
      const Matrix<const real> columns = columns_of(x, shape, unit, own);
      const Matrix<const real> gradient = gradient_of(dy, shape, unit, own + taps * cut.pixels);
      gemm(false, true, shape.K, taps, unit.pixels, 1, gradient.data, gradient.pitch, columns.data,
           columns.pitch, u == first ? 0 : 1, sums + p * size, taps);
    }
  });
  add_partials(dweight, sums, partials, size);
}

}  // namespace serenade::cpu
