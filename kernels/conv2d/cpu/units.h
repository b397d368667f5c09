#pragma once
// How the versions of the convolution that multiply matrices cut their work: a unit is some rows of
// the output of one sample or, where images are small, some whole samples.

#include <algorithm>
#include <cstdint>

#include "kernels/conv2d/conv2d.h"
#include "kernels/conv2d/cpu/versions.h"
#include "kernels/runtime/ceil_div.h"

namespace serenade::cpu {

/// A function of the shape alone, so that threads do not change bits.
struct UnitCut {
  std::int64_t rows;       ///< output rows of a unit (the last unit of a sample may have fewer)
  std::int64_t samples;    ///< samples of a unit; 1 unless rows is all of them
  std::int64_t row_units;  ///< units per sample group along the rows
  std::int64_t groups;     ///< sample groups
  std::int64_t pixels;     ///< most pixels a unit can have

  /// About `wanted` pixels, at most most_samples samples; rows are a multiple of row_multiple.
  UnitCut(const Conv2dShape& s, std::int64_t wanted, std::int64_t row_multiple,
          std::int64_t most_samples) {
    rows = std::clamp<std::int64_t>(wanted / s.out_w() / row_multiple * row_multiple, row_multiple,
                                    std::max(s.out_h(), row_multiple));
    rows = std::min(rows, s.out_h());
    samples = rows < s.out_h() ? 1
                               : std::clamp<std::int64_t>(wanted / (rows * s.out_w()), 1,
                                                          std::min(most_samples, s.N));
    row_units = ceil_div(s.out_h(), rows);
    groups = ceil_div(s.N, samples);
    pixels = samples * rows * s.out_w();
  }

  std::int64_t units() const { return groups * row_units; }
};

/// Samples n0 .. n0 + samples - 1, output rows i0 .. i0 + rows - 1.
struct Unit {
  std::int64_t n0, samples, i0, rows, pixels;

  Unit(const Conv2dShape& s, const UnitCut& cut, std::int64_t number) {
    n0 = number / cut.row_units * cut.samples;
    samples = std::min(cut.samples, s.N - n0);
    i0 = number % cut.row_units * cut.rows;
    rows = std::min(cut.rows, s.out_h() - i0);
    pixels = samples * rows * s.out_w();
  }
};

/// A matrix [rows, pixels of a unit] in memory of its own or within an image.
template <class Real>
struct Matrix {
  Real* data;
  std::int64_t pitch;
};

/// The part of an image that a unit of one sample stands for.
template <class Real>
Matrix<Real> part_of(Real* image, const ImageShape& size, const Unit& unit) {
  return {image + (unit.n0 * size.channels * size.height + unit.i0) * size.width,
          size.height * size.width};
}

/// dy of the unit as a matrix [K, pixels], written to `matrix` unless it lies so in memory.
inline Matrix<const real> gradient_of(const RowSource& dy, const Conv2dShape& s, const Unit& unit,
                                      real* matrix) {
  const ImageShape image = {s.K, s.out_h(), s.out_w()};
  if (dy.index == nullptr && unit.samples == 1) return part_of(dy.data, image, unit);
  real* to = matrix;
  for (std::int64_t k = 0; k < s.K; ++k) {
    for (std::int64_t n = unit.n0; n < unit.n0 + unit.samples; ++n) {
      for (std::int64_t i = unit.i0; i < unit.i0 + unit.rows; ++i) {
        read_row(to, dy, image, n, k, i);
        to += image.width;
      }
    }
  }
  return {matrix, unit.pixels};
}

}  // namespace serenade::cpu
