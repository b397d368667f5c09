#pragma once
// A window: the part of an image that the outputs of a unit see, with zeros where the padding is.
//
// Output pixel p sees through tap t the element at pixel(p) + tap(t): the im2col matrix is a sum of
// two tables. So a window, some R S times smaller, stands in its place. Where it is split, its rows
// and columns are sorted by their remainder (phase), so that inputs that neighbouring outputs see
// are neighbours, whatever the stride. Otherwise those are that a kernel row sees.

#include <algorithm>
#include <cstdint>

#include "kernels/conv2d/cpu/units.h"
#include "kernels/runtime/ceil_div.h"

namespace serenade::cpu {

class Window {
 public:
  /// For units of `cut`. Rows begin at multiples of `align`.
  Window(const Conv2dShape& shape, const UnitCut& cut, bool split, std::int64_t align)
      : s_(shape),
        step_h_(split ? s_.stride_h : 1),
        step_w_(split ? s_.stride_w : 1),
        rows_(((cut.rows - 1) * s_.stride_h + s_.R - 1) / step_h_ + 1),
        columns_(((s_.out_w() - 1) * s_.stride_w + s_.S - 1) / step_w_ + 1),
        pitch_(ceil_div(columns_, align) * align),
        sample_(rows_ * pitch_),
        phase_(cut.samples * sample_),
        phases_h_(std::min(step_h_, s_.R)),
        phases_w_(std::min(step_w_, s_.S)),
        is_image_(s_.R == 1 && s_.S == 1 && s_.stride_h == 1 && s_.stride_w == 1 &&
                  s_.out_h() == s_.H && pitch_ == s_.W) {}

  /// Elements of a channel.
  std::int64_t channel() const { return phases_h_ * phases_w_ * phase_; }
  std::int64_t tap(std::int64_t r, std::int64_t t) const {
    return (r % step_h_ * phases_w_ + t % step_w_) * phase_ + r / step_h_ * pitch_ + t / step_w_;
  }
  std::int64_t pixel(std::int64_t n, std::int64_t i, std::int64_t j) const {
    return n * sample_ + i * (s_.stride_h / step_h_) * pitch_ + j * (s_.stride_w / step_w_);
  }

  /// window: one channel of the samples of a unit.
  void fill(real* window, const real* x, const Unit& unit, std::int64_t channel) const {
    if (is_image_) {  // rows without gaps
      const std::int64_t size = unit.rows * pitch_;
      for (std::int64_t n = 0; n < unit.samples; ++n) {
        const std::int64_t row = ((unit.n0 + n) * s_.C + channel) * s_.H + unit.i0;
        std::copy_n(x + row * s_.W, size, window + n * sample_);
      }
      return;
    }
    for_each_row(unit, channel, [&](std::int64_t to, std::int64_t from, Range inside) {
      real* row = window + to;
      std::fill(row, row + inside.begin, real(0));
      if (step_w_ == 1) {
        for (std::int64_t q = inside.begin; q < inside.end; ++q) row[q] = x[from + q];
      } else {
        for (std::int64_t q = inside.begin; q < inside.end; ++q) row[q] = x[from + q * step_w_];
      }
      std::fill(row + inside.end, row + pitch_, real(0));
    });
  }
  /// Adds what lies within the image to dx.
  void add(real* dx, const real* window, const Unit& unit, std::int64_t channel) const {
    for_each_row(unit, channel, [&](std::int64_t from, std::int64_t to, Range inside) {
      const real* row = window + from;
      if (step_w_ == 1) {
        for (std::int64_t q = inside.begin; q < inside.end; ++q) dx[to + q] += row[q];
      } else {
        for (std::int64_t q = inside.begin; q < inside.end; ++q) dx[to + q * step_w_] += row[q];
      }
    });
  }

 private:
  struct Range {
    std::int64_t begin, end;
  };

  // Calls visit(offset of a window's row, offset in x of its first column, columns that exist). The
  // latter offset may lie outside: only those columns are in the image.
  template <class Visit>
  void for_each_row(const Unit& unit, std::int64_t channel, const Visit& visit) const {
    for (std::int64_t a = 0; a < phases_h_; ++a) {
      for (std::int64_t b = 0; b < phases_w_; ++b) {
        const std::int64_t w = b - s_.pad_left;  // of the first column
        const std::int64_t end = w < s_.W ? (s_.W - 1 - w) / step_w_ + 1 : 0;
        const Range inside = {w < 0 ? std::min(ceil_div(-w, step_w_), columns_) : 0,
                              std::min(end, columns_)};
        for (std::int64_t n = 0; n < unit.samples; ++n) {
          for (std::int64_t row = 0; row < rows_; ++row) {
            const std::int64_t h = unit.i0 * s_.stride_h + a + row * step_h_ - s_.pad_top;
            const bool exists = h >= 0 && h < s_.H && inside.begin < inside.end;
            visit((a * phases_w_ + b) * phase_ + n * sample_ + row * pitch_,
                  (((unit.n0 + n) * s_.C + channel) * s_.H + h) * s_.W + w,
                  exists ? inside : Range{0, 0});
          }
        }
      }
    }
  }

  const Conv2dShape& s_;
  std::int64_t step_h_, step_w_;  // inputs between neighbours of a phase
  std::int64_t rows_, columns_, pitch_, sample_, phase_, phases_h_, phases_w_;
  bool is_image_;  // a 1x1 kernel without padding
};

}  // namespace serenade::cpu
